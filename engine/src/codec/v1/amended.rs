//! What an order is from now on, as version 1 stores it: frozen.

use serde::{Deserialize, Serialize};

use super::placed::{ComponentV1, DeliveryV1, LineV1, PaymentV1};

/// An order is changed before its goods are booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmendedV1 {
    /// Lines that are changed.
    pub lines: Vec<LineChangeV1>,
    /// Lines that come in addition.
    pub added: Vec<LineV1>,
    /// The total before and from now on, in minor units.
    pub total_minor: (i64, i64),
    /// What is paid by each payment from now on, in minor units; empty where that stays.
    pub planned_minor: Vec<i64>,
    /// Payments that come in addition.
    pub payments: Vec<PaymentV1>,
    /// How it is delivered from now on, where that is changed.
    pub delivery: Option<DeliveryV1>,
    /// Free data that is added, changed, or with an empty text taken out.
    pub attributes: Vec<(String, String)>,
    /// A note for people.
    pub note: Option<String>,
    /// Why.
    pub reason: String,
    /// Units were canceled, and nothing else was asked for.
    pub cancels: bool,
    /// What of the difference no payment is planned for, in minor units.
    pub settled_minor: i64,
}

/// A line that is changed: before and from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineChangeV1 {
    /// Which line.
    pub line_id: String,
    /// Its units.
    pub quantity: (u64, u64),
    /// The amount of all its units, in minor units.
    pub amount_minor: (i64, i64),
    /// What the amount is made of from now on, where that is known.
    pub components: Vec<ComponentV1>,
}
