//! A participant's report on a step that it had taken on.

use super::super::Order;
use super::super::policy::Context;
use super::super::saga::{StepState, Waiting};
use super::super::step::StepOutcome;
use super::decision::{Decision, Denial, plainly, refused, rejected};
use super::engine::step_ended;
use crate::fulfillment::steps::goes_through;
use crate::wire::Code;
use crate::wire::command::{ReportData, ReportOutcome};

/// Code of a report that gives none.
const DECLINED: &str = "declined";

pub(super) fn report(order: &Order, data: &ReportData, context: &Context) -> Result<Decision, Denial> {
    if !goes_through(order, data.step) {
        return Err(plainly(Code::UnknownStep));
    }
    let active = order.saga.active.as_ref().filter(|active| active.at.step == data.step);
    let Some(active) = active else { return Err(over(order, data)) };
    match &active.waiting {
        Waiting::Pending { reference, .. } if **reference == *data.reference => {}
        Waiting::Pending { .. } => return Err(plainly(Code::ReferenceMismatch)),
        Waiting::Asked => {
            // The report has overtaken the answer that it belongs to. Rejecting it would lose it.
            let text = "the step's own answer is still on its way; send the same report again";
            return Err(refused(Code::Unavailable, text));
        }
    }
    let reason = || data.reason.as_deref().unwrap_or("the participant gave no reason").into();
    let outcome = match data.outcome {
        ReportOutcome::Done => StepOutcome::Done {
            reference: data.reference.as_str().into(),
            amount_minor: data.amount_minor.map(|amount| amount.minor()),
            expires: None,
        },
        ReportOutcome::Declined => {
            StepOutcome::Declined { code: DECLINED.into(), reason: reason(), lines: Vec::new() }
        }
        ReportOutcome::Failed => StepOutcome::Failed { reason: reason() },
    };
    let at = active.at.clone();
    step_ended(order, &at, &outcome, context).ok_or_else(|| {
        // It is in doubt already, and a report of another amount than was asked for does not end that.
        rejected(Code::ConflictingReport, "the report names another amount than was asked for")
    })
}

/// The step is over, or has not begun: does the report say what is known?
fn over(order: &Order, data: &ReportData) -> Denial {
    let other = match order.saga.cell(data.step).standing {
        StepState::Open => false,
        StepState::Done | StepState::Undone => data.outcome != ReportOutcome::Done,
        StepState::Declined => data.outcome != ReportOutcome::Declined,
        StepState::NotDone | StepState::Refused => data.outcome == ReportOutcome::Done,
    };
    plainly(if other { Code::ConflictingReport } else { Code::StepNotPending })
}
