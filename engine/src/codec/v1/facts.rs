//! Facts that enter an order's books, of version 1: frozen.

use serde::{Deserialize, Serialize};

/// What happened outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum FactKindV1 {
    Chargeback,
    Loss,
    Goodwill,
    ExternalPayment,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactV1 {
    /// What happened.
    pub kind: FactKindV1,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// What it is called where it happened.
    pub reference: String,
    /// Which payment it is about, where one is.
    pub payment_id: Option<String>,
    /// Which line it is about, where one is.
    pub line_id: Option<String>,
    /// When it happened, milliseconds since 1970, where that was said.
    pub happened_ms: Option<i64>,
    /// When it was recorded, milliseconds since 1970.
    pub recorded_ms: i64,
    /// Why, for people.
    pub reason: Option<String>,
}
