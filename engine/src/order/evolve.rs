//! How events change the state. Total: any event on any state gives a state.

use std::sync::Arc;

use super::amended::{amend, pay_by};
use super::owed::{AskedRefund, OpenReturn, Paid, Refund, Return, Split};
use super::payments::{PaymentState, Payments, THE_PAYMENT};
use super::placed::Payment;
use super::planned::plan_mut;
use super::saga::{Active, AttentionState, Earlier, Saga, StepState, Waiting};
use super::step::{StepAt, StepOutcome, StepStarted};
use super::told::is_public;
use super::totals::Total;
use super::{Event, Order, OrderStatus};
use crate::fulfillment::step_table::{Direction, is_forward, spec};
use crate::ids::TimestampMs;
use crate::ports::LineUnits;
use crate::wire::command::Step;
use crate::wire::order::Attention;

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
            order.saga.payments = Payments::planned(placed);
            if !placed.deliveries.is_empty() {
                order.saga.count_goods(placed);
            }
            order.placed = Some(placed.clone());
        }
        Event::StepStarted(started) => start(&mut order.saga, started),
        Event::StepEnded { at, outcome } => end(order, at, outcome),
        Event::CancelRequested { reason } => {
            order.saga.cancel_asked = true;
            order.saga.cancel_reason = Some(reason.clone());
        }
        Event::ReturnRequested(request) => ask_return(order, request),
        Event::RefundRequested(request) => ask_refund(order, request),
        Event::ReturnSplit { return_id, split } => split_return(&mut order.saga, return_id, split),
        // What was paid back is taken in where its step ends.
        Event::Refunded { .. } => {}
        Event::PaymentRulesSet(rules) => order.saga.payment_rules = *rules,
        Event::PaymentAwaited { payment, until } => {
            if let Some(declined) = order.saga.payments.get_mut(*payment) {
                declined.declined = true;
            }
            order.saga.waiting_until = Some(*until);
        }
        Event::PaymentsAdded { payments, .. } => add_payments(order, payments),
        Event::Amended(amended) => amend(order, amended),
        Event::FlowSet(rules) => plan_mut(&mut order.saga).flow = *rules,
        Event::ShipmentMoved { shipment, state, at, .. } => order.saga.shipment_moved(*shipment, *state, *at),
        Event::GoodsAwaited { until } => plan_mut(&mut order.saga).available_from = Some(*until),
        Event::DeliveryAwaited { delivery, until } => {
            plan_mut(&mut order.saga).deliveries_from.push((*delivery, *until));
        }
        Event::PaymentSplit { payment, planned_minor, rest } => {
            split_payment(order, *payment, *planned_minor, rest);
        }
        Event::StillPending { at, until, .. } => order.saga.pending_until(at, *until),
        Event::StatusChanged { status, reason } => {
            let refused = order.status == OrderStatus::Canceling && *status == OrderStatus::Open;
            order.saga.reopened |= order.status == OrderStatus::Completed && *status == OrderStatus::Open;
            order.status = *status;
            order.saga.waiting_until = None;
            match status {
                // Nobody has to look at holds on the way back. If the order goes forward again, they stand.
                OrderStatus::Canceling => order.saga.set_overdue(None, None),
                OrderStatus::Canceled => order.saga.holds = None,
                _ => {}
            }
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
            if *attention == Attention::Held {
                // People decide now what becomes of what was declined.
                order.saga.waiting_until = None;
            }
        }
        Event::Archived { .. } => order.saga.archived = true,
        Event::Restored => order.saga.archived = false,
        Event::ReturnRulesSet(rules) => order.saga.return_rules = *rules,
        Event::SettleRequested { at, word } => {
            if let Some(active) = order.saga.active.as_mut().filter(|active| active.at == *at) {
                active.settling = Some(word.clone());
            }
        }
        Event::Contradicted { at, reference, reason } => {
            order.saga.contradiction = Some((at.step, reason.clone()));
            // Who says so again says nothing new.
            let saga = &mut order.saga;
            if let Some(earlier) = saga.earlier.iter_mut().find(|earlier| earlier.at == *at) {
                earlier.told = true;
                if reference.is_some() {
                    earlier.reference.clone_from(reference);
                }
            }
        }
        Event::ContradictionSeen => order.saga.contradiction = None,
        Event::Noted { .. } => {}
        Event::HoldPlaced(hold) => order.saga.put_on_hold(hold.clone()),
        Event::HoldReleased { name, .. } => order.saga.release_hold(name),
        Event::Related(relation) => order.saga.relation = Some(relation.clone()),
        Event::ReturnTermsSet(terms) => order.saga.set_return_terms(terms),
        Event::FactRecorded(fact) => {
            let placed = order.placed.as_ref();
            let number = fact.payment_id.as_ref().and_then(|id| placed?.payment_number(id));
            order.saga.record(fact.clone(), number);
        }
        Event::HoldOverdue { name, reason } => order.saga.set_overdue(Some(name), Some(reason)),
    }
}

