//! Orders of which the inventory has only a part.

use crate::order::{Active, Order, OrderStatus, StepOutcome};
use crate::ports::LineUnits;
use crate::wire::command::Step;
use crate::wire::flow_rules::ShortLines;

/// Units that are not to be had, and are canceled for it: what was asked for as `ended` and not set aside, where the order's
/// flow cancels what is short. Nothing where that is all that the order would have.
#[must_use]
pub fn canceled_as_short(order: &Order, ended: &Active, outcome: &StepOutcome) -> Vec<LineUnits> {
    let rule = order.saga.flow().short_lines;
    let open = order.status == OrderStatus::Open && ended.at.step == Step::Reserve;
    let Some(placed) = order.placed.as_ref().filter(|_| open && rule == ShortLines::CancelRest) else {
        return Vec::new();
    };
    let asked: Vec<LineUnits> = match &ended.units {
        Some(units) => units.to_vec(),
        None => placed.lines.iter().map(|line| units(&line.line_id, line.quantity.into())).collect(),
    };
    let of = |parts: &[LineUnits], line_id: &str| {
        let parts = parts.iter().filter(|part| *part.line_id == *line_id);
        parts.fold(0, |sum: u64, part| sum.saturating_add(part.quantity))
    };
    let stands = order.saga.goods.as_ref().is_some_and(|goods| goods.stands(Step::Reserve));
    let short = |left: &dyn Fn(&LineUnits) -> u64| -> Vec<LineUnits> {
        let parts = asked.iter().map(|part| units(&part.line_id, left(part).min(part.quantity)));
        parts.filter(|part| part.quantity > 0).collect()
    };
    match outcome {
        StepOutcome::Done { units: Some(done), .. } => {
            short(&|part| part.quantity.saturating_sub(of(done, &part.line_id)))
        }
        StepOutcome::Declined { lines, .. } => {
            let named = short(&|part| of(lines, &part.line_id));
            let count = |parts: &[LineUnits]| {
                parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.quantity))
            };
            match (named.is_empty(), count(&named) < count(&asked)) {
                (false, true) => named,
                // All of it is not to be had: what there is otherwise goes without it.
                _ if stands => asked,
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn units(line_id: &str, quantity: u64) -> LineUnits {
    LineUnits { line_id: line_id.into(), quantity }
}
