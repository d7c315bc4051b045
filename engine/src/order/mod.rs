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
mod happened;
mod lone;
mod placed;
mod policy;
mod publish;
mod saga;
mod saga_stored;
mod shares;
mod snapshot;
mod state;
mod status;
mod step;
mod summary_state;
#[cfg(test)]
mod tests;
mod told;
mod totals;
mod view;
mod waiting;

pub use aggregate::{Aggregate, FoldError, Lookup, RecordedOutcome, Remark, Times, Verdict};
pub use command::{Actor, Command};
pub use decide::{Decision, Denial, EngineCommand, contradiction, decide, decide_engine};
pub use draft::{Draft, Drafted, SealedDraft};
pub use event::Event;
pub(crate) use evolve::AUTHORIZATION_EXPIRED;
pub use evolve::evolve;
pub use lone::{LoneDecision, LoneRecord, MoneyStep, lone_record};
pub use placed::{Component, Delivery, Line, Payment, Placed, SealedPart};
pub use policy::{Context, Policy};
pub use publish::{Incoming, PARKED_INDEX, Published, StepDone, publish_parked, publish_unparked};
pub use saga::{
    Active, AttentionState, Cell, OpenReturn, Return, ReturnedLine, Returns, Saga, StepState, Waiting,
};
pub use state::Order;
pub use status::OrderStatus;
pub use step::{StepAt, StepOutcome, StepStarted};
pub use summary_state::SummaryState;
pub use totals::{Total, Totals};
pub use view::{history, payment_summary, view, view_of};
pub use waiting::waiting_command;
