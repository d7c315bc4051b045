//! The order: an event-sourced aggregate.
//!
//! Invariant: an order is what its recorded decisions say, folded one after another; nothing else changes it.
//! `decide` and `evolve` are pure and synchronous. [`Aggregate`] adds what makes outcomes unique (ids, chain, revision);
//! [`Draft`] decides many commands into one record (combining).

mod aggregate;
mod command;
mod convert;
mod decide;
mod draft;
mod event;
mod evolve;
mod glance;
mod lone;
mod publish;
mod saga;
mod saga_stored;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;
mod waiting;

pub use aggregate::{Aggregate, FoldError, RecordedOutcome, Seen, Times, Verdict};
pub use command::{Actor, Command};
pub use decide::{Context, Decision, Denial, EngineCommand, Policy, contradiction, decide, decide_engine};
pub use draft::{Draft, Drafted, SealedDraft};
pub use event::{Component, Delivery, Event, Line, Payment, Placed, SealedPart, StepOutcome, StepStarted};
pub(crate) use evolve::AUTHORIZATION_EXPIRED;
pub use evolve::evolve;
pub use glance::Glance;
pub use lone::{LoneDecision, LoneRecord, MoneyStep, lone_record};
pub use publish::{Incoming, PARKED_INDEX, Published, StepDone, publish_parked};
pub use saga::{
    Active, AttentionNow, Cell, OpenReturn, Return, ReturnedLine, Returns, Saga, Standing, StepAt, Totals,
    Waiting,
};
pub use view::{history, payment_summary, view, view_of};
pub use waiting::waiting_command;

use std::sync::Arc;

use crate::ids::TimestampMs;

/// Where an order stands as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderStatus {
    /// Nothing was placed under this id.
    #[default]
    Absent,
    /// Placed, and on its way.
    Open,
    /// All was done.
    Completed,
    /// What was done is being undone.
    Canceling,
    /// All that was done has been undone.
    Canceled,
}

/// The state that decisions are made on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Counts applied commands; rejections leave it as it is.
    pub version: u64,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was placed.
    pub placed: Option<Arc<Placed>>,
    /// How far it has come, and back.
    pub saga: Saga,
    /// When someone must look at it again.
    pub deadline: Option<TimestampMs>,
}
