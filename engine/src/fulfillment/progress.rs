//! What follows: from a state by itself, and from a step's outcome.

use std::sync::Arc;

use super::step_table::{AskedAmount, is_forward, spec};
use super::steps::{backward, forward};
use crate::ids::TimestampMs;
use crate::order::{
    AUTHORIZATION_EXPIRED, Active, AttentionState, Context, Event, Order, OrderStatus, Policy, ReturnedLine,
    StepAt, StepOutcome, StepStarted, Waiting,
};
use crate::ports::LineUnits;
use crate::wire::command::Step;
use crate::wire::order::Attention;

/// The event that follows from the state by itself, or none: to be asked again after it.
#[must_use]
pub fn advance(order: &Order, context: &Context) -> Option<Event> {
    let saga = &order.saga;
    if saga.active.is_some() || saga.attention.kind() == Attention::Held || saga.archived {
        return None;
    }
    match order.status {
        OrderStatus::Absent | OrderStatus::Canceled => None,
        OrderStatus::Open => Some(match forward(order) {
            Some(step) => go_forward(order, step, context),
            None => status(OrderStatus::Completed, None),
        }),
        OrderStatus::Canceling => Some(match backward(order) {
            Some(step) => start(order, step, context),
            None => status(OrderStatus::Canceled, saga.cancel_reason.clone()),
        }),
        OrderStatus::Completed => {
            let open = saga.open_return()?;
            let step = if open.refunded { Step::Restock } else { Step::Refund };
            Some(start(order, step, context))
        }
    }
}

fn go_forward(order: &Order, step: Step, context: &Context) -> Event {
    let ends = order.saga.authorization_expires;
    let margin_ms = context.policy.authorization_margin_ms;
    let over = ends.is_some_and(|ends| ends <= context.now.plus_ms(margin_ms));
    if step != Step::Capture || !over {
        return start(order, step, context);
    }
    renew(order, context)
}

/// An authorization that is over is asked for anew, a bounded number of times.
fn renew(order: &Order, context: &Context) -> Event {
    if order.saga.cell(Step::Authorize).instance > context.policy.renewals_max {
        let reason = "the authorization ends again and again before it can be captured";
        return attention(Attention::Held, reason);
    }
    start(order, Step::Authorize, context)
}

/// The event by which a step is entered.
fn start(order: &Order, step: Step, context: &Context) -> Event {
    Event::StepStarted(started(order, step, context))
}

fn started(order: &Order, step: Step, context: &Context) -> StepStarted {
    let instance = order.saga.cell(step).instance.saturating_add(1);
    let part = match order.status {
        OrderStatus::Completed => order.saga.open_return().map(|open| open.request.return_id.clone()),
        _ => None,
    };
    asked(order, StepAt { step, instance, generation: 1, part }, context)
}

/// A step as it is asked for.
fn asked(order: &Order, at: StepAt, context: &Context) -> StepStarted {
    let saga = &order.saga;
    let total = order.placed.as_ref().map_or(0, |placed| placed.total_minor);
    let open = saga.open_return().filter(|_| at.part.is_some());
    let amount_minor = match (spec(at.step).amount, open) {
        (AskedAmount::None, _) => 0,
        (AskedAmount::OrderTotal, _) => total,
        (AskedAmount::NotRefunded, Some(open)) => open.request.amount_minor(),
        (AskedAmount::NotRefunded, None) => {
            saga.totals.captured_minor.saturating_sub(saga.totals.refunded_minor)
        }
        (AskedAmount::NotVoided, _) => saga.totals.authorized_minor.saturating_sub(saga.totals.voided_minor),
    };
    let units = open.filter(|_| at.step == Step::Restock).map(|open| {
        let line = |line: &ReturnedLine| LineUnits { line_id: line.line_id.clone(), quantity: line.quantity };
        open.request.lines.iter().map(line).collect()
    });
    let expires = context.now.plus_ms(context.policy.step_deadline_ms);
    StepStarted { at, amount_minor, units, expires }
}

/// The step that the order would enter if it were not held: people may go beyond the limits of the policy.
#[must_use]
pub fn upcoming(order: &Order, context: &Context) -> Option<StepStarted> {
    let mut free = order.clone();
    free.saga.attention = AttentionState::default();
    match advance(&free, context) {
        Some(Event::StepStarted(started)) => Some(started),
        Some(Event::AttentionChanged { .. }) => Some(started(&free, Step::Authorize, context)),
        _ => None,
    }
}

