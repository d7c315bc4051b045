//! Who runs it: supervision trees of ractor actors.
//!
//! Invariants:
//! - An answer comes from committed state, never from tentative state (`order`).
//! - Only the log decides who may write; an actor that lost a race rebuilds (`committer`).
//! - Mailboxes are bounded by permits taken at the door (`admission`); nothing here names an actor globally.
//! - No driver: all there is of the outside comes in through [`Ports`].

mod admission;
mod attempt;
mod backlog;
mod committer;
mod counts;
mod deliveries;
mod door;
mod effects;
mod floor;
mod health;
mod held;
mod holding;
mod hydrate;
mod intake;
#[cfg(test)]
mod isolation;
mod mutant;
mod newcomers;
mod node;
mod order;
mod outcome;
mod parking;
mod partition;
#[cfg(test)]
mod quiet;
mod reads;
mod release;
mod residents;
mod resilience;
mod sight;
mod steward;
mod supervise;
mod sweeper;
mod tenant;
mod tenants;
mod tenants_route;
mod undriven;
mod who;
mod world;

pub use counts::Standing;
pub use effects::EffectCounts;
pub use floor::Following;
pub use health::PartitionTrouble;
pub use holding::HandedOver;
pub use intake::{Intake, IntakeEvent, IntakeSummary};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use node::{Node, NodeHandle, StartError, StopReport};
pub use release::{ReleaseError, Released};
pub use steward::{StewardTimes, steward};
pub use world::{DurabilityNow, Holds, Ports, Probe, ProbePoint, Settings, Verdict as ProbeVerdict};
