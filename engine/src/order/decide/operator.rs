//! What operators ask for.

use std::sync::Arc;

use super::super::command::Actor;
use super::super::event::Event;
use super::super::policy::Context;
use super::super::saga::Waiting;
use super::super::step::{StepOutcome, StepStarted};
use super::super::{Order, OrderStatus};
use super::cancel::turn_back;
use super::decision::{Decision, Denial, plainly, rejected};
use super::engine::step_ended;
use crate::fulfillment::steps::goes_through;
use crate::fulfillment::upcoming;
use crate::wire::Code;
use crate::wire::command::{CompensateData, ResolveStepData, ResolvedAs, ResumeData};
use crate::wire::order::Attention;

/// An order that is held or stalled goes on: what was refused is tried again, what is pending is looked at.
pub(super) fn resume(order: &Order, data: &ResumeData, context: &Context) -> Result<Vec<Event>, Denial> {
    if order.saga.attention.kind() == Attention::None {
        return Err(plainly(Code::NothingToResume));
    }
    let reason = data.reason.as_deref().unwrap_or("resumed by an operator").into();
    let mut events = vec![Event::AttentionChanged { attention: Attention::None, reason }];
    let Some(active) = &order.saga.active else {
        events.extend(upcoming(order, context).map(Event::StepStarted));
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
    let done = data.resolved_as == ResolvedAs::Done;
    let outcome = StepOutcome::Resolved { done, operator, evidence: data.evidence.as_str().into() };
    let not_pending = || plainly(Code::StepNotPending);
    if let Some(active) = &order.saga.active {
        let at = Some(&active.at).filter(|at| at.step == data.step).cloned().ok_or_else(not_pending)?;
        return step_ended(order, &at, &outcome, context).ok_or_else(not_pending);
    }
    let started = upcoming(order, context).filter(|started| started.at.step == data.step);
    let started = started.ok_or_else(not_pending)?;
    let mut decision = Decision { events: Vec::with_capacity(4), order: order.clone(), note: None };
    let at = started.at.clone();
    decision.push(Event::StepStarted(started));
    let ended = step_ended(&decision.order, &at, &outcome, context).ok_or_else(not_pending)?;
    decision.events.extend(ended.events);
    decision.order = ended.order;
    Ok(decision)
}

/// As a cancel, by an operator: also of an order whose cancellation was refused once.
pub(super) fn compensate(order: &Order, data: &CompensateData) -> Result<Vec<Event>, Denial> {
    match order.status {
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
pub(super) fn archive(order: &Order) -> Result<Vec<Event>, Denial> {
    let ended = matches!(order.status, OrderStatus::Completed | OrderStatus::Canceled);
    if !ended || order.saga.active.is_some() || order.saga.open_return().is_some() {
        return Err(plainly(Code::NotTerminal));
    }
    // Its history stays in the log until the archiver has exported it.
    Ok(vec![Event::Archived { location: "log".into() }])
}

pub(super) fn restore(order: &Order) -> Result<Vec<Event>, Denial> {
    if !order.saga.archived {
        return Err(plainly(Code::NotArchived));
    }
    Ok(vec![Event::Restored])
}
