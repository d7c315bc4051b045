//! What public events say. Readers must let fields pass that they do not know: they are added to.

use super::command::{Line, Step};
use super::order::{Attention, PaymentSummary};
use crate::ids::TimestampMs;
use crate::money::{Amount, Currency};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Some units of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinePart {
    /// Which line.
    pub line_id: String,
    /// How many units.
    pub quantity: u64,
}

/// The order was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placed {
    /// Refers to who ordered.
    pub customer: String,
    /// What all amounts of this order are in.
    pub currency: Currency,
    /// What the whole order costs, in minor units.
    pub total_minor: Amount,
    /// How many units are ordered.
    pub units: u64,
    /// What is ordered.
    pub lines: Vec<Line>,
    /// When the customer ordered, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub placed_at: Option<TimestampMs>,
    /// Free data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Stock was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reserved {
    /// The inventory's reference.
    pub reference: String,
    /// What was not to be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short: Vec<LinePart>,
}

/// The payment was authorized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Authorized {
    /// Which payment.
    pub payment_id: String,
    /// The payment provider's reference.
    pub reference: String,
    /// How much, in minor units.
    pub amount_minor: Amount,
    /// Until when it can be captured.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<TimestampMs>,
}

/// A shipment was booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Booked {
    /// Which shipment of the order.
    pub shipment_id: String,
    /// The carrier's reference.
    pub reference: String,
    /// What it carries.
    pub lines: Vec<LinePart>,
}

/// The payment was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Captured {
    /// Which payment.
    pub payment_id: String,
    /// The payment provider's reference.
    pub reference: String,
    /// How much, in minor units.
    pub amount_minor: Amount,
}

/// All was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Completed {
    /// What was paid.
    pub payment: PaymentSummary,
}

/// What was done is being undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Canceling {
    /// Why.
    pub reason: String,
}

/// All that was done has been undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Canceled {
    /// Why.
    pub reason: String,
    /// What was paid, and paid back.
    pub payment: PaymentSummary,
}

/// Units came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Returned {
    /// What came back.
    pub lines: Vec<LinePart>,
    /// How much is paid back for them, in minor units.
    pub refund_minor: Amount,
    /// Why.
    pub reason: String,
}

/// Whether someone should look has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttentionChanged {
    /// What it is now.
    pub attention: Attention,
    /// Why.
    pub reason: String,
    /// The step that it is about, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

/// The order is parked: its commands wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedOrder {
    /// Why.
    pub reason: String,
}

/// The order went into the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchivedOrder {
    /// When.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub archived_at: TimestampMs,
}
