//! What public events say of what shops do beside an order's own way.

use super::command::FactKind;
use crate::ids::TimestampMs;
use crate::money::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The order's steps wait from now on, until the hold is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Its name in the order.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Until when somebody means to have looked. It does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<TimestampMs>,
}

/// A hold ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldReleased {
    /// Its name in the order.
    pub name: String,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The holds that still stand: with none the steps go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// What happened outside entered the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// What happened.
    pub kind: FactKind,
    /// How much, in minor units.
    pub amount_minor: Amount,
    /// What it is called where it happened: one of a kind is recorded once.
    pub reference: String,
    /// Which payment it is about, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    /// Which line it is about, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<String>,
    /// When it happened, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub happened_at: Option<TimestampMs>,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a chargeback, how much the shop owed the customer anyway: what it was to pay back, or had not earned yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed_minor: Option<Amount>,
}
