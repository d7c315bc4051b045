//! Refunds without goods: what may be paid back of an order, its lines and its components.

use std::sync::Arc;

use super::super::event::Event;
use super::super::owed::{REFUNDS_MAX, Refund, Refunds, Split};
use super::super::payments::PaymentState;
use super::super::placed::Placed;
use super::super::saga::Saga;
use super::super::shares::{Refundable, of_kind};
use super::super::{Order, OrderStatus};
use super::decision::{Denial, plainly, refused, rejected_at};
use super::returns::OPEN_MAX;
use crate::wire::Code;
use crate::wire::command::{ComponentKind, RefundData};
use crate::wire::return_rules::ReturnRules;

pub(super) fn ask(order: &Order, data: &RefundData) -> Result<Vec<Event>, Denial> {
    let placed = match (order.status, &order.placed) {
        // All that was captured goes back already.
        (OrderStatus::Canceling | OrderStatus::Canceled, _) => return Err(plainly(Code::AlreadyCanceled)),
        (_, None) => return Err(plainly(Code::OrderNotFound)),
        (_, Some(placed)) => placed,
    };
    let saga = &order.saga;
    let nothing = Refunds::default();
    let refunds = saga.refunds.as_deref().unwrap_or(&nothing);
    let open = refunds.asked.iter().filter(|asked| asked.left_minor() > 0).count();
    if open >= OPEN_MAX {
        return Err(refused(Code::Overloaded, "too many refunds of this order are not through yet"));
    }
    if refunds.asked.len() >= REFUNDS_MAX {
        let text =
            format!("the order has had {REFUNDS_MAX} refunds without goods, and takes no more of them");
        return Err(refused(Code::OrderFull, text));
    }
    let amount_minor = data.amount_minor.minor();
    let left_minor = saga.left_minor();
    if amount_minor > left_minor {
        let text = format!(
            "{amount_minor} would be paid back, and {left_minor} is left: of {} captured, {} is paid back and {} promised",
            saga.totals.captured_minor,
            saga.totals.refunded_minor,
            saga.promised_minor(),
        );
        return Err(rejected_at("amount_minor", Code::OverRefund, text));
    }
    let split =
        Split { lines: lines(placed, saga, refunds, data)?, components: components(placed, refunds, data)? };
    check_payment(placed, saga, data)?;
    Ok(vec![Event::RefundRequested(Refund {
        refund_id: format!("f{}", refunds.asked.len() + 1).into(),
        amount_minor,
        split,
        payment_id: data.payment_id.as_deref().map(Into::into),
        reason: data.reason.as_str().into(),
    })])
}

/// What was captured for units that are not wanted any more goes back. It is of nothing that the order has still.
pub(super) fn of_canceled(order: &Order, amount_minor: i64, reason: &str) -> Result<Event, Denial> {
    let count = order.saga.refunds().len();
    if count >= REFUNDS_MAX {
        let text = format!("the order has had {REFUNDS_MAX} refunds, and takes no more of them");
        return Err(refused(Code::OrderFull, text));
    }
    Ok(Event::RefundRequested(Refund {
        refund_id: format!("f{}", count.saturating_add(1)).into(),
        amount_minor,
        split: Split::none(),
        payment_id: None,
        reason: reason.into(),
    }))
}

/// Minor units by line.
type LineAmounts = Arc<[(Arc<str>, i64)]>;

/// The lines that it is of, where so much of each is left.
fn lines(placed: &Placed, saga: &Saga, refunds: &Refunds, data: &RefundData) -> Result<LineAmounts, Denial> {
    let mut lines: Vec<(Arc<str>, i64)> = Vec::with_capacity(data.lines.len());
    if data.lines.is_empty() {
        return Ok(lines.into());
    }
    let refundable = Refundable::of(placed, ReturnRules::NEVER);
    for (number, asked) in data.lines.iter().enumerate() {
        let Some(at) = placed.lines.iter().position(|line| *line.line_id == *asked.line_id) else {
            let text = format!("there is no line {:?}", asked.line_id);
            return Err(rejected_at(format_args!("lines[{number}].line_id"), Code::UnknownLine, text));
        };
        let minor = asked.amount_minor.minor();
        let has_minor = refundable.own_minor(at);
        let returned_minor =
            saga.returns.as_ref().and_then(|returns| returns.by_line.get(at)).map_or(0, |(_, minor)| *minor);
        let granted_minor = returned_minor
            .saturating_sub(refunds.beside_line(&asked.line_id))
            .saturating_add(refunds.of_line(&asked.line_id));
        let left_minor = has_minor.saturating_sub(granted_minor).max(0);
        if minor > left_minor {
            let text = format!(
                "{left_minor} is left of line {:?}: of {has_minor}, {granted_minor} was granted before",
                asked.line_id
            );
            return Err(rejected_at(format_args!("lines[{number}].amount_minor"), Code::OverRefund, text));
        }
        lines.push((placed.lines[at].line_id.as_ref().into(), minor));
    }
    Ok(lines.into())
}

/// The components of the order that it is of, where so much of each is left. Those of a kind are taken together.
fn components(
    placed: &Placed,
    refunds: &Refunds,
    data: &RefundData,
) -> Result<Arc<[(ComponentKind, i64)]>, Denial> {
    let mut components: Vec<(ComponentKind, i64)> = Vec::with_capacity(data.components.len());
    for (number, asked) in data.components.iter().enumerate() {
        let kind = asked.kind;
        let minor = asked.amount_minor.minor();
        let path = format_args!("components[{number}].amount_minor").to_string();
        if minor < 0 {
            let text = format!("{minor} is below zero: name what is paid back of the order");
            return Err(rejected_at(path, Code::OverRefund, text));
        }
        let has_minor = of_kind(placed, kind).unwrap_or(0).max(0);
        let here = components.iter_mut().find(|(one, _)| *one == kind);
        let granted_minor = refunds.of_component(kind);
        let before_minor = granted_minor.saturating_add(here.as_ref().map_or(0, |(_, minor)| *minor));
        let left_minor = has_minor.saturating_sub(before_minor).max(0);
        if minor > left_minor {
            let hint = if has_minor == 0 { "; what lines contain is paid back by lines" } else { "" };
            let text = format!(
                "{left_minor} is left of {}: the order has {has_minor}, and {granted_minor} was granted before{hint}",
                kind.as_str()
            );
            return Err(rejected_at(path, Code::OverRefund, text));
        }
        match here {
            Some((_, sum)) => *sum = sum.saturating_add(minor),
            None => components.push((kind, minor)),
        }
    }
    Ok(components.into())
}

/// Has the payment that is named so much left?
fn check_payment(placed: &Placed, saga: &Saga, data: &RefundData) -> Result<(), Denial> {
    let Some(payment_id) = &data.payment_id else { return Ok(()) };
    let Some(number) = placed.payment_number(payment_id) else {
        let text = format!("there is no payment {payment_id:?}");
        return Err(rejected_at("payment_id", Code::UnknownPayment, text));
    };
    let kept_minor = saga.payments.get(number).map_or(0, PaymentState::kept_minor);
    let promised_minor = saga.promised_to(number);
    let left_minor = kept_minor.saturating_sub(promised_minor).max(0);
    if data.amount_minor.minor() > left_minor {
        let text = format!(
            "{left_minor} is left of payment {payment_id:?}: {kept_minor} is captured and not paid back, and              {promised_minor} of it promised"
        );
        return Err(rejected_at("payment_id", Code::OverRefund, text));
    }
    Ok(())
}
