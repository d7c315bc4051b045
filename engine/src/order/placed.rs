//! An order as it was placed.

use std::collections::HashMap;

use crate::ids::TimestampMs;
use crate::money::Currency;
use crate::wire::command::ComponentKind;

/// An order as it was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The customer's reference.
    pub customer: Box<str>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The total in minor units.
    pub total_minor: i64,
    /// The lines.
    pub lines: Box<[Line]>,
    /// Components of the order itself.
    pub components: Box<[Component]>,
    /// Payments; empty means one of the whole.
    pub payments: Box<[Payment]>,
    /// How it is delivered, if that was said.
    pub delivery: Option<Delivery>,
    /// Lines that are delivered by themselves; the others go together.
    pub deliveries: Box<[DeliveryPart]>,
    /// The caller's own data, sorted by name.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
    /// When the shop took the order, if that was said.
    pub placed_at: Option<TimestampMs>,
    /// Personal data under a key of its own.
    pub sealed: Option<SealedPart>,
}

impl Placed {
    /// An order of these lines that says nothing else.
    #[must_use]
    pub fn new(customer: &str, currency: Currency, total_minor: i64, lines: impl Into<Box<[Line]>>) -> Self {
        Self {
            customer: customer.into(),
            currency,
            total_minor,
            lines: lines.into(),
            components: Box::default(),
            payments: Box::default(),
            delivery: None,
            deliveries: Box::default(),
            attributes: Box::default(),
            placed_at: None,
            sealed: None,
        }
    }

    /// Gives each line the number of its delivery.
    #[must_use]
    pub(super) fn numbered(mut self) -> Self {
        let numbers = self.deliveries.iter().zip(1_u16..);
        let numbers = numbers.flat_map(|(part, number)| part.line_ids.iter().map(move |id| (&**id, number)));
        let numbers: HashMap<&str, u16> = numbers.collect();
        for line in &mut self.lines {
            line.delivery = numbers.get(&*line.line_id).copied().unwrap_or(0);
        }
        self
    }

    /// Units over all lines.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity)).sum()
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its id in the order.
    pub line_id: Box<str>,
    /// The stock keeping unit.
    pub sku: Box<str>,
    /// Units.
    pub quantity: u32,
    /// The amount of all its units, in minor units.
    pub amount_minor: i64,
    /// What the amount is made of.
    pub components: Box<[Component]>,
    /// With which delivery it goes, as [`Placed::deliveries`] says, from 1; 0: with all that none of them names.
    pub delivery: u16,
}

/// A part of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// What it is for.
    pub kind: ComponentKind,
    /// Signed, in minor units.
    pub amount_minor: i64,
}

/// A planned payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id in the order.
    pub payment_id: Box<str>,
    /// A reference to the means of payment.
    pub token_ref: Box<str>,
    /// In minor units.
    pub amount_minor: i64,
}

/// A planned delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How.
    pub method: Box<str>,
    /// A reference to the address.
    pub address_ref: Option<Box<str>>,
}

/// Lines that are delivered by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPart {
    /// Which lines.
    pub line_ids: Box<[Box<str>]>,
    /// How, where that is not as the order's.
    pub method: Option<Box<str>>,
    /// A reference to the address, where that is not the order's.
    pub address_ref: Option<Box<str>>,
}

/// Personal data under a key of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPart {
    /// Which key.
    pub key_id: Box<str>,
    /// The ciphertext.
    pub ciphertext: Box<[u8]>,
}