fn start(saga: &mut Saga, started: &StepStarted) {
    let step = started.at.step;
    let before = saga.active.take_if(|active| active.at == started.at);
    let asked_again = before.is_some();
    // A report may come before the look is answered: what it refers to stays, and what was said of it.
    let (waiting, settling) =
        before.map_or((Waiting::Asked, None), |active| (active.waiting, active.settling));
    if step == Step::Authorize
        && !asked_again
        && let Some(payment) = saga.payments.get_mut(started.at.for_part().payment)
    {
        // What is authorized is over: a new one takes its place.
        let over_minor = payment.held_minor();
        payment.voided_minor = payment.voided_minor.saturating_add(over_minor);
        payment.expires = None;
        payment.declined = false;
        if started.at.generation <= 1 {
            payment.entered = payment.entered.saturating_add(1);
        }
        saga.totals.voided_minor = saga.totals.voided_minor.saturating_add(over_minor);
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
        settling,
    });
}

fn end(order: &mut Order, at: &StepAt, outcome: &StepOutcome) {
    let Some(active) = order.saga.active.take_if(|active| active.at == *at) else { return };
    let number = at.number();
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
        StepOutcome::Done { reference, expires, units, .. } => {
            if let (Some(_), Some(placed)) = (units, &order.placed) {
                order.saga.count_goods(placed);
            }
            order.saga.set_reference(at.step, number, reference.clone());
            if at.step == Step::Authorize
                && let Some(payment) = order.saga.payments.get_mut(number)
            {
                payment.expires = *expires;
            }
            done(order, &active, outcome)
        }
        StepOutcome::Settled { done: true, reference } => {
            // Without a reference of the participant's, the key is what both sides know.
            if let Some(reference) = reference {
                order.saga.set_reference(at.step, number, reference.clone());
            }
            done(order, &active, outcome)
        }
        StepOutcome::Resolved { done: true, evidence, .. } => {
            // Later steps must name something: what the participant said last, or what the operator holds.
            let reference = match &active.waiting {
                Waiting::Pending { reference, .. } => reference.clone(),
                Waiting::Asked => evidence.chars().take(REFERENCE_MAX_CHARS).collect::<String>().into(),
            };
            order.saga.set_reference(at.step, number, reference);
            done(order, &active, outcome)
        }
        StepOutcome::Skipped { .. } => StepState::Done,
        StepOutcome::Declined { code, .. } => {
            if at.step == Step::Capture
                && **code == *AUTHORIZATION_EXPIRED
                && let Some(payment) = order.saga.payments.get_mut(number)
            {
                payment.expires = Some(TimestampMs(0));
            }
            if at.step == Step::Authorize
                && let Some(payment) = order.saga.payments.get_mut(number)
            {
                payment.declined = true;
            }
            StepState::Declined
        }
        StepOutcome::Refused { .. } => StepState::Refused,
        StepOutcome::Failed { .. }
        | StepOutcome::Settled { .. }
        | StepOutcome::NotDone { .. }
        | StepOutcome::Resolved { .. } => StepState::NotDone,
    };
    order.saga.cell_mut(at.step).standing = standing;
    order.saga.last_ended = Some((at.step, standing));
    remember(&mut order.saga, active, outcome, standing);
    if at.step == Step::Refund && standing != StepState::Done {
        // Its money may have been charged back while it was in flight.
        order.saga.cover_promises();
    }
}

