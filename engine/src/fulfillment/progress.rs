//! What follows: from a state by itself, and from a step's outcome.

use std::sync::Arc;

use super::generation::SettledKey;
use super::short::canceled_as_short;
use super::step_table::{AskedAmount, is_forward, spec};
use super::steps::{Forward, backward, forward};
use crate::ids::TimestampMs;
use crate::order::{
    AUTHORIZATION_EXPIRED, Active, AttentionState, Context, Event, Order, OrderStatus, Owed, Part,
    PaymentState, Policy, ReturnedLine, StepAt, StepOutcome, StepStarted, Waiting, evolve,
};
use crate::ports::LineUnits;
use crate::wire::command::Step;
use crate::wire::limits::REASON_MAX_CHARS;
use crate::wire::order::Attention;
use crate::wire::payment_rules::OnDecline;

/// The event that follows from the state by itself, or none: to be asked again after it.
#[must_use]
pub fn advance(order: &Order, context: &Context) -> Option<Event> {
    let saga = &order.saga;
    let waits = saga.attention.kind() == Attention::Held || saga.is_on_hold(order.status);
    if saga.active.is_some() || waits || saga.archived {
        return None;
    }
    match order.status {
        OrderStatus::Absent | OrderStatus::Canceled => None,
        // What is to be restocked comes back when it comes: what goes out does not wait for it.
        OrderStatus::Open => match saga.owed_money() {
            Some(owed) => Some(pay_back(order, &owed, context)),
            // Another means of payment is waited for.
            None if saga.waiting_until.is_some() => None,
            None => match forward(order, context.now) {
                Forward::Step(step, number) => Some(go_forward(order, step, number, context)),
                Forward::AwaitGoods => None,
                Forward::Complete => Some(status(OrderStatus::Completed, None)),
            },
        },
        // All of it goes back: what was promised before is a part of that.
        OrderStatus::Canceling => Some(match backward(order) {
            Some((step, number)) => start(order, step, Part::of(step, None, number).write(), context),
            None => status(OrderStatus::Canceled, saga.cancel_reason.clone()),
        }),
        OrderStatus::Completed => Some(pay_back(order, &saga.owed()?, context)),
    }
}

fn go_forward(order: &Order, step: Step, number: usize, context: &Context) -> Event {
    let ends = order.saga.payments.get(number).and_then(|payment| payment.expires);
    let margin_ms = context.policy.authorization_margin_ms;
    let over = ends.is_some_and(|ends| ends <= context.now.plus_ms(margin_ms));
    if step == Step::Capture && over {
        return renew(order, number, context);
    }
    if step == Step::Capture
        && let Some((planned_minor, rest)) = order.split_for_shipment(number)
    {
        return Event::PaymentSplit { payment: number, planned_minor, rest };
    }
    start(order, step, Part::of(step, None, number).write(), context)
}

/// An authorization that is over is asked for anew, a bounded number of times.
fn renew(order: &Order, payment: usize, context: &Context) -> Event {
    let entered = order.saga.payments.get(payment).map_or(0, |payment| payment.entered);
    if entered > order.saga.renewals_max(&context.policy) {
        let reason = "the authorization ends again and again before it can be captured";
        return attention(Attention::Held, reason);
    }
    start(order, Step::Authorize, Part::of(Step::Authorize, None, payment).write(), context)
}

/// The next step of an owed amount: money goes back, and then the goods of a return into stock.
fn pay_back(order: &Order, owed: &Owed<'_>, context: &Context) -> Event {
    let (step, payment) = match owed {
        Owed::Return(open) if open.left_minor() == 0 => (Step::Restock, 0),
        _ => (Step::Refund, order.saga.next_refund(owed, order.saga.payment_rules.refund_order).0),
    };
    start(order, step, Part::of(step, Some(owed.id()), payment).write(), context)
}

/// The event by which a step is entered.
fn start(order: &Order, step: Step, part: Option<Arc<str>>, context: &Context) -> Event {
    let instance = order.saga.cell(step).instance.saturating_add(1);
    Event::StepStarted(asked(order, StepAt { step, instance, generation: 1, part }, context))
}

