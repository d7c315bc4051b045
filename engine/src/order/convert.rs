//! Between the public contract's words, the domain's and the frozen stored ones.

mod events;

pub(super) use events::*;

use super::placed::{Component, Delivery, Line, Payment, Placed, SealedPart};
use crate::codec::CodecError;
use crate::codec::v1::{
    ActorV1, CommandKindV1, ComponentKindV1, ComponentV1, DeliveryV1, LineV1, PaymentV1, PlacedV1, SealedV1,
};
use crate::ids::TimestampMs;
use crate::money::Currency;
use crate::wire::command::{self as wire, ComponentKind, PlaceData};
use crate::wire::order::{Giver, GiverKind};
use crate::wire::{Code, CommandType};

use super::command::Actor;

/// Who gave a command, as the public hears of it.
pub(super) fn giver_from_stored(actor: &ActorV1) -> Giver {
    let (kind, name) = match actor {
        ActorV1::Tenant => (GiverKind::Tenant, None),
        ActorV1::Operator(name) => (GiverKind::Operator, Some(name)),
        ActorV1::Participant(name) => (GiverKind::Participant, Some(name)),
        ActorV1::Engine => (GiverKind::Engine, None),
    };
    Giver { kind, name: name.cloned() }
}

/// What a place command says, as the domain keeps it.
pub(super) fn placed_from_wire(place: &PlaceData) -> Result<Placed, (Code, String)> {
    let total_minor = place.total_minor().map_err(|error| (Code::AmountOverflow, error.to_string()))?;
    let sealed = match &place.sealed {
        None => None,
        Some(sealed) => Some(SealedPart {
            key_id: sealed.key_id.as_str().into(),
            ciphertext: sealed
                .ciphertext()
                .ok_or_else(|| {
                    (Code::InvalidField, "data.sealed.ciphertext_base64 is not base64".to_owned())
                })?
                .into(),
        }),
    };
    Ok(Placed {
        customer: place.customer.as_str().into(),
        currency: place.currency,
        total_minor: total_minor.minor(),
        lines: place
            .lines
            .iter()
            .map(|line| Line {
                line_id: line.line_id.as_str().into(),
                sku: line.sku.as_str().into(),
                quantity: line.quantity,
                amount_minor: line.amount_minor.minor(),
                components: components(&line.components),
            })
            .collect(),
        components: components(&place.components),
        payments: place
            .payments
            .iter()
            .map(|payment| Payment {
                payment_id: payment.payment_id.as_str().into(),
                token_ref: payment.token_ref.as_str().into(),
                amount_minor: payment.amount_minor.minor(),
            })
            .collect(),
        delivery: place.delivery.as_ref().map(|delivery| Delivery {
            method: delivery.method.as_str().into(),
            address_ref: delivery.address_ref.as_deref().map(Into::into),
        }),
        attributes: place
            .attributes
            .iter()
            .map(|(name, text)| (name.as_str().into(), text.as_str().into()))
            .collect(),
        placed_at: place.placed_at,
        sealed,
    })
}

fn components(from: &[wire::Component]) -> Box<[Component]> {
    from.iter().map(|part| Component { kind: part.kind, amount_minor: part.amount_minor.minor() }).collect()
}

pub(super) fn placed_to_stored(placed: &Placed) -> PlacedV1 {
    let parts = |from: &[Component]| {
        from.iter()
            .map(|part| ComponentV1 { kind: kind_to_stored(part.kind), amount_minor: part.amount_minor })
            .collect()
    };
    PlacedV1 {
        customer: placed.customer.to_string(),
        currency: code_bytes(placed.currency),
        total_minor: placed.total_minor,
        lines: placed
            .lines
            .iter()
            .map(|line| LineV1 {
                line_id: line.line_id.to_string(),
                sku: line.sku.to_string(),
                quantity: line.quantity.into(),
                amount_minor: line.amount_minor,
                components: parts(&line.components),
            })
            .collect(),
        components: parts(&placed.components),
        payments: placed
            .payments
            .iter()
            .map(|payment| PaymentV1 {
                payment_id: payment.payment_id.to_string(),
                token_ref: Some(payment.token_ref.to_string()),
                amount_minor: payment.amount_minor,
            })
            .collect(),
        deliveries: placed
            .delivery
            .iter()
            .map(|delivery| DeliveryV1 {
                method: Some(delivery.method.to_string()),
                address_ref: delivery.address_ref.as_deref().map(Into::into),
                line_ids: Vec::new(),
            })
            .collect(),
        attributes: placed
            .attributes
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect(),
        placed_ms: placed.placed_at.map(|at| at.0),
        sealed: placed.sealed.as_ref().map(|sealed| SealedV1 {
            key_id: sealed.key_id.to_string(),
            ciphertext: sealed.ciphertext.to_vec(),
        }),
    }
}