/// Remembers what the cells do not tell: that an asking was not done, and what its participant calls it where that is
/// no step's reference.
fn remember(saga: &mut Saga, ended: Active, outcome: &StepOutcome, standing: StepState) {
    let pending = match ended.waiting {
        Waiting::Pending { reference, .. } => Some(reference),
        Waiting::Asked => None,
    };
    let is_told = standing == StepState::Done && is_forward(ended.at.step) && pending.is_none();
    if !is_told {
        let reference = pending.or_else(|| outcome.reference().cloned());
        saga.remember(Earlier { at: ended.at, reference, standing, told: false });
    }
}

/// Takes into the books what was done.
fn done(order: &mut Order, active: &Active, outcome: &StepOutcome) -> StepState {
    let ordered = order.placed.as_ref().map_or(0, |placed| placed.units());
    let part = outcome.part();
    let units = part.map_or_else(|| active.unit_count(ordered), |part| units_of(part));
    let amount_minor = active.done_minor(outcome);
    let (saga, spec) = (&mut order.saga, spec(active.at.step));
    saga.totals.add(spec.total, units, amount_minor);
    saga.goods_done(&active.at, part.or(active.units.as_ref()), order.placed.as_deref());
    let part = active.at.for_part();
    if active.at.step.is_of_payment()
        && let Some(payment) = saga.payments.get_mut(part.payment)
    {
        let held_minor = payment.held_minor();
        let sum = match spec.total {
            Total::AuthorizedMinor => &mut payment.authorized_minor,
            Total::VoidedMinor => &mut payment.voided_minor,
            Total::CapturedMinor => &mut payment.captured_minor,
            _ => &mut payment.refunded_minor,
        };
        *sum = sum.saturating_add(amount_minor);
        // Who captures less than is authorized gives the rest up with it.
        if active.at.step == Step::Capture && active.amount_minor < held_minor {
            let rest_minor = payment.held_minor();
            payment.voided_minor = payment.voided_minor.saturating_add(rest_minor);
            saga.totals.voided_minor = saga.totals.voided_minor.saturating_add(rest_minor);
        }
    }
    match part.owed {
        // A return pays back and takes back; what was done on the way forward stays done.
        Some(owed) if active.at.step == Step::Restock => {
            if let Some(returns) = saga.returns.as_mut().map(Arc::make_mut) {
                returns.open.retain(|open| *open.request.return_id != *owed);
            }
        }
        Some(owed) => paid_back(saga, owed, amount_minor, part.payment),
        None => {
            let stands = saga.goods.as_ref().is_some_and(|goods| goods.stands(active.at.step));
            if let (Direction::Backward, Some(undone)) = (spec.direction, spec.acts_on)
                && !stands
            {
                saga.cell_mut(undone).standing = StepState::Undone;
            }
        }
    }
    StepState::Done
}

fn units_of(parts: &[LineUnits]) -> u64 {
    parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.quantity))
}

/// What is left of a payment is paid by a further one of the same means.
fn split_payment(order: &mut Order, payment: usize, planned_minor: i64, rest: &Payment) {
    let Some(placed) = order.placed.as_mut().map(Arc::make_mut) else { return };
    let mut planned: Vec<i64> = order.saga.payments.iter().map(|payment| payment.planned_minor).collect();
    if let Some(planned) = planned.get_mut(payment) {
        *planned = planned_minor;
    }
    planned.push(rest.amount_minor);
    pay_by(&mut order.saga, placed, &planned, std::slice::from_ref(rest));
}