/// A step as it is asked for.
fn asked(order: &Order, at: StepAt, context: &Context) -> StepStarted {
    let saga = &order.saga;
    let part = at.for_part();
    let owed = part.owed.and_then(|id| saga.owed_as(id));
    let of_payment = |minor: fn(&PaymentState) -> i64| saga.payments.get(part.payment).map_or(0, minor);
    let amount_minor = match (spec(at.step).amount, &owed) {
        (AskedAmount::None, _) => 0,
        // An authorization that stands is over: it is asked for anew.
        (AskedAmount::NotAuthorized, _) => of_payment(PaymentState::open_minor),
        (AskedAmount::ToCapture, _) => of_payment(PaymentState::to_capture_minor),
        (AskedAmount::Held, _) => of_payment(PaymentState::held_minor),
        (AskedAmount::NotRefunded, Some(owed)) => saga.next_refund(owed, saga.payment_rules.refund_order).1,
        (AskedAmount::NotRefunded, None) => of_payment(PaymentState::kept_minor),
    };
    let units = match owed {
        Some(Owed::Return(open)) if at.step == Step::Restock => {
            let line =
                |line: &ReturnedLine| LineUnits { line_id: line.line_id.clone(), quantity: line.quantity };
            let restocked =
                |line: &&ReturnedLine| open.terms.as_ref().is_none_or(|terms| terms.restocks(&line.line_id));
            Some(open.request.lines.iter().filter(restocked).map(line).collect())
        }
        _ => {
            let undoes = order.status == OrderStatus::Canceling;
            saga.goods.as_ref().zip(order.placed.as_ref()).and_then(|(goods, placed)| {
                goods.asked(&at, undoes, (placed, saga.plan.as_deref()), context.now)
            })
        }
    };
    let expires = context.now.plus_ms(context.policy.step_deadline_ms);
    StepStarted { at, amount_minor, units, expires }
}

/// The step that the order would enter if it were not held, with what is recorded before it: people may go beyond the limits
/// of the policy.
#[must_use]
pub fn upcoming(order: &Order, context: &Context) -> Option<(Option<Event>, StepStarted)> {
    let mut free = order.clone();
    free.saga.attention = AttentionState::default();
    let mut next = advance(&free, context);
    let first = next.take_if(|event| matches!(event, Event::PaymentSplit { .. }));
    if let Some(event) = &first {
        evolve(&mut free, event);
        next = advance(&free, context);
    }
    match next {
        Some(Event::StepStarted(started)) => Some((first, started)),
        // People may have an authorization renewed once more.
        Some(Event::AttentionChanged { .. }) => {
            let Forward::Step(_, payment) = forward(&free, context.now) else { return None };
            let instance = free.saga.cell(Step::Authorize).instance.saturating_add(1);
            let part = Part::of(Step::Authorize, None, payment).write();
            let at = StepAt { step: Step::Authorize, instance, generation: 1, part };
            Some((first, asked(&free, at, context)))
        }
        _ => None,
    }
}

/// The same step again, under the next generation.
fn again(order: &Order, settled: SettledKey<'_>, context: &Context) -> Event {
    Event::StepStarted(asked(order, settled.next_generation(), context))
}