pub(super) fn placed_from_stored(stored: &PlacedV1) -> Result<Placed, CodecError> {
    let corrupt = |why: String| CodecError::Corrupt(why);
    // The shape can say more than this build carries out: leaving a part out would lose it without a word.
    let narrow =
        |what: &str| CodecError::Unsupported { schema: format!("{what} in Record"), found: 1, known: 1 };
    if stored.deliveries.len() > 1 || stored.deliveries.iter().any(|delivery| !delivery.line_ids.is_empty()) {
        return Err(narrow("several deliveries"));
    }
    if stored.deliveries.iter().any(|delivery| delivery.method.is_none()) {
        return Err(narrow("a delivery of no method"));
    }
    if stored.payments.iter().any(|payment| payment.token_ref.is_none()) {
        return Err(narrow("a payment of no means"));
    }
    let parts = |from: &[ComponentV1]| -> Box<[Component]> {
        from.iter()
            .map(|part| Component { kind: kind_from_stored(part.kind), amount_minor: part.amount_minor })
            .collect()
    };
    let lines = stored
        .lines
        .iter()
        .map(|line| {
            Ok(Line {
                line_id: line.line_id.as_str().into(),
                sku: line.sku.as_str().into(),
                quantity: u32::try_from(line.quantity).map_err(|error| corrupt(error.to_string()))?,
                amount_minor: line.amount_minor,
                components: parts(&line.components),
            })
        })
        .collect::<Result<_, CodecError>>()?;
    Ok(Placed {
        customer: stored.customer.as_str().into(),
        currency: currency_from_stored(stored.currency)?,
        total_minor: stored.total_minor,
        lines,
        components: parts(&stored.components),
        payments: stored
            .payments
            .iter()
            .map(|payment| Payment {
                payment_id: payment.payment_id.as_str().into(),
                token_ref: payment.token_ref.as_deref().unwrap_or_default().into(),
                amount_minor: payment.amount_minor,
            })
            .collect(),
        delivery: stored.deliveries.first().map(|delivery| Delivery {
            method: delivery.method.as_deref().unwrap_or_default().into(),
            address_ref: delivery.address_ref.as_deref().map(Into::into),
        }),
        attributes: stored
            .attributes
            .iter()
            .map(|(name, text)| (name.as_str().into(), text.as_str().into()))
            .collect(),
        placed_at: stored.placed_ms.map(TimestampMs),
        sealed: stored.sealed.as_ref().map(|sealed| SealedPart {
            key_id: sealed.key_id.as_str().into(),
            ciphertext: sealed.ciphertext.as_slice().into(),
        }),
    })
}

/// A stored currency.
pub(super) fn currency_from_stored(code: [u8; 3]) -> Result<Currency, CodecError> {
    let corrupt = CodecError::Corrupt;
    let code = std::str::from_utf8(&code).map_err(|error| corrupt(error.to_string()))?;
    Currency::parse(code).map_err(|error| corrupt(error.to_string()))
}

fn code_bytes(currency: Currency) -> [u8; 3] {
    let mut code = [b' '; 3];
    for (to, from) in code.iter_mut().zip(currency.code().bytes()) {
        *to = from;
    }
    code
}

const fn kind_to_stored(kind: ComponentKind) -> ComponentKindV1 {
    match kind {
        ComponentKind::Goods => ComponentKindV1::Goods,
        ComponentKind::Tax => ComponentKindV1::Tax,
        ComponentKind::Discount => ComponentKindV1::Discount,
        ComponentKind::Shipping => ComponentKindV1::Shipping,
        ComponentKind::Fee => ComponentKindV1::Fee,
    }
}

const fn kind_from_stored(kind: ComponentKindV1) -> ComponentKind {
    match kind {
        ComponentKindV1::Goods => ComponentKind::Goods,
        ComponentKindV1::Tax => ComponentKind::Tax,
        ComponentKindV1::Discount => ComponentKind::Discount,
        ComponentKindV1::Shipping => ComponentKind::Shipping,
        ComponentKindV1::Fee => ComponentKind::Fee,
    }
}

pub(super) const fn command_kind(kind: CommandType) -> CommandKindV1 {
    match kind {
        CommandType::Place => CommandKindV1::Place,
        CommandType::Cancel => CommandKindV1::Cancel,
        CommandType::Return => CommandKindV1::Return,
        CommandType::Report => CommandKindV1::Report,
        CommandType::Resume => CommandKindV1::Resume,
        CommandType::ResolveStep => CommandKindV1::ResolveStep,
        CommandType::Compensate => CommandKindV1::Compensate,
        CommandType::Archive => CommandKindV1::Archive,
        CommandType::Restore => CommandKindV1::Restore,
    }
}

pub(super) fn actor_to_stored(actor: &Actor) -> ActorV1 {
    match actor {
        Actor::Tenant => ActorV1::Tenant,
        Actor::Operator(name) => ActorV1::Operator(name.to_string()),
    }
}
