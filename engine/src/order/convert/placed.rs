//! What was placed, between the contract's words, the domain's and the stored ones: all that a new field of it needs here.

use std::collections::BTreeMap;

use crate::codec::CodecError;
use crate::codec::v1::{ComponentKindV1, ComponentV1, DeliveryV1, LineV1, PaymentV1, PlacedV1, SealedV1};
use crate::ids::TimestampMs;
use crate::money::{Amount, Currency, MoneyError};
use crate::order::placed::{Component, Delivery, DeliveryPart, Line, Payment, Placed, SealedPart};
use crate::wire::Code;
use crate::wire::command::{self as wire, ComponentKind, PlaceData};

impl Placed {
    /// What was placed, in the contract's words: what callers read of an order, and what participants elsewhere are sent. The
    /// sealed part is nobody's business but the key's owner's, and stays here.
    ///
    /// # Errors
    /// [`MoneyError`]; not for an order that was decided by [`crate::order::decide()`].
    pub fn to_wire(&self) -> Result<PlaceData, MoneyError> {
        // Taken apart in full, so that a new field cannot be forgotten here.
        let Self {
            customer,
            currency,
            total_minor: _,
            lines,
            components,
            payments,
            delivery,
            deliveries,
            attributes,
            placed_at,
            sealed: _,
        } = self;
        let payment = |payment: &Payment| {
            Ok(wire::Payment {
                payment_id: payment.payment_id.to_string(),
                token_ref: payment.token_ref.to_string(),
                amount_minor: Amount::new(payment.amount_minor)?,
            })
        };
        Ok(PlaceData {
            customer: customer.to_string(),
            currency: *currency,
            lines: lines_to_wire(lines)?,
            components: components_to_wire(components)?,
            payments: payments.iter().map(payment).collect::<Result<_, MoneyError>>()?,
            delivery: delivery.as_ref().map(|delivery| wire::Delivery {
                method: delivery.method.to_string(),
                address_ref: delivery.address_ref.as_deref().map(Into::into),
            }),
            deliveries: deliveries.iter().map(delivery_part_to_wire).collect(),
            placed_at: *placed_at,
            // It is of the order's way, not of what was placed: the plan of its saga has it.
            available_from: None,
            attributes: attributes_to_wire(attributes),
            sealed: None,
            // The order's own, and no participant's.
            relates_to: None,
            expected_version: None,
        })
    }

    /// What [`Self::to_wire`] says.
    ///
    /// # Errors
    /// The code and text of what no order can be.
    pub fn from_wire(place: &PlaceData) -> Result<Self, (Code, String)> {
        placed_from_wire(place)
    }
}

pub(in super::super) fn lines_to_wire(lines: &[Line]) -> Result<Vec<wire::Line>, MoneyError> {
    let line = |line: &Line| {
        Ok(wire::Line {
            line_id: line.line_id.to_string(),
            sku: line.sku.to_string(),
            quantity: line.quantity,
            amount_minor: Amount::new(line.amount_minor)?,
            components: components_to_wire(&line.components)?,
        })
    };
    lines.iter().map(line).collect()
}

pub(in super::super) fn attributes_to_wire(attributes: &[(Box<str>, Box<str>)]) -> BTreeMap<String, String> {
    attributes.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
}

pub(in super::super) fn components_to_wire(parts: &[Component]) -> Result<Vec<wire::Component>, MoneyError> {
    parts
        .iter()
        .map(|part| Ok(wire::Component { kind: part.kind, amount_minor: Amount::new(part.amount_minor)? }))
        .collect()
}

/// What a place command says, as the domain keeps it.
fn placed_from_wire(place: &PlaceData) -> Result<Placed, (Code, String)> {
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
        lines: place.lines.iter().map(line_from_wire).collect(),
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
        deliveries: place.deliveries.iter().map(delivery_part_from_wire).collect(),
        placed_at: place.placed_at,
        sealed,
    }
    .numbered())
}

fn delivery_part_to_wire(part: &DeliveryPart) -> wire::DeliveryPart {
    wire::DeliveryPart {
        line_ids: part.line_ids.iter().map(ToString::to_string).collect(),
        method: part.method.as_deref().map(Into::into),
        address_ref: part.address_ref.as_deref().map(Into::into),
        // It is of the order's way.
        available_from: None,
    }
}

fn delivery_part_from_wire(part: &wire::DeliveryPart) -> DeliveryPart {
    DeliveryPart {
        line_ids: part.line_ids.iter().map(|line_id| line_id.as_str().into()).collect(),
        method: part.method.as_deref().map(Into::into),
        address_ref: part.address_ref.as_deref().map(Into::into),
    }
}

