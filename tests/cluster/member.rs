//! A node of a cluster inside the test's process: a runtime, connections and memory of its own, so that it can die whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use retailflow_actors::{
    Node, NodeHandle, OwnershipMode, OwnershipTimeouts, Ports, Settings, run_ownership_loop,
};
use retailflow_config::Config;
use retailflow_engine::ids::{NodeId, TimestampMs};
use retailflow_engine::memory::{MemoryDeadLetters, MemorySnapshots, MemoryTenants};
use retailflow_engine::ports::{Clock, LogIdentity, Participants, Rng};
use retailflow_engine::wire::Durability;
use retailflow_etcd::{EtcdOptions, EtcdOwnership};
use retailflow_nats::event_log::GROUP_RECORDS_MAX;
use retailflow_nats::{Connections, NatsLog, NatsLogOptions, NatsOptions, Topology};
use retailflow_placement::Policy;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::etcd::Etcd;
use crate::support::nats::Server;

pub(super) const PARTITIONS: u16 = 8;
const SHARDS: u16 = 2;
/// etcd counts in seconds; its own least is two.
const TTL_MS: u64 = 3_000;
const TIMES: OwnershipTimeouts =
    OwnershipTimeouts { take_over: Duration::from_secs(10), hand_over: Duration::from_secs(10) };
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        TimestampMs(i64::try_from(since.as_millis()).unwrap())
    }
}

pub(super) struct Chance;

impl Rng for Chance {
    fn next_u64(&self) -> u64 {
        fastrand::u64(..)
    }
}

fn identity() -> LogIdentity {
    LogIdentity {
        log_id: fastrand::u128(..).to_le_bytes(),
        cluster: "test".into(),
        partitions: PARTITIONS,
        shards: SHARDS,
        created: TimestampMs(1),
    }
}

pub(super) fn nats_options(nats: &Server) -> NatsOptions {
    NatsOptions { servers: vec![nats.url()], request_timeout_ms: 10_000, ..NatsOptions::default() }
}

/// Makes the streams of the log.
pub(super) async fn provision(nats: &Server) {
    let connections = Connections::open(&nats_options(nats)).await.unwrap();
    let topology = Topology { partitions: PARTITIONS, shards: SHARDS, replicas: 1 };
    assert_eq!(topology.provision(&connections).await.unwrap(), []);
    connections.close(CLOSES_WITHIN).await;
}

/// A node.
pub(super) struct Member {
    pub(super) node: NodeHandle,
    pub(super) log: Arc<NatsLog>,
    connections: Connections,
    ownership: Arc<EtcdOwnership>,
    end: CancellationToken,
    steward: JoinHandle<()>,
    runtime: Runtime,
}

impl Member {
    /// Joins the cluster; it runs nothing yet.
    pub(super) fn join(nats: &Server, etcd: &Etcd, name: &str, participants: Participants) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (connections, log, node) = runtime.block_on(async {
            let connections = Connections::open(&nats_options(nats)).await.unwrap();
            let options = NatsLogOptions { commit_timeout_ms: 10_000, ..NatsLogOptions::default() };
            let log = NatsLog::open(&connections, &identity(), &options).await.unwrap();
            let ports = Ports {
                log: log.clone(),
                deadlines: log.clone(),
                participants,
                snapshots: Arc::<MemorySnapshots>::default(),
                tenants: Arc::<MemoryTenants>::default(),
                dead_letters: Arc::<MemoryDeadLetters>::default(),
                clock: Arc::new(SystemClock),
                rng: Arc::new(Chance),
                durability: Durability::FSYNC.into(),
            };
            let mut config = Config::default();
            config.log.group_max_records = GROUP_RECORDS_MAX;
            let settings = Settings { ownership: OwnershipMode::Assigned, ..Settings::new(config, name) };
            (connections, log, Node::start(settings, ports).await.unwrap())
        });
        let _within = runtime.enter();
        let options = EtcdOptions {
            endpoints: vec![etcd.url()],
            cluster: "test".into(),
            node: NodeId::parse(name).unwrap(),
            incarnation: fastrand::u64(..),
            weight: 1,
            labels: BTreeMap::new(),
            build: "test".into(),
            admin: None,
            ttl_ms: TTL_MS,
            policy: Policy { partitions: PARTITIONS, dwell_ms: 0, ..Policy::default() },
        };
        let ownership = EtcdOwnership::join(options, Arc::new(SystemClock));
        let end = CancellationToken::new();
        let steward = runtime.spawn(run_ownership_loop(node.clone(), ownership.clone(), TIMES, end.clone()));
        drop(_within);
        Self { node, log, connections, ownership, end, steward, runtime }
    }

    /// Leaves in good order: hands over, gives up its claims, stops.
    pub(super) fn leave(self) {
        let Self { node, log, connections, ownership, end, steward, runtime } = self;
        end.cancel();
        runtime.block_on(async {
            steward.await.unwrap();
            ownership.close().await;
            assert!(node.stop(CLOSES_WITHIN).await.drained);
            assert!(log.close(CLOSES_WITHIN).await);
            connections.close(CLOSES_WITHIN).await;
        });
    }

    /// Dies: nothing of it goes on, nobody is told.
    pub(super) fn die(self) {
        self.runtime.shutdown_background();
    }

    /// Runs something where the node lives.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}
