//! What an order is told, and by whom.

use retailflow_engine::order::{EngineCommand, StepAt, StepOutcome};
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
        proposed: Proposed,
    },
    /// Decide a command of the engine's own.
    Engine(EngineNews),
    /// See to it that what the order asks for is driven.
    Wake,
    /// It was found by looking through the index of open orders.
    Found(Found),
    /// Leave memory if there is nothing to do.
    Passivate,
}

/// What an order is told of its proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proposed {
    /// Durable.
    Committed,
    /// Someone else has written the order: rebuild and decide again.
    Conflict,
    /// Not written, and how what it holds is refused: the log takes no more for now.
    Unavailable(Code, String),
    /// Not written, and it will not be: the log takes no record of this size.
    TooLarge(String),
    /// Nobody knows, or nobody may tell: answer nothing.
    Lost,
}

/// A command of the engine's own on its way to an order.
pub(crate) struct EngineNews {
    pub(crate) command: EngineCommand,
    /// Of the effect whose outcome it is; a deadline comes again by itself.
    guard: Option<EffectGuard>,
}

impl EngineNews {
    /// The outcome of a step. `guard`: of the effect whose outcome it is.
    pub(crate) fn outcome(at: StepAt, outcome: StepOutcome, guard: Option<EffectGuard>) -> Self {
        Self { command: EngineCommand::StepOutcome { at, outcome }, guard }
    }

    /// The order's deadline may have passed.
    pub(crate) fn deadline_passed() -> Self {
        Self { command: EngineCommand::DeadlinePassed, guard: None }
    }

    /// Its order has it: whatever becomes of the order, it asks again for what it still needs.
    pub(crate) fn received(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.received();
        }
    }
}

/// What the engine itself tells an order.
pub(crate) enum ToOrder {
    /// Decide this.
    Engine(EngineNews),
    /// See to it that what the order asks for is driven.
    Wake,
    /// The same for an order that was found by looking through those that are open, or are due.
    Found(Found),
}

impl From<ToOrder> for OrderMsg {
    fn from(message: ToOrder) -> Self {
        match message {
            ToOrder::Engine(news) => Self::Engine(news),
            ToOrder::Wake => Self::Wake,
            ToOrder::Found(found) => Self::Found(found),
        }
    }
}

/// Tells an order that it was found. Until it has looked at itself, it takes one of its partition's turns: a partition
/// whose log hangs keeps no other one's orders from being found.
pub(crate) struct Found {
    /// Its deadline has passed.
    pub(crate) is_due: bool,
    _turn: OwnedSemaphorePermit,
}

impl Found {
    /// An order was found, in one of its partition's turns.
    pub(crate) fn new(is_due: bool, turn: OwnedSemaphorePermit) -> Self {
        Self { is_due, _turn: turn }
    }
}