/// A part of an owed amount is paid back.
fn paid_back(saga: &mut Saga, owed: &str, amount_minor: i64, payment: usize) {
    let of_return = saga.returns.as_mut().map(Arc::make_mut).and_then(|returns| {
        returns.open.iter_mut().find(|open| *open.request.return_id == *owed).map(|open| &mut open.paid)
    });
    let paid = of_return.or_else(|| {
        let refunds = saga.refunds.as_mut().map(Arc::make_mut)?;
        let mut asked = refunds.asked.iter_mut();
        asked.find(|asked| *asked.request.refund_id == *owed).map(|asked| &mut asked.paid)
    });
    if let Some(paid) = paid {
        let minor = paid.minor.saturating_add(amount_minor);
        *paid = Paid { minor, from: payment.saturating_add(1), ..*paid };
    }
}

/// What of a return is of components of the order: its lines are paid so much less of their own.
fn split_return(saga: &mut Saga, return_id: &str, split: &Arc<Split>) {
    let Some(returns) = saga.returns.as_mut().map(Arc::make_mut) else { return };
    let Some(open) = returns.open.iter_mut().find(|open| *open.request.return_id == *return_id) else {
        return;
    };
    let refunds = Arc::make_mut(saga.refunds.get_or_insert_default());
    for (line, (line_id, own_minor)) in open.request.lines.iter().zip(split.lines.iter()) {
        let rest_minor = line.amount_minor.saturating_sub(*own_minor);
        add_to(&mut refunds.beside_lines, line_id, rest_minor);
    }
    for (kind, minor) in split.components.iter() {
        add_to(&mut refunds.with_returns, kind, *minor);
    }
    open.split = Some(split.clone());
}

fn add_to<K: PartialEq + Clone>(sums: &mut Vec<(K, i64)>, of: &K, minor: i64) {
    match sums.iter_mut().find(|(one, _)| one == of) {
        Some((_, sum)) => *sum = sum.saturating_add(minor),
        None => sums.push((of.clone(), minor)),
    }
}

fn ask_refund(order: &mut Order, request: &Refund) {
    let payment = request.payment_id.as_ref();
    let payment = payment.and_then(|id| order.placed.as_ref()?.payment_number(id));
    let after_returns = order.saga.returns.as_ref().map_or(0, |returns| returns.count);
    let refunds = Arc::make_mut(order.saga.refunds.get_or_insert_default());
    let paid = Paid::default();
    refunds.asked.push(AskedRefund { request: request.clone(), payment, after_returns, paid });
}

/// Further payments take the place of declined ones.
fn add_payments(order: &mut Order, payments: &[Payment]) {
    let Some(placed) = order.placed.as_mut() else { return };
    let placed = Arc::make_mut(placed);
    if placed.payments.is_empty() {
        let (payment_id, token_ref) = (THE_PAYMENT.into(), "".into());
        placed.payments = [Payment { payment_id, token_ref, amount_minor: placed.total_minor }].into();
    }
    placed.payments = placed.payments.iter().chain(payments).cloned().collect();
    let saga = &mut order.saga;
    for number in 0..saga.payments.count() {
        if let Some(declined) = saga.payments.get_mut(number).filter(|payment| payment.declined) {
            let open_minor = declined.not_authorized_minor();
            declined.planned_minor = declined.planned_minor.saturating_sub(open_minor);
        }
    }
    for payment in payments {
        let planned_minor = payment.amount_minor;
        saga.payments.push(PaymentState { planned_minor, ..PaymentState::default() });
    }
    saga.waiting_until = None;
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
    // What was paid back and has nothing to restock is over.
    returns.open.retain(|open| !open.is_through());
    let paid = Paid::default();
    returns.open.push(OpenReturn { request: request.clone(), split: None, paid, terms: None });
}
