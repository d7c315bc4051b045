//! The order is changed, before the step that makes it impossible: the booking of its goods.

use std::sync::Arc;

use super::super::amended::Amended;
use super::super::event::Event;
use super::super::placed::{Delivery, Placed};
use super::super::saga::StepState;
use super::super::{Order, OrderStatus};
use super::cancel::{cancel, turn_back};
use super::decision::{Denial, plainly, refused, rejected, rejected_at};
use super::{amend_goods, refund};
use crate::ports::LineUnits;
use crate::wire::Code;
use crate::wire::command::{AmendData, AmendLine, CancelData, Step};
use crate::wire::limits::ATTRIBUTES_MAX;
use crate::wire::order::Attention;

pub(super) fn amend(order: &Order, data: &AmendData) -> Result<Vec<Event>, Denial> {
    let placed = match (order.status, &order.placed) {
        (OrderStatus::Canceling | OrderStatus::Canceled, _) => return Err(plainly(Code::AlreadyCanceled)),
        (OrderStatus::Open, Some(placed)) if !is_booked(order) => placed,
        _ => return Err(plainly(Code::TooLateToAmend)),
    };
    let mut amended = Amended::new(placed, &data.reason);
    let paid_minor =
        amend_goods::change(order, placed, (&data.lines, &data.add_lines), &data.payments, &mut amended)?;
    debug_assert_eq!(paid_minor, 0, "nothing is captured of what may be amended");
    amended.delivery = data.delivery.as_ref().map(|delivery| Delivery {
        method: delivery.method.as_str().into(),
        address_ref: delivery.address_ref.as_deref().map(Into::into),
    });
    amended.attributes =
        data.attributes.iter().map(|(name, text)| (name.as_str().into(), text.as_str().into())).collect();
    amended.note = data.note.as_deref().map(Into::into);
    has_room(placed, &amended)?;
    is_not_judged_now(order, &amended)?;
    if amended == Amended::new(placed, &data.reason) {
        return Err(rejected(Code::NotAmendable, "the order is already as it would be: nothing changes"));
    }
    Ok(events(order, amended))
}

/// Units are canceled before they are booked; all that are left are the whole order.
pub(super) fn cancel_lines(order: &Order, data: &CancelData) -> Result<Vec<Event>, Denial> {
    let in_parts = order.saga.goods.is_some();
    let placed = match (order.status, &order.placed) {
        (OrderStatus::Open, Some(placed)) if !order.saga.cancel_refused || in_parts => placed,
        _ => return cancel(order, data),
    };
    if is_booked(order) && !in_parts {
        return Err(plainly(Code::NotCancelable));
    }
    let mut parts = Vec::with_capacity(data.lines.len());
    for (number, asked) in data.lines.iter().enumerate() {
        let Some(line) = placed.lines.iter().find(|line| *line.line_id == *asked.line_id) else {
            let text = format!("there is no line {:?}", asked.line_id);
            return Err(rejected_at(format_args!("lines[{number}].line_id"), Code::UnknownLine, text));
        };
        let path = format_args!("lines[{number}].quantity").to_string();
        if asked.quantity > line.quantity {
            let text = format!(
                "line {:?} has {} units, {} would be canceled",
                asked.line_id, line.quantity, asked.quantity
            );
            return Err(rejected_at(path, Code::NotAmendable, text));
        }
        let free = u64::from(line.quantity).saturating_sub(gone_units(order, &asked.line_id));
        if u64::from(asked.quantity) > free {
            let text = format!("of line {:?} {free} units are not booked yet", asked.line_id);
            return Err(rejected_at(path, Code::NotCancelable, text));
        }
        parts.push(LineUnits { line_id: asked.line_id.as_str().into(), quantity: asked.quantity.into() });
    }
    let count = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.quantity));
    if count == placed.units() {
        return Ok(turn_back(order, data.reason.as_str().into()));
    }
    canceled(order, placed, &parts, &data.reason)
}

/// Units of a line that are booked, or are being booked.
fn gone_units(order: &Order, line_id: &str) -> u64 {
    let Some(goods) = &order.saga.goods else { return 0 };
    let booking = order.saga.active.as_ref().filter(|active| active.at.step == Step::Book);
    let units = booking.and_then(|active| active.units.as_ref()).into_iter().flat_map(|units| units.iter());
    let booking = units.filter(|part| *part.line_id == *line_id).map(|part| part.quantity);
    booking.fold(goods.booked(line_id), u64::saturating_add)
}

/// These units are not wanted any more. What is captured for them goes back.
pub(super) fn canceled(
    order: &Order,
    placed: &Placed,
    parts: &[LineUnits],
    reason: &str,
) -> Result<Vec<Event>, Denial> {
    let left = |part: &LineUnits| {
        let line = placed.lines.iter().find(|line| *line.line_id == *part.line_id)?;
        let gone = u32::try_from(part.quantity).unwrap_or(u32::MAX);
        let quantity = line.quantity.saturating_sub(gone);
        Some(AmendLine { line_id: part.line_id.to_string(), quantity, amount_minor: None })
    };
    let lines: Vec<AmendLine> = parts.iter().filter_map(left).collect();
    let mut amended = Amended { cancels: true, ..Amended::new(placed, reason) };
    let paid_minor = amend_goods::change(order, placed, (&lines, &[]), &[], &mut amended)?;
    amended.settled_minor = paid_minor.saturating_neg();
    is_not_judged_now(order, &amended)?;
    let mut events = events(order, amended);
    let back_minor = paid_minor.min(order.saga.left_minor());
    if back_minor > 0 {
        events.push(refund::of_canceled(order, back_minor, reason)?);
    }
    Ok(events)
}

/// An order is not changed while somebody judges it as it is.
fn is_not_judged_now(order: &Order, amended: &Amended) -> Result<(), Denial> {
    let judged = order.saga.active.as_ref().is_some_and(|active| active.at.step == Step::Review);
    if judged && amended.is_to_be_judged() {
        let text = "the order is being reviewed as it is: send the same command again once that is over";
        return Err(refused(Code::StepInFlight, text));
    }
    Ok(())
}

/// Is it too late to change what is ordered?
fn is_booked(order: &Order) -> bool {
    let saga = &order.saga;
    // A capture that was asked for may be done, whatever is said of it later.
    saga.cell(Step::Book).instance > 0 || saga.cell(Step::Capture).instance > 0
}

fn has_room(placed: &Placed, amended: &Amended) -> Result<(), Denial> {
    let is_known = |name: &str| placed.attributes.iter().any(|(known, _)| **known == *name);
    let new = amended.attributes.iter().filter(|(name, text)| !text.is_empty() && !is_known(name)).count();
    let gone = amended.attributes.iter().filter(|(name, text)| text.is_empty() && is_known(name)).count();
    if placed.attributes.len().saturating_add(new).saturating_sub(gone) > ATTRIBUTES_MAX {
        let text = format!("the order would have more than {ATTRIBUTES_MAX} attributes");
        return Err(rejected_at("attributes", Code::NotAmendable, text));
    }
    Ok(())
}

fn events(order: &Order, amended: Amended) -> Vec<Event> {
    let saga = &order.saga;
    // It waited for somebody to say what becomes of goods that are not to be had.
    let decides = amended.moves_goods()
        && saga.active.is_none()
        && saga.attention.kind() == Attention::Held
        && matches!(saga.last_ended, Some((Step::Reserve, standing)) if standing != StepState::Done);
    let mut events = vec![Event::Amended(Arc::new(amended))];
    if decides {
        let reason = "the order was amended".into();
        events.push(Event::AttentionChanged { attention: Attention::None, reason });
    }
    events
}
