//! What the public sees of an order's payments, and of what is paid back without goods.

use std::sync::Arc;

use super::owed::{AskedRefund, sum_of};
use super::payments::PaymentState;
use super::placed::Placed;
use super::saga::Saga;
use super::step::StepAt;
use super::{Order, OrderStatus};
use crate::money::{Amount, MoneyError};
use crate::wire::command::{Component, ComponentKind, Step};
use crate::wire::order::{
    Attention, LineAmount, OrderPayment, OrderRefund, PaymentStanding, PaymentSummary, RefundStanding,
};

/// Which one of several an asking is for, as an operator names it.
pub(super) fn shown_part(saga: &Saga, at: &StepAt) -> Option<String> {
    let first_of_several = at.step.is_of_payment() && saga.payments.count() > 1;
    at.part.as_deref().or_else(|| first_of_several.then_some("p1")).map(Into::into)
}

/// How each payment stands; none of an order that is free.
pub(super) fn payments(order: &Order, placed: &Placed) -> Result<Vec<OrderPayment>, MoneyError> {
    let free = placed.total_minor == 0 && placed.payments.is_empty();
    let payments = order.saga.payments.iter().enumerate().filter(|_| !free);
    payments
        .map(|(number, state)| {
            let declared = placed.payments.get(number);
            Ok(OrderPayment {
                payment_id: placed.payment_id(number).to_owned(),
                token_ref: declared
                    .map(|payment| payment.token_ref.to_string())
                    .filter(|text| !text.is_empty()),
                amount_minor: Amount::new(
                    declared.map_or(placed.total_minor, |payment| payment.amount_minor),
                )?,
                authorized_minor: Amount::new(state.held_minor())?,
                captured_minor: Amount::new(state.captured_minor)?,
                voided_minor: Amount::new(state.voided_minor)?,
                refunded_minor: Amount::new(state.refunded_minor)?,
                charged_back_minor: some(state.charged_back_minor)?,
                state: standing(state),
                reference: state
                    .capture
                    .as_ref()
                    .or(state.authorization.as_ref())
                    .map(|text| text.to_string()),
            })
        })
        .collect()
}

fn some(minor: i64) -> Result<Option<Amount>, MoneyError> {
    (minor > 0).then(|| Amount::new(minor)).transpose()
}

fn standing(state: &PaymentState) -> PaymentStanding {
    match state {
        _ if state.charged_back_minor > 0 && state.kept_minor() == 0 => PaymentStanding::ChargedBack,
        _ if state.refunded_minor > 0 && state.kept_minor() > 0 => PaymentStanding::PartlyRefunded,
        _ if state.refunded_minor > 0 => PaymentStanding::Refunded,
        _ if state.captured_minor > 0 => PaymentStanding::Captured,
        _ if state.held_minor() > 0 => PaymentStanding::Authorized,
        _ if state.declined => PaymentStanding::Declined,
        _ if state.voided_minor > 0 => PaymentStanding::Voided,
        _ => PaymentStanding::Planned,
    }
}

/// What is paid back without goods.
pub(super) fn refunds(order: &Order) -> Result<Vec<OrderRefund>, MoneyError> {
    let refunds = order.saga.refunds().iter();
    refunds
        .map(|asked| {
            let request = &asked.request;
            Ok(OrderRefund {
                refund_id: request.refund_id.to_string(),
                amount_minor: Amount::new(request.amount_minor)?,
                refunded_minor: Amount::new(asked.paid.minor)?,
                lines: line_amounts(&request.split.lines)?,
                components: component_amounts(&request.split.components)?,
                payment_id: request.payment_id.as_deref().map(Into::into),
                reason: request.reason.to_string(),
                state: refund_standing(order, asked),
            })
        })
        .collect()
}

fn refund_standing(order: &Order, asked: &AskedRefund) -> RefundStanding {
    let saga = &order.saga;
    let id = &*asked.request.refund_id;
    let held = saga.attention.kind() == Attention::Held;
    if asked.left_minor() == 0 && asked.paid.covered_minor > 0 {
        return RefundStanding::ChargedBack;
    }
    if asked.left_minor() == 0 {
        return RefundStanding::Paid;
    }
    match &saga.active {
        Some(active) if active.at.step == Step::Refund && active.at.for_part().owed == Some(id) => {
            if held {
                RefundStanding::Held
            } else {
                RefundStanding::InFlight
            }
        }
        _ if matches!(order.status, OrderStatus::Canceling | OrderStatus::Canceled) => {
            RefundStanding::Superseded
        }
        None if held && saga.owed().is_some_and(|owed| **owed.id() == *id) => RefundStanding::Held,
        _ => RefundStanding::Queued,
    }
}

/// What was paid for an order, as it stands.
///
/// # Errors
/// [`MoneyError`]; not for an order that was decided by [`super::decide()`].
pub fn payment_summary(order: &Order) -> Result<PaymentSummary, MoneyError> {
    let totals = &order.saga.totals;
    let spoken_for = totals.voided_minor.saturating_add(totals.captured_minor);
    Ok(PaymentSummary {
        authorized_minor: Amount::new(totals.authorized_minor.saturating_sub(spoken_for).max(0))?,
        captured_minor: Amount::new(totals.captured_minor)?,
        refunded_minor: Amount::new(totals.refunded_minor)?,
        charged_back_minor: some(sum_of(order.saga.payments.iter().map(|one| one.charged_back_minor)))?,
        waiting_until: order.saga.waiting_until,
    })
}

pub(super) fn line_amounts(lines: &[(Arc<str>, i64)]) -> Result<Vec<LineAmount>, MoneyError> {
    let line = |(line_id, minor): &(Arc<str>, i64)| {
        Ok(LineAmount { line_id: line_id.to_string(), amount_minor: Amount::new(*minor)? })
    };
    lines.iter().map(line).collect()
}

pub(super) fn component_amounts(parts: &[(ComponentKind, i64)]) -> Result<Vec<Component>, MoneyError> {
    let part = |(kind, minor): &(ComponentKind, i64)| {
        Ok(Component { kind: *kind, amount_minor: Amount::new(*minor)? })
    };
    parts.iter().map(part).collect()
}
