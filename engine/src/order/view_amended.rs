//! What the public sees of an order that is changed after it was placed.

use super::Order;
use super::amended::{Amended, LineChange};
use super::convert::{attributes_to_wire, lines_to_wire};
use super::placed::{Delivery, Line, Placed};
use crate::codec::v1::AmendedV1;
use crate::money::{Amount, MoneyError};
use crate::wire::change_events as public;
use crate::wire::command as wire;
use crate::wire::event::EventData;
use crate::wire::event_data::{LinePart, PaymentPart};
use crate::wire::order::OrderLine;

/// In an order's history.
pub(super) fn amended_text(amended: &AmendedV1) -> String {
    let word = if amended.cancels { "units canceled" } else { "amended" };
    let mut text = format!("{word}: {}", amended.reason);
    for change in amended.lines.iter().filter(|change| change.quantity.0 != change.quantity.1) {
        let (was, is) = change.quantity;
        text.push_str(&format!("; line {} {was} -> {is}", change.line_id));
    }
    for line in &amended.added {
        text.push_str(&format!("; line {} of {} added", line.line_id, line.quantity));
    }
    let (was, is) = amended.total_minor;
    if was != is {
        text.push_str(&format!("; total {was} -> {is}"));
    }
    if let Some(note) = &amended.note {
        text.push_str(&format!("; note: {note}"));
    }
    text
}

/// What the public hears of it; `placed` is the order after it.
pub(super) fn amended_event(placed: &Placed, amended: &Amended) -> Result<EventData, MoneyError> {
    let there: Vec<Line> = placed.lines.iter().filter(|line| line.quantity > 0).cloned().collect();
    let lines = lines_to_wire(&there)?;
    let changes = changes(amended)?;
    let (total_before_minor, total_minor) =
        (Amount::new(amended.was_total_minor)?, Amount::new(amended.total_minor)?);
    let settled_minor =
        (amended.settled_minor != 0).then(|| Amount::new(amended.settled_minor)).transpose()?;
    let payment = |payment: &super::placed::Payment| {
        let amount_minor = Amount::new(payment.amount_minor)?;
        Ok(PaymentPart { payment_id: payment.payment_id.to_string(), amount_minor })
    };
    let payments = placed.payments.iter().map(payment).collect::<Result<_, MoneyError>>()?;
    let reason = amended.reason.to_string();
    if amended.cancels {
        let canceled = amended.lines.iter().filter_map(|change| {
            let quantity = u64::from(change.was_quantity.checked_sub(change.quantity)?);
            (quantity > 0).then(|| LinePart { line_id: change.line_id.to_string(), quantity })
        });
        let canceled = canceled.collect();
        return Ok(EventData::LinesCanceled(public::LinesCanceled {
            canceled,
            lines,
            changes,
            total_before_minor,
            total_minor,
            settled_minor,
            payments,
            reason,
        }));
    }
    Ok(EventData::Amended(public::Amended {
        lines,
        changes,
        components: super::convert::components_to_wire(&placed.components)?,
        total_before_minor,
        total_minor,
        settled_minor,
        payments,
        delivery: amended.delivery.as_ref().map(delivery),
        attributes: attributes_to_wire(&amended.attributes),
        note: amended.note.as_deref().map(Into::into),
        reason,
    }))
}

fn delivery(delivery: &Delivery) -> wire::Delivery {
    wire::Delivery {
        method: delivery.method.to_string(),
        address_ref: delivery.address_ref.as_deref().map(Into::into),
    }
}

fn changes(amended: &Amended) -> Result<Vec<public::LineChange>, MoneyError> {
    let changed = |change: &LineChange| {
        Ok(public::LineChange {
            line_id: change.line_id.to_string(),
            quantity_before: change.was_quantity.into(),
            quantity: change.quantity.into(),
            amount_before_minor: Amount::new(change.was_amount_minor)?,
            amount_minor: Amount::new(change.amount_minor)?,
        })
    };
    let added = |line: &Line| {
        Ok(public::LineChange {
            line_id: line.line_id.to_string(),
            quantity_before: 0,
            quantity: line.quantity.into(),
            amount_before_minor: Amount::ZERO,
            amount_minor: Amount::new(line.amount_minor)?,
        })
    };
    amended.lines.iter().map(changed).chain(amended.added.iter().map(added)).collect()
}

/// Beside each line, where its units are, if they do not go all at once.
pub(super) fn with_goods(order: &Order, mut lines: Vec<OrderLine>) -> Vec<OrderLine> {
    if let Some(goods) = &order.saga.goods {
        for line in &mut lines {
            line.reserved_units = Some(goods.reserved(&line.line_id));
            line.booked_units = Some(goods.booked(&line.line_id));
        }
    }
    lines
}
