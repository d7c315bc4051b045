//! The steps in a stored event, as an order's history shows them to programs.

use super::convert::step_from_stored;
use crate::codec::v1::{EventV1, StepOutcomeV1};
use crate::wire::order::{StepRecord, StepResult};

/// The step that a stored event is about, if it is about one.
pub(super) fn step_record(event: &EventV1) -> Option<StepRecord> {
    let (step, part, (result, reference)) = match event {
        EventV1::StepStarted { step, part, .. } => (step, part, (StepResult::AskedFor, None)),
        EventV1::StepEnded { step, part, outcome, .. } => (step, part, ended(outcome)),
        _ => return None,
    };
    let reference = reference.cloned();
    Some(StepRecord { step: step_from_stored(*step), part: part.clone(), result, reference })
}

fn ended(outcome: &StepOutcomeV1) -> (StepResult, Option<&String>) {
    match outcome {
        StepOutcomeV1::Done { reference, .. } => (StepResult::Done, Some(reference)),
        StepOutcomeV1::Pending { reference, .. } => (StepResult::Pending, Some(reference)),
        StepOutcomeV1::Settled { done: true, reference } => (StepResult::Done, reference.as_ref()),
        StepOutcomeV1::Settled { done: false, reference } => (StepResult::NotDone, reference.as_ref()),
        StepOutcomeV1::Resolved { done: true, .. } => (StepResult::Done, None),
        StepOutcomeV1::Resolved { done: false, .. } | StepOutcomeV1::NotDone { .. } => {
            (StepResult::NotDone, None)
        }
        StepOutcomeV1::Declined { .. } => (StepResult::Declined, None),
        StepOutcomeV1::Refused { .. } => (StepResult::Refused, None),
        StepOutcomeV1::Failed { .. } => (StepResult::Failed, None),
        StepOutcomeV1::Unknown { .. } => (StepResult::Unknown, None),
        StepOutcomeV1::Skipped { .. } => (StepResult::Skipped, None),
    }
}
