//! The engine's own commands: a step's outcome comes back, a deadline has passed. They need no ids: what they say is
//! about one asking for a step, and an asking ends once.

use std::sync::Arc;

use super::super::event::Event;
use super::super::policy::Context;
use super::super::saga::{Active, StepState, Waiting, Word};
use super::super::step::StepAt;
use super::super::step::{StepOutcome, StepStarted};
use super::super::{Order, OrderStatus};
use super::decision::{Contradiction, Decision, cut};
use super::hold::overdue_now;
use super::part::{cancel_short, done_in_part};
use crate::fulfillment::step_table::spec;
use crate::fulfillment::{folded, has_gone, is_settling};
use crate::ports::LineUnits;
use crate::wire::command::Step;
use crate::wire::limits::{LINES_MAX, NAME_MAX_CHARS, REASON_MAX_CHARS};
use crate::wire::order::Attention;

/// A command of the engine's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineCommand {
    /// A step ended, or its participant took it on.
    StepOutcome {
        /// Which asking.
        at: StepAt,
        /// How.
        outcome: StepOutcome,
    },
    /// The order's deadline may have passed. What was said of its step last, and after how many calls, where that is
    /// known.
    DeadlinePassed {
        /// What the participant said last, or what kept it from answering.
        last: Option<LastWords>,
    },
    /// A report was rejected because the two sides say different things: an operator is told.
    Contradiction(Contradiction),
}

/// What is known of a step that is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWords {
    /// What its participant said last, or what kept it from answering.
    pub reason: Arc<str>,
    /// After how many calls.
    pub calls: u32,
}

/// What an engine's command comes to; `None` when it is news no more.
#[must_use]
pub fn decide_engine(order: &Order, command: &EngineCommand, context: &Context) -> Option<Decision> {
    match command {
        EngineCommand::StepOutcome { at, outcome } => step_ended(order, at, outcome, context),
        EngineCommand::DeadlinePassed { last } => deadline_passed(order, last.as_ref(), context),
        EngineCommand::Contradiction(found) => contradicted(order, found, context),
    }
}

/// Takes a step's outcome in, and what follows from it. `None` when the order does not wait for it.
pub(super) fn step_ended(
    order: &Order,
    at: &StepAt,
    outcome: &StepOutcome,
    context: &Context,
) -> Option<Decision> {
    let Some(active) = order.saga.active.as_ref().filter(|active| active.at == *at) else {
        return late(order, at, outcome, context);
    };
    let outcome = &taken(order, outcome, active);
    let known = match outcome {
        StepOutcome::Pending { .. } => {
            matches!(active.waiting, Waiting::Pending { .. }) && !active.asked_again
        }
        // Of a doubt an operator hears once. An order that is only late does not know of it yet.
        StepOutcome::Unknown { .. } => order.saga.attention.kind() == Attention::Held,
        _ => false,
    };
    if known {
        return None;
    }
    let mut decision = Decision { events: Vec::with_capacity(3), order: order.clone(), note: None };
    if let StepOutcome::Failed { reason } = outcome {
        // That it failed once does not mean that no request under its key is still on its way.
        let word = Word { operator: None, reason: reason.clone() };
        return settles(order, active, word, context);
    }
    decision.push(Event::StepEnded { at: at.clone(), outcome: outcome.clone() });
    for event in folded(&decision.order, active, outcome, context) {
        decision.push(event);
    }
    cancel_short(&mut decision, active, outcome);
    Some(decision.finish(context))
}

/// The key is settled before anything else is asked for; `None` when it is being settled already.
pub(super) fn settles(order: &Order, active: &Active, word: Word, context: &Context) -> Option<Decision> {
    if active.settling.is_some() {
        return None;
    }
    let step = active.at.step.as_str();
    let attention = match &word.operator {
        Some(operator) => {
            let reason = format!(
                "{operator} says that {step} was not done ({}): its participant is asked first, and settles the key",
                word.reason
            );
            Some((Attention::Stalled, reason))
        }
        None if order.saga.attention.kind() != Attention::None => Some((
            Attention::None,
            format!("{step} is reported as failed ({}): its key is settled", word.reason),
        )),
        None => None,
    };
    let mut events = vec![Event::SettleRequested { at: active.at.clone(), word }];
    events.extend(attention.map(|(attention, reason)| Event::AttentionChanged {
        attention,
        reason: cut(&reason.into(), REASON_MAX_CHARS),
    }));
    Some(Decision::of(order, events, context))
}

/// An outcome of an asking that is over. One that was settled as not done, or declined, and is said to be done after
/// all, is never dropped: money or goods may have moved twice.
fn late(order: &Order, at: &StepAt, outcome: &StepOutcome, context: &Context) -> Option<Decision> {
    if !outcome.is_done() {
        return None;
    }
    let earlier = order.saga.earlier.iter().find(|earlier| earlier.at == *at)?;
    if !matches!(earlier.standing, StepState::NotDone | StepState::Declined | StepState::Refused) {
        return None;
    }
    let reference = outcome.reference().map(|reference| cut(reference, NAME_MAX_CHARS));
    let found = Contradiction::done_after_all(order, at, earlier.standing, reference);
    contradicted(order, &found, context)
}