/// The same step again, under the next generation.
fn again(order: &Order, at: &StepAt, context: &Context) -> Event {
    let generation = at.generation.saturating_add(1);
    Event::StepStarted(asked(order, StepAt { generation, ..at.clone() }, context))
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
                let reason = format!("{} is pending beyond its time", at.step.as_str());
                events.push(attention(Attention::Held, &reason));
            }
        }
        StepOutcome::Unknown { reason } => {
            if saga.attention.kind() != Attention::Held {
                let reason = format!("nobody knows what became of {}: {reason}", at.step.as_str());
                events.push(attention(Attention::Held, &reason));
            }
        }
        // Whether it failed or was declined: it is not done, and that is all a turned order wants to know.
        _ if turned_back(order, at.step) => {}
        StepOutcome::Declined { code, .. } if is_forward(at.step) => {
            let over = at.step == Step::Capture && **code == *AUTHORIZATION_EXPIRED;
            events.push(if over {
                renew(order, context)
            } else {
                turn_back(&format!("{} declined: {code}", at.step.as_str()))
            });
        }
        StepOutcome::Declined { code, .. } | StepOutcome::Refused { code, .. } => {
            let forward_again = at.step == Step::CancelShipment && saga.cancel_asked;
            if forward_again {
                let reason = format!("cancellation_refused: {code}");
                events.push(status(OrderStatus::Open, Some(reason.into())));
            } else {
                let reason = format!("{} cannot be done: {code}", at.step.as_str());
                events.push(attention(Attention::Held, &reason));
            }
        }
        StepOutcome::Failed { .. }
        | StepOutcome::Settled { done: false, .. }
        | StepOutcome::Resolved { done: false, .. } => {
            let tries_left = at.generation < context.policy.step_attempts_max;
            let text = format!("{} was not done in {} attempts", at.step.as_str(), at.generation);
            events.push(match is_forward(at.step) {
                _ if tries_left => again(order, at, context),
                true => turn_back(&text),
                false => attention(Attention::Held, &text),
            });
        }
    }
    events
}

fn refunded(order: &Order, ended: &Active, outcome: &StepOutcome) -> Option<Event> {
    if ended.at.step != Step::Refund {
        return None;
    }
    let payment = order.placed.as_ref().and_then(|placed| placed.payments.first());
    let payment_id = payment.map_or("payment", |payment| &*payment.payment_id).into();
    let amount_minor = ended.done_minor(outcome);
    Some(Event::Refunded { payment_id, return_id: ended.at.part.clone(), amount_minor })
}

/// Is the step one that the order does not want any more?
pub(crate) fn turned_back(order: &Order, step: Step) -> bool {
    order.status == OrderStatus::Canceling && is_forward(step)
}

fn turn_back(reason: &str) -> Event {
    status(OrderStatus::Canceling, Some(reason.into()))
}

fn status(status: OrderStatus, reason: Option<Arc<str>>) -> Event {
    Event::StatusChanged { status, reason }
}

fn attention(attention: Attention, reason: &str) -> Event {
    Event::AttentionChanged { attention, reason: reason.into() }
}

/// When someone must look at an order that stands like this. No open order waits silently (design section 4.8).
#[must_use]
pub fn deadline(order: &Order, now: TimestampMs, policy: &Policy) -> Option<TimestampMs> {
    let saga = &order.saga;
    let reminder = now.plus_ms(policy.reminder_ms);
    match (&saga.active, order.status) {
        _ if saga.archived => None,
        (None, OrderStatus::Absent | OrderStatus::Canceled) => None,
        (None, OrderStatus::Completed) if saga.open_return().is_none() => None,
        // It waits for people, and is not forgotten meanwhile.
        (None, _) => Some(reminder),
        (Some(active), _) => Some(match &active.waiting {
            _ if saga.attention.kind() != Attention::None => reminder,
            // It is looked at, or settled: the answer to that is near, whenever the step itself may end.
            _ if active.asked_again || turned_back(order, active.at.step) => {
                now.plus_ms(policy.step_deadline_ms)
            }
            Waiting::Pending { until: Some(until), .. } if *until > now => *until,
            Waiting::Pending { .. } => now.plus_ms(policy.step_deadline_ms),
            Waiting::Asked if active.expires > now => active.expires,
            Waiting::Asked => now.plus_ms(policy.step_deadline_ms),
        }),
    }
}
