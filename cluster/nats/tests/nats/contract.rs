//! The engine's contract suites on the log in JetStream.
//!
//! Each reopening is done in another way: with a new process's memory on the running server, and after the server was
//! killed and started again.

use std::path::PathBuf;
use std::sync::Arc;

use retailflow_engine::ports::PortFuture;
use retailflow_nats::NatsLog;
use retailflow_testkit::deadlines::LogWithDeadlines;
use retailflow_testkit::{Subject, deadlines, event_log};

use crate::nats::server_or_skip;
use crate::world::World;

struct Clusters<P> {
    binary: PathBuf,
    partitions: u16,
    shards: u16,
    world: Option<World>,
    reopened: usize,
    port: fn(Arc<NatsLog>) -> P,
}

impl<P: Send + 'static> Subject for Clusters<P> {
    type Port = P;

    fn fresh(&mut self) -> PortFuture<'_, P> {
        Box::pin(async move {
            self.world = None;
            let world = World::new(&self.binary, self.partitions, self.shards).await;
            let log = world.open().await;
            self.world = Some(world);
            (self.port)(log)
        })
    }

    fn reopen(&mut self, port: P) -> PortFuture<'_, P> {
        drop(port);
        Box::pin(async move {
            self.reopened += 1;
            let world = self.world.as_mut().unwrap();
            if self.reopened % 8 == 1 {
                world.server.kill();
                world.server.run();
            }
            (self.port)(world.open().await)
        })
    }
}

const TOPOLOGIES: [(u16, u16); 3] = [(1, 1), (4, 1), (4, 3)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_keeps_the_contract() {
    let Some(binary) = server_or_skip("the_log_keeps_the_contract") else { return };
    for (partitions, shards) in TOPOLOGIES {
        let port: fn(Arc<NatsLog>) -> event_log::Log = |log| log;
        let binary = binary.clone();
        event_log::suite(&mut Clusters { binary, partitions, shards, world: None, reopened: 0, port }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_keep_the_contract() {
    let Some(binary) = server_or_skip("deadlines_keep_the_contract") else { return };
    for (partitions, shards) in TOPOLOGIES {
        let port: fn(Arc<NatsLog>) -> LogWithDeadlines =
            |log| LogWithDeadlines { log: log.clone(), deadlines: log };
        let binary = binary.clone();
        deadlines::suite(&mut Clusters { binary, partitions, shards, world: None, reopened: 0, port }).await;
    }
}
