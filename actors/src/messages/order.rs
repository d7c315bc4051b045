//! What an order is told, and by whom.

use retailflow_engine::order::{EngineCommand, LastWords, StepAt, StepOutcome};
use retailflow_engine::wire::Code;
use tokio::sync::OwnedSemaphorePermit;

use crate::running_effects::EffectGuard;
use crate::work::Work;

/// What an order is told.
pub(crate) enum OrderMsg {
    /// Decide a command.
    Submit(Work),
    /// What became of proposal `number`.
    Resolved {
        /// Which proposal.
        number: u64,
        /// What became of it.
        proposed: ProposalResult,
    },
    /// Decide a command of the engine's own.
    Engine(EngineDelivery),
    /// Drive what the order asks for.
    Wake,
    /// It was found by looking through the index of open orders.
    Found(ScanHit),
    /// Leave memory if there is nothing to do.
    Passivate,
}

/// What an order is told of its proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProposalResult {
    /// Durable.
    Committed,
    /// Another owner has written the order: rebuild and decide again.
    Conflict,
    /// Not written, and how what it holds is refused: the log takes no more for now.
    Unavailable(Code, String),
    /// Not written, and it will not be: the log takes no record of this size.
    TooLarge(String),
    /// Unknown: answer nothing.
    Lost,
}

/// A command of the engine's own on its way to an order.
pub(crate) struct EngineDelivery {
    pub(crate) command: EngineCommand,
    /// Of the effect whose outcome it is; a deadline comes again by itself.
    guard: Option<EffectGuard>,
}

impl EngineDelivery {
    /// The outcome of a step. `guard`: of the effect whose outcome it is.
    pub(crate) fn outcome(at: StepAt, outcome: StepOutcome, guard: Option<EffectGuard>) -> Self {
        Self { command: EngineCommand::StepOutcome { at, outcome }, guard }
    }

    /// The order's deadline may have passed.
    /// `last`: what is known of its step.
    pub(crate) fn deadline_passed(last: Option<LastWords>) -> Self {
        Self { command: EngineCommand::DeadlinePassed { last }, guard: None }
    }

    /// Its order has it: whatever becomes of the order, it asks again for what it still needs.
    pub(crate) fn mark_received(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.mark_received();
        }
    }
}

/// What the engine itself tells an order.
pub(crate) enum OrderNotice {
    /// Decide this.
    Engine(EngineDelivery),
    /// Drive what the order asks for.
    Wake,
    /// The same for an order that was found by looking through those that are open, or are due.
    Found(ScanHit),
}

impl From<OrderNotice> for OrderMsg {
    fn from(message: OrderNotice) -> Self {
        match message {
            OrderNotice::Engine(news) => Self::Engine(news),
            OrderNotice::Wake => Self::Wake,
            OrderNotice::Found(found) => Self::Found(found),
        }
    }
}

/// Notifies an order that a scan found it. Until the order has looked at itself, it holds one of its partition's permits: a partition whose
/// log hangs holds no other partition's scan up.
pub(crate) struct ScanHit {
    /// Its deadline has passed.
    pub(crate) is_due: bool,
    _permit: OwnedSemaphorePermit,
}

impl ScanHit {
    /// A found order, with one of its partition's permits.
    pub(crate) fn new(is_due: bool, permit: OwnedSemaphorePermit) -> Self {
        Self { is_due, _permit: permit }
    }
}
