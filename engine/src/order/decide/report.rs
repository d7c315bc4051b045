//! A participant's report on a step that it had taken on.
//!
//! The reference is compared before anything else: who names one that was never given says nothing of this order. What
//! is said then ends the same way whatever attention the order asks for.

use std::sync::Arc;

use super::super::Order;
use super::super::payments::Part;
use super::super::policy::Context;
use super::super::saga::{Active, StepState, Waiting, Word};
use super::super::step::{StepAt, StepOutcome};
use super::decision::{Contradiction, Decision, Denial, plainly, refused, rejected_at};
use super::engine::{contradiction, settles, step_ended};
use super::{shipment, waits};
use crate::fulfillment::steps::goes_through;
use crate::ports::LineUnits;
use crate::wire::Code;
use crate::wire::command::{ReportData, ReportOutcome, Restock, ShipmentState, Step};

/// Code of a report that gives none.
const DECLINED: &str = "declined";
const NO_REASON: &str = "the participant gave no reason";

pub(super) fn report(order: &Order, data: &ReportData, context: &Context) -> Result<Decision, Denial> {
    if !goes_through(order, data.step) {
        return Err(plainly(Code::UnknownStep));
    }
    if let Some(number) = shipment::is_booked(order, data) {
        return shipment::moved(order, number, data, context);
    }
    let active = order.saga.active.as_ref().filter(|active| active.at.step == data.step);
    let active = match active.map(|active| (active, &active.waiting)) {
        Some((active, Waiting::Pending { reference, .. })) if **reference == *data.reference => active,
        _ => return Err(of_another(order, active, data)),
    };
    if data.outcome == ReportOutcome::Pending {
        return waits::still_pending(order, active, data, context);
    }
    let part = named_units(order, active, data)?;
    let reason: Arc<str> = data.reason.as_deref().unwrap_or(NO_REASON).into();
    let outcome = match data.outcome {
        ReportOutcome::Done => StepOutcome::Done {
            reference: data.reference.as_str().into(),
            amount_minor: data.amount_minor.map(|amount| amount.minor()),
            expires: None,
            units: part,
        },
        ReportOutcome::Declined => StepOutcome::Declined { code: DECLINED.into(), reason, lines: Vec::new() },
        // Decided above.
        ReportOutcome::Pending => return Err(plainly(Code::StepNotPending)),
        ReportOutcome::Failed => {
            // No request under its key may be on its way when the step is asked for again.
            let word = Word { operator: None, reason };
            return settles(order, active, word, context).ok_or_else(|| plainly(Code::StepNotPending));
        }
    };
    if let Some(what) = contradiction(active.at.step, active.amount_minor, &outcome) {
        let step = active.at.step.as_str();
        return Err(Denial::Conflict {
            message: format!("the report names another amount than was asked for: {what}"),
            found: Contradiction {
                at: active.at.clone(),
                reference: None,
                reason: format!("{step} is reported as done, as {}: {what}", data.reference).into(),
            },
        });
    }
    let ended = step_ended(order, &active.at, &outcome, context);
    let mut decision = ended.ok_or_else(|| plainly(Code::StepNotPending))?;
    // It is booked, and on its way already.
    let number = active.at.number();
    if let Some(state) = data.shipment.filter(|state| *state != ShipmentState::Booked)
        && decision.order.saga.shipment(number).is_some()
    {
        decision.push(shipment::event(number, data, state, context));
    }
    Ok(decision)
}

/// The report names another reference than the step waits for, or the step waits for none: is it one that was given,
/// and does the report say what is known of it?
fn of_another(order: &Order, active: Option<&Active>, data: &ReportData) -> Denial {
    let saga = &order.saga;
    if let Some(earlier) = saga.called(data.step, &data.reference) {
        return over(order, data, &earlier.at, earlier.standing);
    }
    if let Some(number) = saga.number_called(data.step, &data.reference) {
        let cell = saga.cell(data.step);
        let part = Part::of(data.step, None, number).write();
        let at = StepAt { step: data.step, instance: cell.instance, generation: 1, part };
        return over(order, data, &at, StepState::Done);
    }
    match active.map(|active| &active.waiting) {
        // The report has overtaken the answer that it belongs to. Rejecting it would lose it.
        Some(Waiting::Asked) => {
            let text = "the step's own answer is still on its way; send the same report again";
            refused(Code::Unavailable, text)
        }
        Some(Waiting::Pending { .. }) => plainly(Code::ReferenceMismatch),
        None if saga.cell(data.step).instance == 0 => plainly(Code::StepNotPending),
        None => plainly(Code::ReferenceMismatch),
    }
}

