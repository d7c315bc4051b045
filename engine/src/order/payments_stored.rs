//! Payments and owed amounts as a snapshot holds them, and back.

use std::sync::Arc;

use super::convert::{components_from_stored, components_to_stored, lines_to_stored, split_from_stored};
use super::owed::{AskedRefund, Paid, Refund, Refunds};
use super::payments::{PaymentState, Payments};
use super::saga::Saga;
use crate::codec::control::{payment_rules_from_stored, payment_rules_to_stored};
use crate::codec::snapshot::{OpenReturnV5, OwedV5, PaymentStateV5, RefundV5};
use crate::ids::TimestampMs;
use crate::wire::payment_rules::PaymentRules;

pub(super) fn payments_to_stored(payments: &Payments) -> Vec<PaymentStateV5> {
    let stored = |payment: &PaymentState| PaymentStateV5 {
        planned_minor: payment.planned_minor,
        amounts_minor: [
            payment.authorized_minor,
            payment.voided_minor,
            payment.captured_minor,
            payment.refunded_minor,
        ],
        authorization: payment.authorization.as_deref().map(Into::into),
        capture: payment.capture.as_deref().map(Into::into),
        expires_ms: payment.expires.map(|at| at.0),
        entered: payment.entered,
        declined: payment.declined,
    };
    payments.iter().map(stored).collect()
}

pub(super) fn payments_from_stored(stored: Vec<PaymentStateV5>) -> Payments {
    let payment = |stored: PaymentStateV5| {
        let [authorized_minor, voided_minor, captured_minor, refunded_minor] = stored.amounts_minor;
        PaymentState {
            planned_minor: stored.planned_minor,
            authorized_minor,
            voided_minor,
            captured_minor,
            refunded_minor,
            charged_back_minor: 0,
            authorization: stored.authorization.map(Into::into),
            capture: stored.capture.map(Into::into),
            expires: stored.expires_ms.map(TimestampMs),
            entered: stored.entered,
            declined: stored.declined,
        }
    };
    Payments::of(stored.into_iter().map(payment))
}

fn paid_to_stored(paid: Paid) -> (i64, u32) {
    (paid.minor, u32::try_from(paid.from).unwrap_or(u32::MAX))
}

fn paid_from_stored((minor, from): (i64, u32)) -> Paid {
    Paid { minor, from: usize::try_from(from).unwrap_or(usize::MAX), covered_minor: 0 }
}

pub(super) fn owed_to_stored(saga: &Saga) -> OwedV5 {
    let rules = saga.payment_rules;
    let refund = |asked: &AskedRefund| RefundV5 {
        refund_id: asked.request.refund_id.to_string(),
        amount_minor: asked.request.amount_minor,
        lines: lines_to_stored(&asked.request.split.lines),
        components: components_to_stored(&asked.request.split.components),
        payment_id: asked.request.payment_id.as_deref().map(Into::into),
        reason: asked.request.reason.to_string(),
        payment: asked.payment.map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
        after_returns: asked.after_returns,
        paid: paid_to_stored(asked.paid),
    };
    let open = saga.returns.iter().flat_map(|returns| &returns.open);
    let refunds = saga.refunds.as_ref();
    OwedV5 {
        payment_rules: (rules != PaymentRules::DEFAULT).then(|| payment_rules_to_stored(rules)),
        waiting_until_ms: saga.waiting_until.map(|at| at.0),
        returns: open
            .map(|open| OpenReturnV5 {
                paid: paid_to_stored(open.paid),
                split: open
                    .split
                    .as_ref()
                    .map(|split| (lines_to_stored(&split.lines), components_to_stored(&split.components))),
            })
            .collect(),
        refunds: saga.refunds().iter().map(refund).collect(),
        beside_lines: refunds.map(|refunds| lines_to_stored(&refunds.beside_lines)).unwrap_or_default(),
        with_returns: refunds.map(|refunds| components_to_stored(&refunds.with_returns)).unwrap_or_default(),
    }
}

/// Gives a saga with its returns what is owed.
pub(super) fn owed_from_stored(stored: OwedV5, saga: &mut Saga) {
    let OwedV5 { payment_rules, waiting_until_ms, returns, refunds, with_returns, beside_lines } = stored;
    saga.payment_rules = payment_rules.map_or(PaymentRules::DEFAULT, payment_rules_from_stored);
    saga.waiting_until = waiting_until_ms.map(TimestampMs);
    if let Some(known) = saga.returns.as_mut().map(Arc::make_mut) {
        for (open, stored) in known.open.iter_mut().zip(returns) {
            open.paid = paid_from_stored(stored.paid);
            open.split =
                stored.split.map(|(lines, components)| Arc::new(split_from_stored(&lines, &components)));
        }
    }
    if refunds.is_empty() && with_returns.is_empty() && beside_lines.is_empty() {
        return;
    }
    let refund = |stored: RefundV5| AskedRefund {
        request: Refund {
            refund_id: stored.refund_id.into(),
            amount_minor: stored.amount_minor,
            split: split_from_stored(&stored.lines, &stored.components),
            payment_id: stored.payment_id.map(Into::into),
            reason: stored.reason.into(),
        },
        payment: stored.payment.map(|number| usize::try_from(number).unwrap_or(usize::MAX)),
        after_returns: stored.after_returns,
        paid: paid_from_stored(stored.paid),
    };
    saga.refunds = Some(Arc::new(Refunds {
        asked: refunds.into_iter().map(refund).collect(),
        with_returns: components_from_stored(&with_returns).to_vec(),
        beside_lines: beside_lines.into_iter().map(|(line_id, minor)| (line_id.into(), minor)).collect(),
    }));
}