/// What follows at once from the outcome of the step that was asked for as `ended`; `order` has taken the outcome in
/// already.
#[must_use]
pub fn folded(order: &Order, ended: &Active, outcome: &StepOutcome, context: &Context) -> Vec<Event> {
    let mut events = Vec::new();
    let saga = &order.saga;
    let at = &ended.at;
    if saga.attention.kind() != Attention::None && !matches!(outcome, StepOutcome::Unknown { .. }) {
        let keeps = matches!(outcome, StepOutcome::Pending { .. });
        if !keeps {
            events.push(attention(Attention::None, "the step was answered"));
        }
    }
    match outcome {
        StepOutcome::Done { .. }
        | StepOutcome::Settled { done: true, .. }
        | StepOutcome::Resolved { done: true, .. } => {
            events.extend(refunded(order, ended, outcome));
        }
        StepOutcome::Skipped { .. } => {}
        StepOutcome::Pending { .. } => {
            if ended.asked_again && saga.attention.kind() == Attention::None {
                events.push(attention(Attention::Held, &pending_text(at.step, outcome)));
            }
        }
        StepOutcome::Unknown { reason } => {
            let reason = format!("nobody knows what became of {}: {reason}", at.step.as_str());
            if saga.attention != AttentionState::new(Attention::Held, reason.as_str().into()) {
                events.push(attention(Attention::Held, &reason));
            }
        }
        // Whether it failed or was declined: it is not done, and that is all a turned order wants to know.
        _ if turned_back(order, at.step) => {}
        // Canceled by the order's own rule: who decides does it.
        _ if !canceled_as_short(order, ended, outcome).is_empty() => {}
        // What was ordered in addition is not to be had: people decide what becomes of the rest.
        StepOutcome::Declined { code, reason, .. } if is_addition(order, at.step) => {
            let reason = format!("{} declined: {}", at.step.as_str(), cause(code, reason));
            events.push(attention(Attention::Held, &reason));
        }
        StepOutcome::Declined { code, reason, .. } if is_forward(at.step) => {
            let over = at.step == Step::Capture && **code == *AUTHORIZATION_EXPIRED;
            let payment = at.for_part().payment;
            // What has gone is not taken back for a payment of the rest: another means may pay for it.
            let waits = at.step == Step::Authorize
                && (saga.payment_rules.on_decline == OnDecline::Wait || has_gone(order, at.step));
            events.extend(if over && saga.is_on_hold(order.status) {
                // It is renewed when the last hold is released.
                None
            } else if over {
                Some(renew(order, payment, context))
            } else if waits {
                let until = context.now.plus_ms(saga.payment_rules.payment_wait_ms);
                Some(Event::PaymentAwaited { payment, until })
            } else if has_gone(order, at.step) {
                let reason = format!("{} declined: {}", at.step.as_str(), cause(code, reason));
                Some(attention(Attention::Held, &reason))
            } else {
                Some(turn_back(&format!("{} declined: {}", at.step.as_str(), cause(code, reason))))
            });
        }
        StepOutcome::Declined { code, reason, .. } | StepOutcome::Refused { code, reason } => {
            let forward_again = at.step == Step::CancelShipment && saga.cancel_asked;
            if forward_again {
                let reason = format!("cancellation_refused: {}", cause(code, reason));
                events.push(status(OrderStatus::Open, Some(bounded(&reason))));
            } else {
                let reason = format!("{} cannot be done: {}", at.step.as_str(), cause(code, reason));
                events.push(attention(Attention::Held, &reason));
            }
        }
        // Without the proof that its key is settled nothing is asked for anew: this build records no such outcome.
        StepOutcome::Failed { .. }
        | StepOutcome::Settled { done: false, .. }
        | StepOutcome::NotDone { .. }
        | StepOutcome::Resolved { done: false, .. } => {
            let text = not_done_text(ended, outcome);
            let settled =
                SettledKey::of(ended, outcome).filter(|_| at.generation < saga.attempts_max(&context.policy));
            events.extend(match settled {
                // The key is settled: the step is begun anew when the last hold is released.
                Some(_) if saga.is_on_hold(order.status) => None,
                // Money was charged back meanwhile: what is left is asked for anew, if anything is.
                Some(_) if is_charged_back(order, ended) => None,
                // What it should give up is wanted again.
                Some(_) if is_wanted_again(order, at, context.now) => None,
                Some(settled) => Some(again(order, settled, context)),
                None if is_forward(at.step) && !is_addition(order, at.step) && !has_gone(order, at.step) => {
                    Some(turn_back(&text))
                }
                None => Some(attention(Attention::Held, &text)),
            });
        }
    }
    events
}

/// Is the refund not to be asked for again as it was, because the customer has money from the bank?
fn is_charged_back(order: &Order, ended: &Active) -> bool {
    let saga = &order.saga;
    let touched = saga.payments.iter().any(|payment| payment.charged_back_minor > 0);
    if !touched || ended.at.step != Step::Refund {
        return false;
    }
    let part = ended.at.for_part();
    let now = match part.owed {
        Some(id) => saga.owed_as(id).map(|owed| saga.next_refund(&owed, saga.payment_rules.refund_order)),
        None => saga.payments.get(part.payment).map(|payment| (part.payment, payment.kept_minor())),
    };
    now != Some((part.payment, ended.amount_minor))
}

/// Does the step reserve what came to an order of which something is reserved?
fn is_addition(order: &Order, step: Step) -> bool {
    step == Step::Reserve && order.saga.goods.as_ref().is_some_and(|goods| goods.stands(step))
}

/// Has a part of the order gone, so that it cannot turn back because of what `step` says of the rest? Of a shipment that
/// cannot be paid only what went before it has.
#[must_use]
pub fn has_gone(order: &Order, step: Step) -> bool {
    let shipments = order
        .saga
        .goods
        .as_ref()
        .map_or(0, |goods| goods.shipments.iter().filter(|shipment| !shipment.units.is_empty()).count());
    shipments > usize::from(step == Step::Capture && order.saga.totals.captured_minor == 0)
}

/// Is the step one that gave up what was not wanted any more, and is wanted now?
fn is_wanted_again(order: &Order, at: &StepAt, now: TimestampMs) -> bool {
    let goods = order.saga.goods.as_ref().zip(order.placed.as_ref());
    order.status == OrderStatus::Open
        && at.step == Step::Release
        && goods.is_some_and(|(goods, placed)| {
            goods.asked(at, false, (placed, order.saga.plan.as_deref()), now).is_none()
        })
}

/// Code and words of a participant. Words that only repeat the code are left out.
fn cause(code: &str, reason: &str) -> String {
    if reason.is_empty() || reason == code { code.to_owned() } else { format!("{code} ({reason})") }
}

