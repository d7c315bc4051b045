//! The order: an event-sourced aggregate.
//!
//! Invariant: an order is what its recorded decisions say, folded one after another; nothing else changes it.
//! `decide` and `evolve` are pure and synchronous. [`Aggregate`] adds what makes outcomes unique (ids, chain, revision);
//! [`Draft`] decides many commands into one record (combining).

mod aggregate;
mod amended;
mod beside;
mod command;
mod convert;
mod decide;
mod draft;
mod dry_run;
mod event;
mod evolve;
mod facts;
mod goods;
mod goods_done;
mod goods_stored;
mod happened;
mod holds;
mod owed;
mod parts;
mod payments;
mod payments_stored;
mod placed;
mod plan;
mod planned;
mod policy;
mod promised;
mod publish;
mod relation;
mod return_terms;
mod saga;
mod saga_stored;
mod shares;
mod shipments;
mod shop_stored;
mod snapshot;
mod state;
mod status;
mod step;
mod step_record;
mod summary_state;
#[cfg(test)]
mod tests;
mod told;
mod totals;
mod view;
mod view_amended;
mod view_payments;
mod waiting;

pub use aggregate::{Aggregate, FoldError, Lookup, OperatorAct, RecordedOutcome, Remark, Times, Verdict};
pub use amended::{Amended, LineChange};
pub use beside::{Fact, Hold, LineTerms, ReturnTerms};
pub use command::{Actor, Command};
pub use decide::{
    Contradiction, Decision, Denial, EngineCommand, LastWords, contradiction, decide, decide_engine,
};
pub use draft::{Draft, Drafted, SealedDraft};
pub use dry_run::{DryRun, dry_run};
pub use event::Event;
pub(crate) use evolve::AUTHORIZATION_EXPIRED;
pub use evolve::evolve;
pub use goods::{Goods, Lot};
pub use owed::{AskedRefund, OpenReturn, Owed, Paid, Refund, Refunds, Return, ReturnedLine, Returns, Split};
pub use payments::{Part, PaymentState, Payments};
pub use placed::{Component, Delivery, DeliveryPart, Line, Payment, Placed, SealedPart};
pub use plan::Plan;
pub use policy::{Context, Policy};
pub use publish::{Incoming, PARKED_INDEX, Published, StepDone, publish_parked, publish_unparked};
pub use saga::{Active, AttentionState, Cell, Earlier, Saga, StepState, Waiting, Word, held_step};
pub use state::Order;
pub use status::OrderStatus;
pub use step::{StepAt, StepOutcome, StepStarted};
pub use summary_state::SummaryState;
pub use totals::{Total, Totals};
pub use view::{history, history_entry, view, view_of};
pub use view_payments::payment_summary;
pub use waiting::waiting_command;
