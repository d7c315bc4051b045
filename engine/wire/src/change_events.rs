//! What public events say of an order that is changed after it was placed.

use super::command::{Component, Delivery, Line};
use super::event_data::{LinePart, PaymentPart};
use crate::money::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line that is changed: before, and from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineChange {
    /// Which line.
    pub line_id: String,
    /// Its units before; 0 of a line that came in addition.
    pub quantity_before: u64,
    /// Its units from now on; 0 of a line that was taken out.
    pub quantity: u64,
    /// The price of all its units before, in minor units.
    pub amount_before_minor: Amount,
    /// The price of all its units from now on, in minor units.
    pub amount_minor: Amount,
}

/// What an order is from now on, and what changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amended {
    /// What is ordered from now on.
    pub lines: Vec<Line>,
    /// The lines that are not as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<LineChange>,
    /// Parts of the total that belong to no line; they stay as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// What the whole order cost before, in minor units.
    pub total_before_minor: Amount,
    /// What it costs from now on, in minor units.
    pub total_minor: Amount,
    /// What of the difference no payment is planned for, in minor units: above zero what goods that came back pay for, below
    /// zero what was captured for units that are canceled, and is refunded. Left out where that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_minor: Option<Amount>,
    /// How it is paid from now on, where that was said or has changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<PaymentPart>,
    /// How it is delivered from now on, where that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Free data that was added or changed; an empty text took it out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why.
    pub reason: String,
}

/// Units were canceled before they were booked; what is left goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinesCanceled {
    /// The units that were canceled.
    pub canceled: Vec<LinePart>,
    /// What is ordered from now on.
    pub lines: Vec<Line>,
    /// The lines that are not as they were.
    pub changes: Vec<LineChange>,
    /// What the whole order cost before, in minor units.
    pub total_before_minor: Amount,
    /// What it costs from now on, in minor units.
    pub total_minor: Amount,
    /// What of the difference no payment is planned for, in minor units: above zero what goods that came back pay for, below
    /// zero what was captured for units that are canceled, and is refunded. Left out where that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_minor: Option<Amount>,
    /// How it is paid from now on, where that was said or has changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<PaymentPart>,
    /// Why.
    pub reason: String,
}
