//! The release of a parked order: what is asked for, what the task that does it tells its tenant, and what came of it.

use retailflow_engine::ids::OrderRef;
use tokio::sync::oneshot;

use crate::work::Work;

/// What became of the commands that waited behind a parked order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseCounts {
    /// Commands read from the queue: all of the others together.
    pub commands: u64,
    /// Applied now.
    pub applied: u64,
    /// Rejected now: all that were discarded, where the order could record it.
    pub rejected: u64,
    /// Decided before: commands that were queued twice, or that a release decided which was broken off.
    pub replayed: u64,
    /// Put among the dead letters, because the order could record nothing of them.
    pub dead_lettered: u64,
}

/// Why an order was not released. It stays parked, with what waits behind it, unless it was not parked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// There is nothing to release.
    #[error("the order is not parked")]
    NotParked,
    /// Someone else does it.
    #[error("the order is being released already")]
    UnderWay,
    /// The order crashed again.
    #[error("the order crashed again at the waiting command {sequence}, and stays parked: {why}")]
    Crashed {
        /// At which command.
        sequence: u64,
        /// Why, for people.
        why: String,
    },
    /// A command could not be read.
    #[error("the waiting command {sequence} cannot be read, and the order stays parked: {why}")]
    Unreadable {
        /// Which command; 0 where even that cannot be read.
        sequence: u64,
        /// Why, for people.
        why: String,
    },
    /// The order would not take a command now.
    #[error("the waiting command {sequence} cannot be decided now, and the order stays parked: {why}")]
    Stuck {
        /// Which command.
        sequence: u64,
        /// Why, for people.
        why: String,
    },
    /// The log cannot be read or written now.
    #[error("the order cannot be released now, and stays parked: {0}")]
    Unavailable(String),
    /// The answer was lost: ask again.
    #[error("it is not known whether the order was released; ask again")]
    Lost,
}

/// What an operator asks for a parked order.
pub(crate) struct ReleaseRequest {
    pub(crate) order: OrderRef,
    pub(crate) operator: Box<str>,
    pub(crate) discard: bool,
    pub(crate) reply: oneshot::Sender<Result<ReleaseCounts, ReleaseError>>,
}

/// What the task needs of the tenant.
pub(crate) enum DrainCommand {
    /// Give this to the order, though it is parked.
    Command(Work),
    /// Queue nothing more behind its mark; answered when nothing is on its way there.
    Hold(oneshot::Sender<()>),
    /// There is more: queue again.
    Resume,
    /// All is decided since it was held: take the mark away.
    End {
        /// Who wants it.
        operator: Box<str>,
        /// Answered with whether the mark was removed; `false`: more commands came.
        reply: oneshot::Sender<Result<bool, String>>,
    },
    /// The release was aborted.
    Aborted,
}

/// Why an order ended while it was released.
pub(crate) struct Crash {
    pub(crate) why: String,
    /// It is not the order's own fault.
    pub(crate) passing: bool,
}
