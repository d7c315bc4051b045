//! What was placed, as version 1 stores it: frozen.

use serde::{Deserialize, Serialize};

/// An order as it was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedV1 {
    /// The customer's reference.
    pub customer: String,
    /// ISO 4217 code.
    pub currency: [u8; 3],
    /// The total in minor units.
    pub total_minor: i64,
    /// The lines.
    pub lines: Vec<LineV1>,
    /// Components of the order itself.
    pub components: Vec<ComponentV1>,
    /// Payments; empty means one of the whole.
    pub payments: Vec<PaymentV1>,
    /// Deliveries; empty means one by default.
    pub deliveries: Vec<DeliveryV1>,
    /// The caller's own data, sorted by name.
    pub attributes: Vec<(String, String)>,
    /// When the shop took the order, milliseconds since 1970.
    pub placed_ms: Option<i64>,
    /// Personal data, readable only with a key that can be destroyed.
    pub sealed: Option<SealedV1>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineV1 {
    /// Its id in the order.
    pub line_id: String,
    /// The stock keeping unit.
    pub sku: String,
    /// Units.
    pub quantity: u64,
    /// The amount of all its units, in minor units.
    pub amount_minor: i64,
    /// What the amount is made of.
    pub components: Vec<ComponentV1>,
}

/// A part of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentV1 {
    /// What it is for.
    pub kind: ComponentKindV1,
    /// Signed, in minor units.
    pub amount_minor: i64,
}

/// What a component is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum ComponentKindV1 {
    Goods,
    Tax,
    Discount,
    Shipping,
    Fee,
}

/// A planned payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentV1 {
    /// Its id in the order.
    pub payment_id: String,
    /// A reference to the means of payment.
    pub token_ref: Option<String>,
    /// In minor units.
    pub amount_minor: i64,
}

/// A planned delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryV1 {
    /// How.
    pub method: Option<String>,
    /// A reference to the address.
    pub address_ref: Option<String>,
    /// The lines it carries; empty means all.
    pub line_ids: Vec<String>,
}

/// Personal data under a key of its own. The chain runs over the ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedV1 {
    /// Which key.
    pub key_id: String,
    /// The ciphertext.
    pub ciphertext: Vec<u8>,
}
