//! Which of an order's stored events the public hears of.
//!
//! Frozen: each order counts its public events, and who reads them finds a gap by that count. A later build that made an
//! event public which was none before would give numbers anew that are out already; a new public event is a new stored one.

use super::event::Event;
use super::saga::{Active, Waiting};
use super::state::Order;
use super::status::OrderStatus;
use super::step::{StepAt, StepOutcome};
use crate::wire::command::{ShipmentState, Step};

/// Whether the public hears of `event`, of an order that stands as `before` it.
pub(super) fn is_public(before: &Order, event: &Event) -> bool {
    match event {
        Event::Placed(_)
        | Event::ReturnRequested(_)
        | Event::AttentionChanged { .. }
        | Event::Contradicted { .. }
        | Event::ContradictionSeen
        | Event::Archived { .. }
        | Event::Restored
        | Event::HoldPlaced(_)
        | Event::HoldReleased { .. }
        | Event::HoldOverdue { .. }
        | Event::FactRecorded(_)
        | Event::Amended(_)
        | Event::GoodsAwaited { .. }
        | Event::DeliveryAwaited { .. } => true,
        Event::ShipmentMoved { shipment, state, .. } => {
            *state != ShipmentState::Booked
                && before.placed.is_some()
                && before.saga.reference_of(Step::Book, *shipment).is_some()
        }
        Event::StillPending { at, .. } => before
            .saga
            .active
            .as_ref()
            .is_some_and(|active| active.at == *at && matches!(active.waiting, Waiting::Pending { .. })),
        Event::StatusChanged { status, .. } => match status {
            OrderStatus::Completed | OrderStatus::Canceling | OrderStatus::Canceled => true,
            // The cancellation was refused: it goes forward again, and the public hears why.
            OrderStatus::Open => before.status == OrderStatus::Canceling,
            OrderStatus::Absent => false,
        },
        Event::StepEnded { at, outcome } => {
            before.placed.is_some()
                && before.saga.active.as_ref().is_some_and(|active| is_told(active, at, outcome))
        }
        // Asking and settling are the engine's own business; what was paid back is told where its step ends, and why an
        // operator gave a command stands in the order's history.
        Event::StepStarted(_)
        | Event::CancelRequested { .. }
        | Event::Refunded { .. }
        | Event::ReturnRulesSet(_)
        | Event::SettleRequested { .. }
        | Event::Noted { .. }
        | Event::RefundRequested(_)
        | Event::ReturnSplit { .. }
        | Event::PaymentRulesSet(_)
        | Event::PaymentAwaited { .. }
        | Event::PaymentsAdded { .. }
        | Event::PaymentSplit { .. }
        | Event::FlowSet(_)
        // `returned` says it, and `placed`.
        | Event::ReturnTermsSet(_)
        | Event::Related(_) => false,
    }
}

/// Whether the public hears that the step asked for ended so.
fn is_told(active: &Active, at: &StepAt, outcome: &StepOutcome) -> bool {
    if active.at != *at {
        return false;
    }
    match outcome {
        StepOutcome::Done { .. }
        | StepOutcome::Settled { done: true, .. }
        | StepOutcome::Resolved { done: true, .. } => true,
        StepOutcome::Declined { .. } => matches!(at.step, Step::Authorize | Step::Capture),
        // A later look that finds it where it was is no news.
        StepOutcome::Pending { reference, .. } => {
            !matches!(&active.waiting, Waiting::Pending { reference: known, .. } if known == reference)
        }
        StepOutcome::Settled { .. }
        | StepOutcome::NotDone { .. }
        | StepOutcome::Resolved { .. }
        | StepOutcome::Failed { .. }
        | StepOutcome::Unknown { .. }
        | StepOutcome::Refused { .. }
        | StepOutcome::Skipped { .. } => false,
    }
}
