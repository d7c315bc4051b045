//! Facts enter the books: each once, by its kind and reference.

use std::sync::Arc;

use super::super::Order;
use super::super::beside::Fact;
use super::super::event::Event;
use super::super::facts::FACTS_MAX;
use super::super::owed::sum_of;
use super::super::placed::Placed;
use super::super::policy::Context;
use super::super::saga::Saga;
use super::decision::{Denial, plainly, refused, rejected_at};
use crate::wire::Code;
use crate::wire::command::{FactKind, RecordData};

pub(super) fn record(order: &Order, data: &RecordData, context: &Context) -> Result<Vec<Event>, Denial> {
    let Some(placed) = &order.placed else { return Err(plainly(Code::OrderNotFound)) };
    let saga = &order.saga;
    let same = |fact: &&Fact| fact.kind == data.kind && *fact.reference == *data.reference;
    if let Some(known) = saga.facts().iter().find(same) {
        let text = format!(
            "a {} {:?} of {} is in the books already",
            data.kind.as_str(),
            data.reference,
            known.amount_minor
        );
        return Err(rejected_at("reference", Code::AlreadyRecorded, text));
    }
    if saga.facts().len() >= FACTS_MAX {
        let text = format!("the order has {FACTS_MAX} facts in its books, and takes no more of them");
        return Err(refused(Code::OrderFull, text));
    }
    if let Some(line_id) = &data.line_id
        && !placed.lines.iter().any(|line| *line.line_id == **line_id)
    {
        let text = format!("there is no line {line_id:?}");
        return Err(rejected_at("line_id", Code::UnknownLine, text));
    }
    let payment_id = payment(placed, saga, data)?;
    let sum = sum_of(saga.facts().iter().map(|fact| fact.amount_minor));
    if crate::money::Amount::new(sum.saturating_add(data.amount_minor.minor())).is_err() {
        let text = "the facts of the order would be more than any amount can say";
        return Err(rejected_at("amount_minor", Code::OverRefund, text));
    }
    Ok(vec![Event::FactRecorded(Fact {
        kind: data.kind,
        amount_minor: data.amount_minor.minor(),
        reference: data.reference.as_str().into(),
        payment_id,
        line_id: data.line_id.as_deref().map(Into::into),
        happened: data.happened_at,
        recorded: context.now,
        reason: data.reason.as_deref().map(Into::into),
    })])
}

/// The payment that the fact is about. A chargeback is always of one, and of no more than was captured of it.
fn payment(placed: &Placed, saga: &Saga, data: &RecordData) -> Result<Option<Arc<str>>, Denial> {
    let is_chargeback = data.kind == FactKind::Chargeback;
    let number = match &data.payment_id {
        Some(payment_id) => placed.payment_number(payment_id).ok_or_else(|| {
            let text = format!("there is no payment {payment_id:?}");
            rejected_at("payment_id", Code::UnknownPayment, text)
        })?,
        None if !is_chargeback => return Ok(None),
        None if saga.payments.count() == 1 => 0,
        None => {
            let text = "the order has several payments: say of which it is";
            return Err(rejected_at("payment_id", Code::UnknownPayment, text));
        }
    };
    if is_chargeback && let Some(state) = saga.payments.get(number) {
        let left_minor = state.captured_minor.saturating_sub(state.charged_back_minor).max(0);
        if data.amount_minor.minor() > left_minor {
            let text = format!(
                "{} would be charged back, and {left_minor} can be: {} is captured, {} of it charged back before",
                data.amount_minor, state.captured_minor, state.charged_back_minor
            );
            return Err(rejected_at("amount_minor", Code::OverRefund, text));
        }
    }
    Ok(Some(placed.payment_id(number).into()))
}
