//! How events change the state. Total: any event on any state gives a state.

use std::sync::Arc;

use super::saga::{Active, AttentionState, OpenReturn, Return, Saga, StepState, Waiting};

use super::step::{StepAt, StepOutcome, StepStarted};
use super::told::is_public;
use super::{Event, Order, OrderStatus};
use crate::fulfillment::step_table::{Direction, spec};
use crate::ids::TimestampMs;
use crate::wire::command::Step;

/// Longest reference, as `wire::limits` has it for names.
const REFERENCE_MAX_CHARS: usize = 128;
/// The code with which a payment provider says that an authorization is over.
pub(crate) const AUTHORIZATION_EXPIRED: &str = "authorization_expired";

/// The state after `event`.
pub fn evolve(order: &mut Order, event: &Event) {
    order.told = order.told.saturating_add(u64::from(is_public(order, event)));
    match event {
        Event::Placed(placed) => {
            order.status = OrderStatus::Open;
            order.placed = Some(placed.clone());
        }
        Event::StepStarted(started) => start(&mut order.saga, started),
        Event::StepEnded { at, outcome } => end(order, at, outcome),
        Event::CancelRequested { reason } => {
            order.saga.cancel_asked = true;
            order.saga.cancel_reason = Some(reason.clone());
        }
        Event::ReturnRequested(request) => ask_return(order, request),
        Event::Refunded { return_id: Some(return_id), .. } => {
            if let Some(returns) = order.saga.returns.as_mut().map(Arc::make_mut)
                && let Some(open) = returns.open.iter_mut().find(|open| open.request.return_id == *return_id)
            {
                open.refunded = true;
            }
        }
        // What a canceled order was paid back is in the totals.
        Event::Refunded { return_id: None, .. } => {}
        Event::StatusChanged { status, reason } => {
            let refused = order.status == OrderStatus::Canceling && *status == OrderStatus::Open;
            order.status = *status;
            if refused {
                order.saga.cancel_refused = true;
                order.saga.cancel_asked = false;
                order.saga.cancel_reason = None;
            } else if reason.is_some() {
                order.saga.cancel_reason.clone_from(reason);
            }
        }
        Event::AttentionChanged { attention, reason } => {
            order.saga.attention = AttentionState::new(*attention, reason.clone());
        }
        Event::Archived { .. } => order.saga.archived = true,
        Event::Restored => order.saga.archived = false,
        Event::ReturnRulesSet(rules) => order.saga.return_rules = *rules,
    }
}

fn start(saga: &mut Saga, started: &StepStarted) {
    let step = started.at.step;
    let before = saga.active.take_if(|active| active.at == started.at);
    let asked_again = before.is_some();
    // A report may come before the look is answered: what it refers to stays.
    let waiting = before.map_or(Waiting::Asked, |active| active.waiting);
    if step == Step::Authorize && saga.is_done(Step::Authorize) {
        // It is over: a new one takes its place.
        saga.totals.voided_minor = saga.totals.authorized_minor;
        saga.authorization_expires = None;
    }
    let cell = saga.cell_mut(step);
    cell.instance = started.at.instance;
    cell.standing = StepState::Open;
    saga.active = Some(Active {
        at: started.at.clone(),
        amount_minor: started.amount_minor,
        units: started.units.clone(),
        expires: started.expires,
        waiting,
        asked_again,
    });
}

fn end(order: &mut Order, at: &StepAt, outcome: &StepOutcome) {
    let Some(active) = order.saga.active.take_if(|active| active.at == *at) else { return };
    let standing = match outcome {
        StepOutcome::Pending { reference, until } => {
            let waiting = Waiting::Pending { reference: reference.clone(), until: *until };
            order.saga.active = Some(Active { waiting, asked_again: false, ..active });
            return;
        }
        StepOutcome::Unknown { .. } => {
            order.saga.active = Some(active);
            return;
        }
        StepOutcome::Done { reference, expires, .. } => {
            order.saga.set_reference(at.step, reference.clone());
            if at.step == Step::Authorize {
                order.saga.authorization_expires = *expires;
            }
            done(order, &active, outcome)
        }
        StepOutcome::Settled { done: true, reference } => {
            // Without a reference of the participant's, the key is what both sides know.
            if let Some(reference) = reference {
                order.saga.set_reference(at.step, reference.clone());
            }
            done(order, &active, outcome)
        }
        StepOutcome::Resolved { done: true, evidence, .. } => {
            // Later steps must name something: what the participant said last, or what the operator holds.
            let reference = match &active.waiting {
                Waiting::Pending { reference, .. } => reference.clone(),
                Waiting::Asked => evidence.chars().take(REFERENCE_MAX_CHARS).collect::<String>().into(),
            };
            order.saga.set_reference(at.step, reference);
            done(order, &active, outcome)
        }
        StepOutcome::Skipped { .. } => StepState::Done,
        StepOutcome::Declined { code, .. } => {
            if at.step == Step::Capture && **code == *AUTHORIZATION_EXPIRED {
                order.saga.authorization_expires = Some(TimestampMs(0));
            }
            StepState::Declined
        }
        StepOutcome::Refused { .. } => StepState::Refused,
        StepOutcome::Failed { .. } | StepOutcome::Settled { .. } | StepOutcome::Resolved { .. } => {
            StepState::NotDone
        }
    };
    order.saga.cell_mut(at.step).standing = standing;
}

/// Takes into the books what was done.
fn done(order: &mut Order, active: &Active, outcome: &StepOutcome) -> StepState {
    let ordered = order.placed.as_ref().map_or(0, |placed| placed.units());
    let units = active.unit_count(ordered);
    let amount_minor = active.done_minor(outcome);
    let (saga, spec) = (&mut order.saga, spec(active.at.step));
    saga.totals.add(spec.total, units, amount_minor);
    match &active.at.part {
        // A return pays back and takes back; what was done on the way forward stays done.
        Some(part) if active.at.step == Step::Restock => {
            if let Some(returns) = saga.returns.as_mut().map(Arc::make_mut) {
                returns.open.retain(|open| open.request.return_id != *part);
            }
        }
        Some(_) => {}
        None => {
            if let (Direction::Backward, Some(undone)) = (spec.direction, spec.acts_on) {
                saga.cell_mut(undone).standing = StepState::Undone;
            }
        }
    }
    StepState::Done
}

fn ask_return(order: &mut Order, request: &Return) {
    let Some(placed) = &order.placed else { return };
    let returns = Arc::make_mut(order.saga.returns.get_or_insert_default());
    returns.count = returns.count.saturating_add(1);
    returns.by_line.resize(placed.lines.len(), (0, 0));
    for part in request.lines.iter() {
        let at = placed.lines.iter().position(|line| *line.line_id == *part.line_id);
        if let Some(sums) = at.and_then(|at| returns.by_line.get_mut(at)) {
            sums.0 = sums.0.saturating_add(part.quantity);
            sums.1 = sums.1.saturating_add(part.amount_minor);
        }
    }
    let refunded = request.amount_minor() == 0;
    returns.open.push(OpenReturn { request: request.clone(), refunded });
}
