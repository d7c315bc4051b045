//! What the tests share: a server with a log in it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::LogIdentity;
use retailflow_nats::{Connections, NatsLog, NatsLogOptions, NatsOptions, Topology};
use tokio::time::{interval, timeout};

use crate::nats::Server;

/// For what servers and clients do by themselves.
const BOUND: Duration = Duration::from_secs(60);

pub(crate) fn identity(partitions: u16, shards: u16) -> LogIdentity {
    let (cluster, created) = ("test".into(), TimestampMs(1));
    LogIdentity { log_id: fastrand::u128(..).to_le_bytes(), cluster, partitions, shards, created }
}

pub(crate) fn options(server: &Server) -> NatsOptions {
    NatsOptions { servers: vec![server.url()], request_timeout_ms: 10_000, ..NatsOptions::default() }
}

pub(crate) fn log_options() -> NatsLogOptions {
    NatsLogOptions { commit_timeout_ms: 10_000, ..NatsLogOptions::default() }
}

/// Looks again and again until something is found.
pub(crate) async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let (begun, mut look) = (Instant::now(), interval(Duration::from_millis(50)));
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(begun.elapsed() < BOUND, "not within {BOUND:?}: {what}");
        look.tick().await;
    }
}

/// Waits until the server knows all subscriptions of a client: it takes what comes over one connection in order. Flushing waits for the
/// socket alone, and another connection's message could be faster.
pub(crate) async fn subscribed(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut back = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    assert!(matches!(timeout(BOUND, back.next()).await, Ok(Some(_))), "the server does not answer");
}

/// A server and the log in it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) partitions: u16,
    pub(crate) shards: u16,
}

impl World {
    /// A new server with the streams of a log.
    pub(crate) async fn new(binary: &Path, partitions: u16, shards: u16) -> Self {
        Self::on(Server::with_streams(binary), partitions, shards).await
    }

    /// The same, of a server with these settings.
    pub(crate) async fn with_settings(binary: &Path, partitions: u16, shards: u16, settings: &str) -> Self {
        Self::on(Server::start(binary, settings), partitions, shards).await
    }

    async fn on(server: Server, partitions: u16, shards: u16) -> Self {
        let world = Self { server, partitions, shards };
        let connections = Connections::open(&options(&world.server)).await.unwrap();
        let drift = world.topology().provision(&connections).await.unwrap();
        assert_eq!(drift, []);
        world
    }

    pub(crate) fn topology(&self) -> Topology {
        Topology { partitions: self.partitions, shards: self.shards, replicas: 1 }
    }

    /// Another process's view of the log: connections and memory of its own.
    pub(crate) async fn open(&self) -> Arc<NatsLog> {
        self.open_with(&log_options()).await
    }

    pub(crate) async fn open_with(&self, log_options: &NatsLogOptions) -> Arc<NatsLog> {
        let connections = Connections::open(&options(&self.server)).await.unwrap();
        let identity = identity(self.partitions, self.shards);
        NatsLog::open(&connections, &identity, log_options).await.unwrap()
    }
}
