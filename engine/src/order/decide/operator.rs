//! What operators ask for.
//!
//! Invariant: an operator says how a step ended only where somebody was asked: it is stalled, held, or pending past its
//! time. "Not done" is believed once its participant has settled the key, never before: what is in flight may be done.

use std::sync::Arc;

use super::super::command::Actor;
use super::super::event::Event;
use super::super::payments::Part;
use super::super::policy::Context;
use super::super::saga::{Active, Waiting, Word};
use super::super::step::{StepAt, StepOutcome, StepStarted};
use super::super::{Order, OrderStatus};
use super::cancel::turn_back;
use super::decision::{Decision, Denial, cut, plainly, rejected};
use super::engine::{settles, step_ended};
use crate::fulfillment::steps::goes_through;
use crate::fulfillment::upcoming;
use crate::wire::Code;
use crate::wire::command::{
    ArchiveData, CompensateData, ResolveStepData, ResolvedAs, RestoreData, ResumeData, Step,
};
use crate::wire::limits::REASON_MAX_CHARS;
use crate::wire::order::Attention;

/// An order that is held or stalled goes on: what was refused is tried again, what is pending is looked at.
pub(super) fn resume(order: &Order, data: &ResumeData, context: &Context) -> Result<Vec<Event>, Denial> {
    let mut events = Vec::with_capacity(2);
    let reason: Arc<str> = data.reason.as_deref().unwrap_or("resumed by an operator").into();
    if order.saga.contradiction.is_some() {
        events.push(Event::ContradictionSeen);
        events.push(Event::Noted { reason: reason.clone() });
    }
    if order.saga.attention.kind() == Attention::None {
        // The step itself goes its way.
        return if events.is_empty() { Err(plainly(Code::NothingToResume)) } else { Ok(events) };
    }
    events.push(Event::AttentionChanged { attention: Attention::None, reason });
    let Some(active) = &order.saga.active else {
        if let Some((first, started)) = upcoming(order, context) {
            events.extend(first);
            events.push(Event::StepStarted(started));
        }
        return Ok(events);
    };
    if matches!(active.waiting, Waiting::Pending { .. }) {
        events.push(Event::StepStarted(StepStarted {
            at: active.at.clone(),
            amount_minor: active.amount_minor,
            units: active.units.clone(),
            expires: active.expires,
        }));
    }
    Ok(events)
}

/// Is the asking the one that is meant?
fn means(data: &ResolveStepData, at: &StepAt) -> bool {
    let part = data.part.as_deref();
    at.step == data.step && part.is_none_or(|part| Part::read(Some(part)) == at.for_part())
}

/// An operator who looked a moment ago may have seen the step of another payment, or of another return. What they know of that one
/// must not be taken for this one.
fn names_one(order: &Order, data: &ResolveStepData) -> Result<(), Denial> {
    let saga = &order.saga;
    let owed = saga.returns.as_ref().map_or(0, |returns| returns.count as usize) + saga.refunds().len();
    let is_of_owed = matches!(data.step, Step::Refund | Step::Restock);
    let lots = saga.goods.as_ref().map_or(0, |goods| goods.lots(data.step).len());
    let of_lots = lots > 1 || saga.active.as_ref().is_some_and(|active| active.at.for_part().lot > 0);
    let several = (data.step.is_of_payment() && saga.payments.count() > 1)
        || (is_of_owed && owed > 1)
        || (lots > 0 && of_lots);
    if several && data.part.is_none() && data.expected_version.is_none() {
        return Err(plainly(Code::AmbiguousStep));
    }
    Ok(())
}

