//! What the actors are given: ports, numbers, and a probe for those who want to see them break.

use std::sync::Arc;

use parking_lot::RwLock;
use retailflow_config::Config;
use retailflow_engine::order::Policy;
use retailflow_engine::ports::{
    Clock, DeadLetters, Deadlines, EventLog, Participants, Rng, Snapshots, Tenants,
};
use retailflow_engine::wire::Durability;

use crate::mutant::Mutant;

/// The outside world, as the actors see it.
#[derive(Clone)]
pub struct Ports {
    /// The truth.
    pub log: Arc<dyn EventLog>,
    /// Open orders by their deadline.
    pub deadlines: Arc<dyn Deadlines>,
    /// Who does the steps.
    pub participants: Participants,
    /// States of long orders.
    pub snapshots: Arc<dyn Snapshots>,
    /// Who may have orders.
    pub tenants: Arc<dyn Tenants>,
    /// What belongs to no order.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Time for the record.
    pub clock: Arc<dyn Clock>,
    /// Chance for jitter.
    pub rng: Arc<dyn Rng>,
    /// How durable the log makes a record, as far as is known now.
    pub durability: CurrentDurability,
}

/// How durable the log makes a record: monitoring may find out at run time that it is less than was configured.
#[derive(Debug, Clone)]
pub struct CurrentDurability(Arc<RwLock<Durability>>);

impl From<Durability> for CurrentDurability {
    fn from(durability: Durability) -> Self {
        Self(Arc::new(RwLock::new(durability)))
    }
}

impl CurrentDurability {
    /// What is known.
    #[must_use]
    pub fn get(&self) -> Durability {
        *self.0.read()
    }

    /// Sets what is known.
    pub fn set(&self, durability: Durability) {
        *self.0.write() = durability;
    }
}

/// Where on a command's way an actor asks the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbePoint {
    /// A tenant got a command and has not routed it yet.
    TenantRoute,
    /// An order begins to rebuild itself.
    OrderHydrate,
    /// An order got a command and has not decided it yet.
    OrderDecide,
    /// An order proposed a record and goes on.
    OrderProposed,
    /// An order's record is durable, and no caller has been answered.
    OrderCommitted,
    /// An order has answered.
    OrderAnswered,
    /// A committer is about to append a group.
    CommitterBefore,
    /// A group is durable, and no order has been notified.
    CommitterAfter,
    /// A partition is about to take over.
    PartitionTakeOver,
    /// An effect is about to be driven.
    EffectBefore,
    /// An effect's outcome is known, and its order has not been notified.
    EffectAfter,
}

/// What the probe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeVerdict {
    /// Go on.
    Pass,
    /// Fail here, as by a bug: the supervisor has to deal with it.
    Crash,
}

/// Asked at every point of the way; production has none. Chaos suites crash actors through it.
pub trait Probe: Send + Sync {
    /// The point is reached for `subject` (an order, a tenant, a partition).
    fn at(&self, point: ProbePoint, subject: &str) -> ProbeVerdict;
}

/// Which partitions a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnershipMode {
    /// All of its log, from its start to its end: there is no other node.
    All,
    /// Those that are assigned to it, until they are taken away.
    Assigned,
}

/// Everything an actor needs, shared by all of a node.
#[derive(Clone)]
pub struct Settings {
    /// With which numbers.
    pub config: Config,
    /// The rules in force.
    pub policy: Policy,
    /// The node's name, written into fences for people.
    pub node: String,
    /// Which partitions it runs.
    pub ownership: OwnershipMode,
    /// Whether steps are driven. A node that does not takes commands in and leaves the rest to another one.
    pub drives_effects: bool,
    /// For chaos suites.
    pub probe: Option<Arc<dyn Probe>>,
    /// A mistake made on purpose.
    #[cfg(feature = "mutants")]
    pub mutant: Option<Mutant>,
}

impl Settings {
    /// Settings of a node called `node` that follows `config`.
    #[must_use]
    pub fn new(config: Config, node: impl Into<String>) -> Self {
        let policy = Policy {
            step_deadline_ms: config.orders.step_deadline_ms,
            decisions_max: config.orders.decisions_max,
            step_attempts_max: config.effects.step_attempts_max,
            ..Policy::v1()
        };
        Self {
            config,
            policy,
            node: node.into(),
            ownership: OwnershipMode::All,
            drives_effects: true,
            probe: None,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Is this mistake to be made?
    #[cfg(feature = "mutants")]
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Is this mistake to be made? Never.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn is(&self, _mutant: Mutant) -> bool {
        false
    }

    pub(crate) fn probe(&self, point: ProbePoint, subject: impl Fn() -> String) -> Result<(), ProbeCrash> {
        match &self.probe {
            None => Ok(()),
            Some(probe) => match probe.at(point, &subject()) {
                ProbeVerdict::Pass => Ok(()),
                ProbeVerdict::Crash => Err(ProbeCrash(point)),
            },
        }
    }
}

/// A crash that a chaos suite asked for.
#[derive(Debug, thiserror::Error)]
#[error("crashed on purpose at {0:?}")]
pub(crate) struct ProbeCrash(ProbePoint);
