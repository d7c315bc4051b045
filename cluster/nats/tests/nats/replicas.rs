//! Three servers that keep each stream three times.
//!
//! Each reopening is done in another way: connected to another server, after the streams' leaders stepped down, after one
//! server was killed, and with that one back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use retailflow_engine::ports::PortFuture;
use retailflow_nats::{Connections, NatsLog, NatsLogOptions, NatsOptions, Topology};
use retailflow_testkit::deadlines::LogWithDeadlines;
use retailflow_testkit::{Subject, deadlines, event_log};
use serde_json::json;

use crate::nats::{Server, server_or_skip};
use crate::raw::Raw;
use crate::world::{identity, log_options};

const BOUND: Duration = Duration::from_secs(30);

/// Three servers and the log in them.
pub(crate) struct Replicas {
    pub(crate) servers: Vec<Server>,
    topology: Topology,
    opened: AtomicUsize,
}

/// Attempts until one works: leaders are being elected.
struct Attempts(&'static str, std::time::Instant, tokio::time::Interval);

impl Attempts {
    fn at(what: &'static str) -> Self {
        Self(what, std::time::Instant::now(), tokio::time::interval(Duration::from_millis(50)))
    }

    async fn failed(&mut self, error: String) {
        assert!(self.1.elapsed() < BOUND, "{}: {error}", self.0);
        self.2.tick().await;
    }
}

impl Replicas {
    /// New servers, with empty streams.
    pub(crate) async fn begin(binary: &Path, partitions: u16, shards: u16) -> Self {
        let topology = Topology { partitions, shards, replicas: 3 };
        let replicas = Self { servers: Server::cluster(binary, 3), topology, opened: AtomicUsize::new(0) };
        replicas.empty().await;
        replicas
    }

    /// Makes the streams anew.
    async fn empty(&self) {
        let mut attempts = Attempts::at("the streams are made");
        while let Err(error) = self.try_empty().await {
            attempts.failed(error).await;
        }
    }

    async fn try_empty(&self) -> Result<(), String> {
        for shard in 0..self.topology.shards {
            self.api(&format!("STREAM.DELETE.RF_LOG_{shard}")).await?;
        }
        let connections = Connections::open(&self.options()).await.map_err(|error| error.to_string())?;
        let drift = self.topology.provision(&connections).await.map_err(|error| error.to_string())?;
        assert_eq!(drift, []);
        Ok(())
    }

    /// Another process's view, through another server each time.
    pub(crate) async fn open_with(&self, options: &NatsLogOptions) -> Arc<NatsLog> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let mut attempts = Attempts::at("the log opens");
        loop {
            match self.try_open(options).await {
                Ok(log) => return log,
                Err(error) => attempts.failed(error).await,
            }
        }
    }

    async fn try_open(&self, options: &NatsLogOptions) -> Result<Arc<NatsLog>, String> {
        let connections = Connections::open(&self.options()).await.map_err(|error| error.to_string())?;
        let identity = identity(self.topology.partitions, self.topology.shards);
        NatsLog::open(&connections, &identity, options).await.map_err(|error| error.to_string())
    }

    fn options(&self) -> NatsOptions {
        let mut servers: Vec<String> = self.servers.iter().map(Server::url).collect();
        servers.rotate_left(self.opened.load(Ordering::Relaxed) % 3);
        NatsOptions { servers, request_timeout_ms: 2_000, ..NatsOptions::default() }
    }

    async fn api(&self, what: &str) -> Result<(), String> {
        let up = self.servers.iter().find(|server| server.is_up()).unwrap();
        Raw::connect(up).await.try_api(what, &json!({})).await.map(drop)
    }

    async fn step_down(&self) {
        for shard in 0..self.topology.shards {
            drop(self.api(&format!("STREAM.LEADER.STEPDOWN.RF_LOG_{shard}")).await);
        }
    }
}

/// What the suites run on.
struct Suites<P> {
    replicas: Replicas,
    reopened: usize,
    port: fn(Arc<NatsLog>) -> P,
}

impl<P: Send + 'static> Subject for Suites<P> {
    type Port = P;

    fn fresh(&mut self) -> PortFuture<'_, P> {
        Box::pin(async move {
            for server in &mut self.replicas.servers {
                if !server.is_up() {
                    server.run();
                }
            }
            self.replicas.empty().await;
            (self.port)(self.replicas.open_with(&log_options()).await)
        })
    }

    fn reopen(&mut self, port: P) -> PortFuture<'_, P> {
        drop(port);
        Box::pin(async move {
            self.reopened += 1;
            let one = self.reopened / 30 % 3;
            match self.reopened % 30 {
                1 | 12 => self.replicas.step_down().await,
                4 => self.replicas.servers[one].kill(),
                9 if !self.replicas.servers[one].is_up() => self.replicas.servers[one].run(),
                _ => {}
            }
            (self.port)(self.replicas.open_with(&log_options()).await)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_keep_the_contract() {
    let Some(binary) = server_or_skip("three_replicas_keep_the_contract") else { return };
    let port: fn(Arc<NatsLog>) -> event_log::Log = |log| log;
    let replicas = Replicas::begin(&binary, 4, 2).await;
    let mut suites = Suites { replicas, reopened: 0, port };
    event_log::suite(&mut suites).await;
    let port: fn(Arc<NatsLog>) -> LogWithDeadlines =
        |log| LogWithDeadlines { log: log.clone(), deadlines: log };
    let Suites { replicas, reopened, .. } = suites;
    deadlines::suite(&mut Suites { replicas, reopened, port }).await;
}