/// Why a step is given up: how often it was tried, and what was said of it last.
fn not_done_text(ended: &Active, outcome: &StepOutcome) -> String {
    let (step, attempts) = (ended.at.step.as_str(), ended.at.generation);
    let said = match (outcome, &ended.settling) {
        (_, Some(word)) => Some(&word.reason),
        (StepOutcome::NotDone { reason, .. }, None) => reason.as_ref(),
        (StepOutcome::Failed { reason }, None) => Some(reason),
        _ => None,
    };
    let calls = match outcome {
        StepOutcome::NotDone { calls, .. } if *calls > 1 => format!(", the last of {calls} calls"),
        _ => String::new(),
    };
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    format!("{step} was not done in {attempts} attempts{calls}{said}")
}

/// A reason within the contract's limits.
fn bounded(reason: &str) -> Arc<str> {
    match reason.char_indices().nth(REASON_MAX_CHARS) {
        None => reason.into(),
        Some((end, _)) => reason[..end].into(),
    }
}

fn refunded(order: &Order, ended: &Active, outcome: &StepOutcome) -> Option<Event> {
    if ended.at.step != Step::Refund {
        return None;
    }
    let part = ended.at.for_part();
    let payment_id = order.placed.as_ref()?.payment_id(part.payment).into();
    let amount_minor = ended.done_minor(outcome);
    Some(Event::Refunded { payment_id, owed_id: part.owed.map(Into::into), amount_minor })
}

/// Is the step's key being settled: because the order does not want the step any more, or because somebody says that
/// it was not done?
pub(crate) fn is_settling(order: &Order, active: &Active) -> bool {
    active.settling.is_some() || turned_back(order, active.at.step)
}

fn pending_text(step: Step, outcome: &StepOutcome) -> String {
    let step = step.as_str();
    match outcome {
        StepOutcome::Pending { reference, .. } => {
            format!("{step} is pending beyond its time, as {reference}")
        }
        _ => format!("{step} is pending beyond its time"),
    }
}

/// Is the step one that the order does not want any more?
pub(crate) fn turned_back(order: &Order, step: Step) -> bool {
    order.status == OrderStatus::Canceling && is_forward(step)
}

fn turn_back(reason: &str) -> Event {
    status(OrderStatus::Canceling, Some(bounded(reason)))
}

fn status(status: OrderStatus, reason: Option<Arc<str>>) -> Event {
    Event::StatusChanged { status, reason }
}

fn attention(attention: Attention, reason: &str) -> Event {
    Event::AttentionChanged { attention, reason: bounded(reason) }
}

/// When someone must look at an order that stands like this. No open order waits silently (design section 4.8).
#[must_use]
pub fn deadline(order: &Order, now: TimestampMs, policy: &Policy) -> Option<TimestampMs> {
    let own = own_deadline(order, now, policy)?;
    let of_hold = order.saga.next_hold_until().filter(|_| order.saga.is_on_hold(order.status));
    Some(of_hold.map_or(own, |until| own.min(until)))
}

/// The deadline of what is asked for, or waited for, but for the times of holds.
fn own_deadline(order: &Order, now: TimestampMs, policy: &Policy) -> Option<TimestampMs> {
    let saga = &order.saga;
    let reminder = now.plus_ms(policy.reminder_ms);
    let waits_on = saga.is_on_hold(order.status);
    match (&saga.active, order.status) {
        _ if saga.archived => None,
        (None, OrderStatus::Absent | OrderStatus::Canceled) => None,
        (None, OrderStatus::Completed) if saga.owed().is_none() => None,
        // Until another means of payment comes; a time that has passed ends by turning back.
        (None, OrderStatus::Open) if saga.waiting_until.is_some() => {
            // While a hold stands, the order does not turn back for that.
            saga.waiting_until.map(|until| if until <= now && waits_on { reminder } else { until })
        }
        // Until its goods are there.
        (None, OrderStatus::Open) if saga.attention.kind() == Attention::None => {
            Some(order.awaits_goods(now).unwrap_or(reminder))
        }
        // It waits for people, and is not forgotten meanwhile.
        (None, _) => Some(reminder),
        (Some(active), _) => Some(match &active.waiting {
            _ if saga.attention.kind() != Attention::None => reminder,
            // It is looked at, or settled: the answer to that is near, whenever the step itself may end.
            _ if active.asked_again || is_settling(order, active) => now.plus_ms(policy.step_deadline_ms),
            Waiting::Pending { until: Some(until), .. } if *until > now => *until,
            Waiting::Pending { .. } => now.plus_ms(policy.step_deadline_ms),
            Waiting::Asked if active.expires > now => active.expires,
            Waiting::Asked => now.plus_ms(policy.step_deadline_ms),
        }),
    }
}
