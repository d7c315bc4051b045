//! The engine's own commands: a step's outcome comes back, a deadline has passed. They need no ids: what they say is
//! about one asking for a step, and an asking ends once.

use std::sync::Arc;

use super::super::event::Event;
use super::super::policy::Context;
use super::super::saga::{Active, Waiting};
use super::super::step::StepAt;
use super::super::step::{StepOutcome, StepStarted};
use super::super::{Order, evolve};
use super::decision::Decision;
use crate::fulfillment::step_table::spec;
use crate::fulfillment::{folded, turned_back};
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
    /// The order's deadline may have passed.
    DeadlinePassed,
}

/// What an engine's command comes to; `None` when it is news no more.
#[must_use]
pub fn decide_engine(order: &Order, command: &EngineCommand, context: &Context) -> Option<Decision> {
    match command {
        EngineCommand::StepOutcome { at, outcome } => step_ended(order, at, outcome, context),
        EngineCommand::DeadlinePassed => deadline_passed(order, context),
    }
}

/// Takes a step's outcome in, and what follows from it. `None` when the order does not wait for it.
pub(super) fn step_ended(
    order: &Order,
    at: &StepAt,
    outcome: &StepOutcome,
    context: &Context,
) -> Option<Decision> {
    let active = order.saga.active.as_ref().filter(|active| active.at == *at)?;
    let outcome = &taken(outcome, active);
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
    decision.push(Event::StepEnded { at: at.clone(), outcome: outcome.clone() });
    for event in folded(&decision.order, active, outcome, context) {
        decision.push(event);
    }
    Some(decision.finish(context))
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
/// that another amount was moved than was asked for has not answered: the books cannot say half a step.
fn taken(outcome: &StepOutcome, active: &Active) -> StepOutcome {
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

fn cut(text: &Arc<str>, max_chars: usize) -> Arc<str> {
    match text.char_indices().nth(max_chars) {
        None => text.clone(),
        Some((end, _)) => text[..end].into(),
    }
}

fn deadline_passed(order: &Order, context: &Context) -> Option<Decision> {
    order.deadline.filter(|deadline| *deadline <= context.now)?;
    let saga = &order.saga;
    let first = match &saga.active {
        Some(active) => match &active.waiting {
            // The same asking once more: whoever has the key looks before anything is done.
            Waiting::Pending { .. } if !active.asked_again && !turned_back(order, active.at.step) => {
                vec![Event::StepStarted(StepStarted {
                    at: active.at.clone(),
                    amount_minor: active.amount_minor,
                    units: active.units.clone(),
                    expires: active.expires,
                })]
            }
            Waiting::Pending { .. } | Waiting::Asked => {
                let late = || format!("{} has no definite answer in time", active.at.step.as_str()).into();
                let (attention, reason) = match saga.attention.kind() {
                    Attention::None => (Attention::Stalled, late()),
                    // It is brought to mind again, with its cause.
                    kind => (kind, saga.attention.reason().cloned().unwrap_or_else(late)),
                };
                vec![Event::AttentionChanged { attention, reason }]
            }
        },
        None => Vec::new(),
    };
    let decision = Decision::of(order, first, context);
    if !decision.events.is_empty() {
        return Some(decision);
    }
    // It is held, and still waits for people.
    let reason = saga.attention.reason().cloned().unwrap_or_else(|| "the order waits for an operator".into());
    let reminder = Event::AttentionChanged { attention: Attention::Held, reason };
    let mut decision = Decision { events: Vec::with_capacity(1), order: order.clone(), note: None };
    evolve(&mut decision.order, &reminder);
    decision.events.push(reminder);
    Some(decision)
}