/// An operator knows how a step ended: the one that is asked for, or the one that the held order cannot enter.
pub(super) fn resolve(
    order: &Order,
    data: &ResolveStepData,
    actor: &Actor,
    context: &Context,
) -> Result<Decision, Denial> {
    if !goes_through(order, data.step) {
        return Err(plainly(Code::UnknownStep));
    }
    let operator: Arc<str> = match actor {
        Actor::Tenant => "tenant".into(),
        Actor::Operator(name) => name.clone(),
    };
    names_one(order, data)?;
    let done = data.resolved_as == ResolvedAs::Done;
    let evidence: Arc<str> = data.evidence.as_str().into();
    let not_pending = || plainly(Code::StepNotPending);
    if let Some(active) = &order.saga.active {
        let active = Some(active).filter(|active| means(data, &active.at)).ok_or_else(not_pending)?;
        #[cfg(feature = "mutants")]
        if context.policy.believes_operators && !done {
            let settled = StepOutcome::Settled { done, reference: None };
            return step_ended(order, &active.at, &settled, context).ok_or_else(not_pending);
        }
        if !is_asked(order, active, context) {
            return Err(plainly(Code::NotWaitingForAnOperator));
        }
        if !done {
            let word = Word { operator: Some(operator), reason: evidence };
            return settles(order, active, word, context).ok_or_else(|| {
                let text = "its key is being settled already: its participant is asked whether it was done";
                rejected(Code::NotWaitingForAnOperator, text)
            });
        }
        let at = active.at.clone();
        let outcome = StepOutcome::Resolved { done, operator, evidence };
        return step_ended(order, &at, &outcome, context).ok_or_else(not_pending);
    }
    if order.saga.is_on_hold(order.status) {
        let text = "the order is on hold, and no step is begun: release its holds first";
        return Err(rejected(Code::OnHold, text));
    }
    let next = upcoming(order, context).filter(|(_, started)| means(data, &started.at));
    let (first, started) = next.ok_or_else(not_pending)?;
    if !done {
        // It was never asked for under this key: there is nothing to settle, and it is asked for now.
        let reason = format!("{operator} says that {} was not done: {evidence}", data.step.as_str());
        let reason = cut(&reason.into(), REASON_MAX_CHARS);
        let free = Event::AttentionChanged { attention: Attention::None, reason };
        let events = [Some(free), first, Some(Event::StepStarted(started))];
        return Ok(Decision::of(order, events.into_iter().flatten().collect(), context));
    }
    let outcome = StepOutcome::Resolved { done, operator, evidence };
    let mut decision = Decision { events: Vec::with_capacity(4), order: order.clone(), note: None };
    let at = started.at.clone();
    first.into_iter().for_each(|event| decision.push(event));
    decision.push(Event::StepStarted(started));
    let ended = step_ended(&decision.order, &at, &outcome, context).ok_or_else(not_pending)?;
    decision.events.extend(ended.events);
    decision.order = ended.order;
    Ok(decision)
}

/// Is an operator asked how the active step ended?
fn is_asked(order: &Order, active: &Active, context: &Context) -> bool {
    // A deadline that has passed is recorded as attention a moment later.
    let is_late = order.deadline.is_some_and(|deadline| deadline <= context.now);
    order.saga.attention.kind() != Attention::None || active.asked_again || is_late
}

/// As a cancel, by an operator: also of an order whose cancellation was refused once.
pub(super) fn compensate(order: &Order, data: &CompensateData) -> Result<Vec<Event>, Denial> {
    match order.status {
        OrderStatus::Open if order.saga.reopened => Err(rejected(
            Code::OrderTerminal,
            "the order was completed before goods were exchanged: it can be returned, not undone",
        )),
        OrderStatus::Open => {
            Ok(turn_back(order, data.reason.as_deref().unwrap_or("compensated by an operator").into()))
        }
        OrderStatus::Completed => {
            Err(rejected(Code::OrderTerminal, "the order is completed: it can be returned, not undone"))
        }
        OrderStatus::Absent | OrderStatus::Canceling | OrderStatus::Canceled => {
            Err(plainly(Code::NothingToCompensate))
        }
    }
}

/// Only what has ended, with nothing left to do, goes into the archive.
pub(super) fn archive(order: &Order, data: &ArchiveData) -> Result<Vec<Event>, Denial> {
    let ended = matches!(order.status, OrderStatus::Completed | OrderStatus::Canceled);
    if !ended || order.saga.active.is_some() || order.saga.owed().is_some() {
        return Err(plainly(Code::NotTerminal));
    }
    if order.saga.contradiction.is_some() {
        let text = "both sides contradict each other: look at it and resume the order before it is archived";
        return Err(rejected(Code::NotTerminal, text));
    }
    // Its history stays in the log until the archiver has exported it.
    Ok(noted(Event::Archived { location: "log".into() }, data.reason.as_deref()))
}

pub(super) fn restore(order: &Order, data: &RestoreData) -> Result<Vec<Event>, Denial> {
    if !order.saga.archived {
        return Err(plainly(Code::NotArchived));
    }
    Ok(noted(Event::Restored, data.reason.as_deref()))
}

/// An event that has no place for the reason of its command, and the reason.
fn noted(event: Event, reason: Option<&str>) -> Vec<Event> {
    let mut events = vec![event];
    events.extend(reason.map(|reason| Event::Noted { reason: reason.into() }));
    events
}
