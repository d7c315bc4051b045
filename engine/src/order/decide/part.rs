//! Goods that are set aside or booked in part.

use std::sync::Arc;

use super::super::Order;
use super::super::event::Event;
use super::super::goods::LOTS_MAX;
use super::super::saga::{Active, AttentionState};
use super::super::step::StepOutcome;
use super::amend::canceled;
use super::decision::{Decision, Denial, cut};
use crate::fulfillment::canceled_as_short;
use crate::ports::LineUnits;
use crate::wire::command::Step;
use crate::wire::limits::REASON_MAX_CHARS;
use crate::wire::order::Attention;

/// Units that a participant says were done, as they go into the books: none where those are all that it was asked for.
/// Otherwise why it cannot be so.
pub(super) fn done_in_part(
    order: &Order,
    active: &Active,
    units: &[LineUnits],
) -> Result<Option<Arc<[LineUnits]>>, String> {
    let Some(placed) = &order.placed else { return Ok(None) };
    let asked_units = active.unit_count(placed.units());
    let mut done: Vec<LineUnits> = Vec::with_capacity(units.len().min(placed.lines.len()));
    for part in units.iter().filter(|part| part.quantity > 0) {
        let asked = match &active.units {
            Some(asked) => {
                asked.iter().find(|asked| asked.line_id == part.line_id).map(|asked| asked.quantity)
            }
            None => {
                let line = placed.lines.iter().find(|line| *line.line_id == *part.line_id);
                line.map(|line| u64::from(line.quantity))
            }
        };
        let twice = done.iter().any(|known| known.line_id == part.line_id);
        if twice || asked.is_none_or(|asked| part.quantity > asked) {
            return Err(format!("it says {} units of a line that it was not asked for so", part.quantity));
        }
        done.push(part.clone());
    }
    let done_units = done.iter().fold(0, |sum: u64, part| sum.saturating_add(part.quantity));
    if done_units == asked_units {
        return Ok(None);
    }
    if !matches!(active.at.step, Step::Reserve | Step::Book) {
        return Err(format!("it says {done_units} units, and {asked_units} were asked for"));
    }
    if done_units == 0 {
        return Err("it says that it was done of no unit at all".to_owned());
    }
    if active.at.number().saturating_add(2) > LOTS_MAX {
        return Err(format!(
            "it says {done_units} units of {asked_units}, and the order has come in {LOTS_MAX} parts"
        ));
    }
    Ok(Some(done.into()))
}

/// What the order's flow cancels because the inventory has not got it goes, with its price.
pub(super) fn cancel_short(decision: &mut Decision, ended: &Active, outcome: &StepOutcome) {
    let short = canceled_as_short(&decision.order, ended, outcome);
    let Some(placed) = decision.order.placed.clone().filter(|_| !short.is_empty()) else { return };
    match canceled(&decision.order, &placed, &short, "it is not in stock") {
        Ok(events) => events.into_iter().for_each(|event| decision.push(event)),
        Err(
            Denial::Rejected { message, .. }
            | Denial::Refused { message, .. }
            | Denial::Conflict { message, .. },
        ) => {
            if decision.order.saga.attention == AttentionState::default() {
                let reason = format!("what is not in stock could not be canceled: {message}");
                let reason = cut(&reason.into(), REASON_MAX_CHARS);
                decision.push(Event::AttentionChanged { attention: Attention::Held, reason });
            }
        }
    }
}
