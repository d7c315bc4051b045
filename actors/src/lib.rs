//! Who runs it: supervision trees of ractor actors.
//!
//! Invariants:
//! - An answer comes from committed state, never from tentative state (`order`).
//! - Only the log decides who may write; an actor that lost a race rebuilds (`committer`).
//! - Mailboxes are bounded by permits taken at the door (`admission`); nothing here names an actor globally.
//! - No driver: all there is of the outside comes in through [`Ports`].

mod admission;
mod authorize;
#[cfg(test)]
mod batch_node;
mod committer;
mod committers;
mod context;
mod counts;
mod door;
mod dry_run;
mod effects;
mod floor;
mod handover;
mod health;
mod intake;
#[cfg(test)]
mod isolation;
mod last_committed;
mod messages;
mod mutant;
mod newcomers;
mod node;
mod node_metrics;
mod order;
mod outcome;
mod ownership_loop;
mod parking;
mod partition;
mod partition_table;
mod passivation;
mod reads;
mod resilience;
mod routes;
mod running_effects;
mod supervise;
mod sweeper;
mod tenant;
mod tenants;
mod work;
mod world;

pub use counts::OpenOrderCounts;
pub use effects::EffectCounts;
pub use floor::InboxRegistration;
pub use handover::HandoverReport;
pub use health::PartitionFault;
pub use intake::{Intake, IntakeEvent, IntakeSummary};
pub use messages::{ReleaseCounts, ReleaseError};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use node::{Node, NodeHandle, StartError, StopReport};
pub use ownership_loop::{OwnershipTimeouts, run_ownership_loop};
pub use world::{CurrentDurability, OwnershipMode, Ports, Probe, ProbePoint, ProbeVerdict, Settings};
