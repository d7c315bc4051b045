//! For tests: a node in memory that drives no step, under a clock that stands.

use std::sync::Arc;

use retailflow_config::Config;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::memory::{MemoryDeadLetters, MemoryLog, MemorySnapshots, MemoryTenants};
use retailflow_engine::ports::{
    Clock, Deadlines, EventLog, KeyStanding, LogIdentity, Participant, Participants, PortFuture, Rng,
    Settlement, Snapshots, StepAnswer, StepRequest,
};
use retailflow_engine::wire::Durability;
use retailflow_testkit::author::CONTEXT;

use crate::world::{OwnershipMode, Ports, Probe, Settings};
use crate::{Node, NodeHandle};

/// The node and what it stands on.
pub(crate) struct BatchNode {
    pub(crate) node: NodeHandle,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) letters: Arc<MemoryDeadLetters>,
}

impl BatchNode {
    pub(crate) async fn start(probe: Option<Arc<dyn Probe>>) -> Self {
        Self::on(Arc::new(MemoryLog::new(Self::identity())), "test", OwnershipMode::All, probe).await
    }

    /// One that is configured so.
    pub(crate) async fn with(config: Config) -> Self {
        let log = Arc::new(MemoryLog::new(Self::identity()));
        let settings = Settings { drives_effects: false, ..Settings::new(config, "test") };
        Self::of(settings, log.clone(), log, Arc::new(NullPorts)).await
    }

    fn identity() -> LogIdentity {
        LogIdentity {
            log_id: [1; 16],
            cluster: "test".into(),
            partitions: 1,
            shards: 1,
            created: TimestampMs(0),
        }
    }

    /// One of the nodes on a log.
    pub(crate) async fn on(
        log: Arc<MemoryLog>,
        name: &str,
        ownership: OwnershipMode,
        probe: Option<Arc<dyn Probe>>,
    ) -> Self {
        let settings =
            Settings { drives_effects: false, ownership, probe, ..Settings::new(Config::default(), name) };
        let deadlines = log.clone();
        Self::of(settings, log, deadlines, Arc::new(NullPorts)).await
    }

    /// One that drives what orders ask for.
    pub(crate) async fn driving(
        log: Arc<MemoryLog>,
        deadlines: Arc<dyn Deadlines>,
        name: &str,
        ownership: OwnershipMode,
        participant: Arc<dyn Participant>,
    ) -> Self {
        let settings = Settings { ownership, ..Settings::new(Config::default(), name) };
        Self::of(settings, log, deadlines, participant).await
    }

    /// The same, with these snapshots.
    pub(crate) async fn remembering(
        log: Arc<MemoryLog>,
        deadlines: Arc<dyn Deadlines>,
        snapshots: Arc<dyn Snapshots>,
        name: &str,
        ownership: OwnershipMode,
        participant: Arc<dyn Participant>,
    ) -> Self {
        let settings = Settings { ownership, ..Settings::new(Config::default(), name) };
        Self::made_of(settings, log, deadlines, snapshots, participant).await
    }

    pub(crate) async fn of(
        settings: Settings,
        log: Arc<MemoryLog>,
        deadlines: Arc<dyn Deadlines>,
        participant: Arc<dyn Participant>,
    ) -> Self {
        Self::made_of(settings, log, deadlines, Arc::<MemorySnapshots>::default(), participant).await
    }

    pub(crate) async fn made_of(
        settings: Settings,
        log: Arc<MemoryLog>,
        deadlines: Arc<dyn Deadlines>,
        snapshots: Arc<dyn Snapshots>,
        participant: Arc<dyn Participant>,
    ) -> Self {
        let letters = Arc::<MemoryDeadLetters>::default();
        let node =
            Self::node(settings, log.clone(), deadlines, snapshots, participant, letters.clone()).await;
        Self { node, log, letters }
    }

    /// A node on any log, that drives no step.
    pub(crate) async fn undriven(
        settings: Settings,
        log: Arc<dyn EventLog>,
        deadlines: Arc<dyn Deadlines>,
    ) -> NodeHandle {
        let settings = Settings { drives_effects: false, ..settings };
        let snapshots = Arc::<MemorySnapshots>::default();
        Self::node(settings, log, deadlines, snapshots, Arc::new(NullPorts), Arc::default()).await
    }

    async fn node(
        settings: Settings,
        log: Arc<dyn EventLog>,
        deadlines: Arc<dyn Deadlines>,
        snapshots: Arc<dyn Snapshots>,
        participant: Arc<dyn Participant>,
        dead_letters: Arc<MemoryDeadLetters>,
    ) -> NodeHandle {
        let ports = Ports {
            log,
            deadlines,
            participants: Participants {
                inventory: participant.clone(),
                payments: participant.clone(),
                shipping: participant.clone(),
                review: participant,
            },
            snapshots,
            tenants: Arc::<MemoryTenants>::default(),
            dead_letters,
            clock: Arc::new(NullPorts),
            rng: Arc::new(NullPorts),
            durability: Durability::MEMORY.into(),
        };
        Node::start(settings, ports).await.unwrap()
    }
}

/// Time that stands, chance that has none, and nobody who does a step.
struct NullPorts;

impl Clock for NullPorts {
    fn now(&self) -> TimestampMs {
        CONTEXT.now
    }
}

impl Rng for NullPorts {
    fn next_u64(&self) -> u64 {
        7
    }
}

impl Participant for NullPorts {
    fn perform<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        unreachable!("nothing is driven")
    }

    fn query<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        unreachable!("nothing is driven")
    }

    fn settle<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        unreachable!("nothing is driven")
    }
}
