//! What the tests share: a server with a log in it.

use std::path::Path;
use std::sync::Arc;

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::LogIdentity;
use retailflow_nats::{Connections, NatsLog, NatsLogOptions, NatsOptions, Topology};

use crate::nats::Server;

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