/// An operator is told, once.
fn contradicted(order: &Order, found: &Contradiction, context: &Context) -> Option<Decision> {
    let reason = cut(&found.reason, REASON_MAX_CHARS);
    let saga = &order.saga;
    let of_active = saga.active.as_ref().is_some_and(|active| active.at == found.at);
    let event = if of_active {
        // It ends with the doubt.
        if (saga.attention.kind(), saga.attention.reason()) == (Attention::Held, Some(&reason)) {
            return None;
        }
        Event::AttentionChanged { attention: Attention::Held, reason }
    } else {
        let told = saga.earlier.iter().any(|earlier| earlier.at == found.at && earlier.told)
            || saga.contradiction.as_ref().is_some_and(|(_, known)| *known == reason);
        if told {
            return None;
        }
        Event::Contradicted { at: found.at.clone(), reference: found.reference.clone(), reason }
    };
    Some(Decision::of(order, vec![event], context))
}

/// Why an outcome cannot be one of a step that was asked for with this amount: money of another one was moved.
#[must_use]
pub fn contradiction(step: Step, asked_minor: i64, outcome: &StepOutcome) -> Option<Arc<str>> {
    let moves_money = spec(step).moves_money();
    match outcome {
        StepOutcome::Done { amount_minor: Some(minor), .. } if moves_money && *minor != asked_minor => {
            Some(format!("it says {minor}, and {asked_minor} was asked for").into())
        }
        _ => None,
    }
}

/// An outcome as it goes into the books: texts within the contract's limits, and no step done in part. Whoever says
/// that another amount was moved than was asked for has not answered: the books cannot say half a step. Goods come in parts,
/// of what was asked for.
fn taken(order: &Order, outcome: &StepOutcome, active: &Active) -> StepOutcome {
    if let StepOutcome::Done { reference, amount_minor, expires, units: Some(units) } = outcome {
        return match done_in_part(order, active, units) {
            Ok(units) => StepOutcome::Done {
                reference: reference.clone(),
                amount_minor: *amount_minor,
                expires: *expires,
                units,
            },
            Err(reason) => StepOutcome::Unknown { reason: reason.into() },
        };
    }
    if let Some(reason) = contradiction(active.at.step, active.amount_minor, outcome) {
        return StepOutcome::Unknown { reason };
    }
    match outcome {
        StepOutcome::Declined { code, reason, lines } => StepOutcome::Declined {
            code: cut(code, NAME_MAX_CHARS),
            reason: cut(reason, REASON_MAX_CHARS),
            lines: lines.iter().take(LINES_MAX).map(bounded).collect(),
        },
        StepOutcome::Refused { code, reason } => {
            StepOutcome::Refused { code: cut(code, NAME_MAX_CHARS), reason: cut(reason, REASON_MAX_CHARS) }
        }
        StepOutcome::Failed { reason } => StepOutcome::Failed { reason: cut(reason, REASON_MAX_CHARS) },
        StepOutcome::Unknown { reason } => StepOutcome::Unknown { reason: cut(reason, REASON_MAX_CHARS) },
        StepOutcome::NotDone { reason, calls } => StepOutcome::NotDone {
            reason: reason.as_ref().map(|reason| cut(reason, REASON_MAX_CHARS)),
            calls: *calls,
        },
        StepOutcome::Done { .. }
        | StepOutcome::Pending { .. }
        | StepOutcome::Settled { .. }
        | StepOutcome::Skipped { .. }
        | StepOutcome::Resolved { .. } => outcome.clone(),
    }
}

fn bounded(part: &LineUnits) -> LineUnits {
    LineUnits { line_id: cut(&part.line_id, NAME_MAX_CHARS), quantity: part.quantity }
}

fn deadline_passed(order: &Order, last: Option<&LastWords>, context: &Context) -> Option<Decision> {
    order.deadline.filter(|deadline| *deadline <= context.now)?;
    let asked_for = order.saga.attention.kind() != Attention::None;
    let mut first = overdue_now(order, context.now);
    let waits_on = order.saga.is_on_hold(order.status);
    let told_of_holds = !first.is_empty();
    first.extend(match &order.saga.active {
        // People know already. Nothing happens: only the next reminder is set.
        _ if asked_for => Vec::new(),
        None if !waits_on && order.saga.waiting_until.is_some_and(|until| until <= context.now) => {
            let reason: Arc<str> = "no other means of payment came in time".into();
            vec![if has_gone(order, Step::Authorize) {
                Event::AttentionChanged { attention: Attention::Held, reason }
            } else {
                Event::StatusChanged { status: OrderStatus::Canceling, reason: Some(reason) }
            }]
        }
        None => Vec::new(),
        // The deadline was that of a hold: the step's own comes.
        Some(_) if told_of_holds => Vec::new(),
        // The same asking once more: whoever has the key looks before anything is done.
        Some(active)
            if matches!(active.waiting, Waiting::Pending { .. })
                && !active.asked_again
                && !is_settling(order, active) =>
        {
            vec![Event::StepStarted(StepStarted {
                at: active.at.clone(),
                amount_minor: active.amount_minor,
                units: active.units.clone(),
                expires: active.expires,
            })]
        }
        Some(active) => {
            let reason = cut(&late_text(active, last).into(), REASON_MAX_CHARS);
            vec![Event::AttentionChanged { attention: Attention::Stalled, reason }]
        }
    });
    Some(Decision::of(order, first, context))
}

/// Why a step is stalled: what is known of it, and what was said of it last.
fn late_text(active: &Active, last: Option<&LastWords>) -> String {
    let step = active.at.step.as_str();
    let mut text = match &active.waiting {
        Waiting::Pending { reference, .. } => {
            format!("{step} is pending beyond its time, as {reference}, and has no definite answer")
        }
        Waiting::Asked => format!("{step} has no definite answer in time"),
    };
    if let Some(LastWords { reason, calls }) = last {
        text.push_str(&format!(" after {calls} calls; the last: {reason}"));
    }
    text
}
