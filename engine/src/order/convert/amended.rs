//! What an order is from now on, in its stored form, and back.

use super::{
    delivery_from_stored, delivery_to_stored, line_from_stored, line_to_stored, parts_from_stored,
    parts_to_stored, payment_from_stored, payment_to_stored,
};
use crate::codec::CodecError;
use crate::codec::v1::{AmendedV1, LineChangeV1};
use crate::order::amended::{Amended, LineChange};

pub(in super::super) fn amended_to_stored(amended: &Amended) -> AmendedV1 {
    let change = |change: &LineChange| LineChangeV1 {
        line_id: change.line_id.to_string(),
        quantity: (change.was_quantity.into(), change.quantity.into()),
        amount_minor: (change.was_amount_minor, change.amount_minor),
        components: parts_to_stored(&change.components),
    };
    AmendedV1 {
        lines: amended.lines.iter().map(change).collect(),
        added: amended.added.iter().map(line_to_stored).collect(),
        total_minor: (amended.was_total_minor, amended.total_minor),
        planned_minor: amended.planned_minor.to_vec(),
        payments: amended.payments.iter().map(payment_to_stored).collect(),
        delivery: amended.delivery.as_ref().map(delivery_to_stored),
        attributes: amended
            .attributes
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect(),
        note: amended.note.as_deref().map(Into::into),
        reason: amended.reason.to_string(),
        cancels: amended.cancels,
        settled_minor: amended.settled_minor,
    }
}

pub(in super::super) fn amended_from_stored(stored: &AmendedV1) -> Result<Amended, CodecError> {
    let quantity =
        |quantity: u64| u32::try_from(quantity).map_err(|error| CodecError::Corrupt(error.to_string()));
    let change = |change: &LineChangeV1| {
        Ok(LineChange {
            line_id: change.line_id.as_str().into(),
            was_quantity: quantity(change.quantity.0)?,
            quantity: quantity(change.quantity.1)?,
            was_amount_minor: change.amount_minor.0,
            amount_minor: change.amount_minor.1,
            components: parts_from_stored(&change.components),
        })
    };
    Ok(Amended {
        lines: stored.lines.iter().map(change).collect::<Result<_, CodecError>>()?,
        added: stored.added.iter().map(line_from_stored).collect::<Result<_, CodecError>>()?,
        was_total_minor: stored.total_minor.0,
        total_minor: stored.total_minor.1,
        planned_minor: stored.planned_minor.as_slice().into(),
        payments: stored.payments.iter().map(payment_from_stored).collect(),
        delivery: stored.delivery.as_ref().map(delivery_from_stored),
        attributes: stored
            .attributes
            .iter()
            .map(|(name, text)| (name.as_str().into(), text.as_str().into()))
            .collect(),
        note: stored.note.as_deref().map(Into::into),
        reason: stored.reason.as_str().into(),
        cancels: stored.cancels,
        settled_minor: stored.settled_minor,
    })
}
