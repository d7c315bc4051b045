//! A command of an inbox: where it stands, and what became of it.

use std::time::Duration;

use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::order::Command;
use retailflow_engine::wire::Outcome;
use tokio::time::Instant;

/// What became of one command.
#[derive(Debug, Clone, PartialEq)]
pub struct IntakeEvent {
    /// Its position in the inbox.
    pub position: u64,
    /// The order it was for, when it could be told.
    pub order: Option<OrderRef>,
    /// Its outcome.
    pub outcome: Outcome,
    /// It was put into the dead-letter store.
    pub dead_lettered: bool,
    /// Sending it again later may end otherwise: it was given up.
    pub given_up: bool,
    /// From its being read to its outcome.
    pub latency: Duration,
}

/// How an intake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeSummary {
    /// Commands read.
    pub received: u64,
    /// The inbox was read to its end; otherwise the intake was stopped.
    pub finished: bool,
}

pub(super) struct FinishedCommand {
    pub(super) event: IntakeEvent,
    pub(super) partition: Option<PartitionId>,
    /// It is recorded, parked, dead-lettered, or refused for good. Otherwise the floor stays below it, and whoever reads
    /// the inbox again tries again.
    pub(super) is_final: bool,
}

/// A command and where it stands.
pub(super) struct PendingCommand {
    pub(super) position: u64,
    pub(super) command: Command,
    pub(super) since: Instant,
}