/// What the reference stands for is over: does the report say what is known? Otherwise somebody has to look at both
/// sides.
fn over(order: &Order, data: &ReportData, at: &StepAt, standing: StepState) -> Denial {
    if data.outcome == ReportOutcome::Pending {
        // It was said before it was over, and came late.
        return plainly(Code::StepNotPending);
    }
    let says_done = data.outcome == ReportOutcome::Done;
    let agrees = match standing {
        StepState::Done | StepState::Undone => says_done,
        StepState::Declined => data.outcome == ReportOutcome::Declined,
        StepState::Open | StepState::NotDone | StepState::Refused => !says_done,
    };
    if agrees {
        return plainly(Code::StepNotPending);
    }
    let found = if says_done {
        Contradiction::done_after_all(order, at, standing, Some(data.reference.as_str().into()))
    } else {
        let (step, says) = (data.step.as_str(), data.outcome.as_str());
        let known = if standing == StepState::Declined { "declined" } else { "done" };
        let reason = data.reason.as_deref().unwrap_or(NO_REASON);
        let reference = &data.reference;
        let text =
            format!("{step} was {known}, as {reference}, and its participant reports now: {says} ({reason})");
        Contradiction { at: at.clone(), reference: None, reason: text.into() }
    };
    Denial::Conflict { message: found.reason.to_string(), found }
}

/// A report of the lines of a step is one of all its units: this version takes no step that is done in part.
fn named_units(
    order: &Order,
    active: &Active,
    data: &ReportData,
) -> Result<Option<Arc<[LineUnits]>>, Denial> {
    let Some(placed) = order.placed.as_ref().filter(|_| !data.lines.is_empty()) else { return Ok(None) };
    let asked = |line_id: &str| match &active.units {
        Some(units) => units.iter().find(|part| *part.line_id == *line_id).map(|part| part.quantity),
        None => {
            placed.lines.iter().find(|line| *line.line_id == *line_id).map(|line| u64::from(line.quantity))
        }
    };
    // Goods are set aside and booked in parts; what moves money, or undoes something, is done whole.
    let in_parts = data.outcome == ReportOutcome::Done && matches!(data.step, Step::Reserve | Step::Book);
    let mut named: Vec<LineUnits> = Vec::with_capacity(data.lines.len());
    for (number, part) in data.lines.iter().enumerate() {
        let path = format!("data.lines[{number}]");
        let Some(units) = asked(&part.line_id) else {
            let text = format!("the step is not about a line {:?}", part.line_id);
            return Err(rejected_at(format_args!("lines[{number}].line_id"), Code::UnknownLine, text));
        };
        let quantity = u64::from(part.quantity);
        if quantity > units {
            let text = format!("the step is about {units} units of line {:?}, not {quantity}", part.line_id);
            return Err(rejected_at(format_args!("lines[{number}].quantity"), Code::UnknownLine, text));
        }
        if quantity != units && !in_parts {
            let text = format!(
                "{path}.quantity: the step is about {units} units of line {:?}, and is reported whole or not at all",
                part.line_id
            );
            return Err(refused(Code::UnsupportedValue, text));
        }
        named.push(LineUnits { line_id: part.line_id.as_str().into(), quantity });
        if part.restock.is_some() || part.condition.is_some() {
            let (restock, condition) = (part.restock.map(Restock::as_str), part.condition.as_deref());
            let text = format!(
                "{path}: restock {restock:?} and condition {condition:?} are said of units that come back alone"
            );
            return Err(refused(Code::UnsupportedValue, text));
        }
        if let Some(amount) = part.amount_minor {
            let text = format!(
                "{path}.amount_minor: {amount} is no amount of the whole step: give that one as data.amount_minor"
            );
            return Err(refused(Code::UnsupportedValue, text));
        }
    }
    let count =
        |units: &[LineUnits]| units.iter().fold(0, |sum: u64, part| sum.saturating_add(part.quantity));
    let all = active.unit_count(placed.units());
    if count(&named) == all {
        return Ok(None);
    }
    if in_parts {
        return Ok(Some(named.into()));
    }
    let text = format!("data.lines: the step is about {all} units, and is reported whole or not at all");
    Err(refused(Code::UnsupportedValue, text))
}
