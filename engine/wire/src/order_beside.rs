//! What an order's view shows of what shops do beside its own way.

use super::command::{FactKind, Restock};
use crate::ids::TimestampMs;
use crate::money::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a return said beside its units and money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnTermsView {
    /// Which return of the order.
    pub return_id: String,
    /// What the shop keeps, in minor units; absent where it keeps nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_minor: Option<Amount>,
    /// Line by line.
    pub lines: Vec<TermLine>,
}

/// What became of units of a line that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TermLine {
    /// Which line.
    pub line_id: String,
    /// How many units.
    pub quantity: u64,
    /// Whether they are taken back into stock.
    pub restock: Restock,
    /// In which condition they came, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// What happened outside, in the order's books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderFact {
    /// What.
    pub kind: FactKind,
    /// How much, in minor units.
    pub amount_minor: Amount,
    /// What it is called where it happened.
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
    /// When it was recorded.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub recorded_at: TimestampMs,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// All facts of a kind, added up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FactSum {
    /// Of which kind.
    pub kind: FactKind,
    /// How much together, in minor units.
    pub amount_minor: Amount,
}

/// A hold that stands: no step of the order is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderHold {
    /// Its name in the order.
    pub name: String,
    /// The operator who put it, by the name that they gave; absent: the tenant's systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: TimestampMs,
    /// Until when somebody means to have looked. It does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<TimestampMs>,
    /// That time is over, and somebody should look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
}