/// A line as a caller names it.
pub(in super::super) fn line_from_wire(line: &wire::Line) -> Line {
    Line {
        line_id: line.line_id.as_str().into(),
        sku: line.sku.as_str().into(),
        quantity: line.quantity,
        amount_minor: line.amount_minor.minor(),
        components: components(&line.components),
        delivery: 0,
    }
}

fn components(from: &[wire::Component]) -> Box<[Component]> {
    from.iter().map(|part| Component { kind: part.kind, amount_minor: part.amount_minor.minor() }).collect()
}

pub(in super::super) fn placed_to_stored(placed: &Placed) -> PlacedV1 {
    PlacedV1 {
        customer: placed.customer.to_string(),
        currency: code_bytes(placed.currency),
        total_minor: placed.total_minor,
        lines: placed.lines.iter().map(line_to_stored).collect(),
        components: parts_to_stored(&placed.components),
        payments: placed.payments.iter().map(payment_to_stored).collect(),
        deliveries: placed
            .delivery
            .iter()
            .map(delivery_to_stored)
            .chain(placed.deliveries.iter().map(delivery_part_to_stored))
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

pub(in super::super) fn placed_from_stored(stored: &PlacedV1) -> Result<Placed, CodecError> {
    // The shape can say more than this build carries out: leaving a part out would lose it without a word.
    let narrow =
        |what: &str| CodecError::Unsupported { schema: format!("{what} in Record"), found: 1, known: 1 };
    let (parts, whole): (Vec<_>, Vec<_>) =
        stored.deliveries.iter().partition(|delivery| !delivery.line_ids.is_empty());
    if whole.len() > 1 {
        return Err(narrow("several deliveries of all lines"));
    }
    if whole.iter().any(|delivery| delivery.method.is_none()) {
        return Err(narrow("a delivery of no method"));
    }
    if stored.payments.iter().any(|payment| payment.token_ref.is_none()) {
        return Err(narrow("a payment of no means"));
    }
    let lines = stored.lines.iter().map(line_from_stored).collect::<Result<_, CodecError>>()?;
    Ok(Placed {
        customer: stored.customer.as_str().into(),
        currency: currency_from_stored(stored.currency)?,
        total_minor: stored.total_minor,
        lines,
        components: parts_from_stored(&stored.components),
        payments: stored.payments.iter().map(payment_from_stored).collect(),
        delivery: whole.first().copied().map(delivery_from_stored),
        deliveries: parts.into_iter().map(delivery_part_from_stored).collect(),
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
    }
    .numbered())
}

pub(in super::super) fn parts_to_stored(from: &[Component]) -> Vec<ComponentV1> {
    let part = |part: &Component| ComponentV1 {
        kind: component_kind_to_stored(part.kind),
        amount_minor: part.amount_minor,
    };
    from.iter().map(part).collect()
}

pub(in super::super) fn parts_from_stored(from: &[ComponentV1]) -> Box<[Component]> {
    let part = |part: &ComponentV1| Component {
        kind: component_kind_from_stored(part.kind),
        amount_minor: part.amount_minor,
    };
    from.iter().map(part).collect()
}

pub(in super::super) fn line_to_stored(line: &Line) -> LineV1 {
    LineV1 {
        line_id: line.line_id.to_string(),
        sku: line.sku.to_string(),
        quantity: line.quantity.into(),
        amount_minor: line.amount_minor,
        components: parts_to_stored(&line.components),
    }
}

pub(in super::super) fn line_from_stored(line: &LineV1) -> Result<Line, CodecError> {
    Ok(Line {
        line_id: line.line_id.as_str().into(),
        sku: line.sku.as_str().into(),
        quantity: u32::try_from(line.quantity).map_err(|error| CodecError::Corrupt(error.to_string()))?,
        amount_minor: line.amount_minor,
        components: parts_from_stored(&line.components),
        delivery: 0,
    })
}

pub(in super::super) fn delivery_to_stored(delivery: &Delivery) -> DeliveryV1 {
    DeliveryV1 {
        method: Some(delivery.method.to_string()),
        address_ref: delivery.address_ref.as_deref().map(Into::into),
        line_ids: Vec::new(),
    }
}

pub(in super::super) fn delivery_from_stored(delivery: &DeliveryV1) -> Delivery {
    Delivery {
        method: delivery.method.as_deref().unwrap_or_default().into(),
        address_ref: delivery.address_ref.as_deref().map(Into::into),
    }
}

fn delivery_part_to_stored(part: &DeliveryPart) -> DeliveryV1 {
    DeliveryV1 {
        method: part.method.as_deref().map(Into::into),
        address_ref: part.address_ref.as_deref().map(Into::into),
        line_ids: part.line_ids.iter().map(ToString::to_string).collect(),
    }
}

fn delivery_part_from_stored(stored: &DeliveryV1) -> DeliveryPart {
    DeliveryPart {
        line_ids: stored.line_ids.iter().map(|line_id| line_id.as_str().into()).collect(),
        method: stored.method.as_deref().map(Into::into),
        address_ref: stored.address_ref.as_deref().map(Into::into),
    }
}

pub(in super::super) fn payment_to_stored(payment: &Payment) -> PaymentV1 {
    PaymentV1 {
        payment_id: payment.payment_id.to_string(),
        token_ref: Some(payment.token_ref.to_string()),
        amount_minor: payment.amount_minor,
    }
}

pub(in super::super) fn payment_from_stored(stored: &PaymentV1) -> Payment {
    Payment {
        payment_id: stored.payment_id.as_str().into(),
        token_ref: stored.token_ref.as_deref().unwrap_or_default().into(),
        amount_minor: stored.amount_minor,
    }
}

/// A payment as a caller names it.
pub(in super::super) fn payment_from_wire(payment: &wire::Payment) -> Payment {
    Payment {
        payment_id: payment.payment_id.as_str().into(),
        token_ref: payment.token_ref.as_str().into(),
        amount_minor: payment.amount_minor.minor(),
    }
}

/// An upper guess of what a placed order takes in a record, in bytes: texts with their lengths, numbers at their widest.
pub(in super::super) fn place_weight_bytes(place: &PlaceData) -> usize {
    // Taken apart in full, so that a new field cannot be forgotten here. Currency, total and time are in the sum's last number.
    let PlaceData {
        customer,
        currency: _,
        lines,
        components,
        payments,
        delivery,
        deliveries,
        placed_at: _,
        available_from: _,
        attributes,
        sealed,
        relates_to,
        expected_version: _,
    } = place;
    let parts = |count: usize| count * 12 + 8;
    let lines: usize = lines
        .iter()
        .map(|line| line.line_id.len() + line.sku.len() + parts(line.components.len()) + 40)
        .sum();
    let payments: usize =
        payments.iter().map(|payment| payment.payment_id.len() + payment.token_ref.len() + 32).sum();
    let delivery = delivery.as_ref().map_or(0, |delivery| {
        delivery.method.len() + delivery.address_ref.as_ref().map_or(0, String::len) + 32
    });
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    // With the time of each, an event of its own.
    let deliveries: usize = deliveries
        .iter()
        .map(|part| {
            let lines = part.line_ids.iter().map(|line_id| line_id.len() + 8).sum::<usize>();
            lines + text(&part.method) + text(&part.address_ref) + 96
        })
        .sum();
    let attributes: usize = attributes.iter().map(|(name, text)| name.len() + text.len() + 16).sum();
    let sealed =
        sealed.as_ref().map_or(0, |sealed| sealed.key_id.len() + sealed.ciphertext_base64.len() + 32);
    let relation = relates_to.as_ref().map_or(0, |relation| relation.order.as_str().len() + 16);
    relation
        + customer.len()
        + lines
        + parts(components.len())
        + payments
        + delivery
        + deliveries
        + attributes
        + sealed
        + 64
}

fn code_bytes(currency: Currency) -> [u8; 3] {
    let mut code = [b' '; 3];
    for (to, from) in code.iter_mut().zip(currency.code().bytes()) {
        *to = from;
    }
    code
}

pub(in super::super) const fn component_kind_to_stored(kind: ComponentKind) -> ComponentKindV1 {
    match kind {
        ComponentKind::Goods => ComponentKindV1::Goods,
        ComponentKind::Tax => ComponentKindV1::Tax,
        ComponentKind::Discount => ComponentKindV1::Discount,
        ComponentKind::Shipping => ComponentKindV1::Shipping,
        ComponentKind::Fee => ComponentKindV1::Fee,
    }
}

pub(in super::super) const fn component_kind_from_stored(kind: ComponentKindV1) -> ComponentKind {
    match kind {
        ComponentKindV1::Goods => ComponentKind::Goods,
        ComponentKindV1::Tax => ComponentKind::Tax,
        ComponentKindV1::Discount => ComponentKind::Discount,
        ComponentKindV1::Shipping => ComponentKind::Shipping,
        ComponentKindV1::Fee => ComponentKind::Fee,
    }
}

/// A stored currency.
pub(in super::super) fn currency_from_stored(code: [u8; 3]) -> Result<Currency, CodecError> {
    let corrupt = CodecError::Corrupt;
    let code = std::str::from_utf8(&code).map_err(|error| corrupt(error.to_string()))?;
    Currency::parse(code).map_err(|error| corrupt(error.to_string()))
}
