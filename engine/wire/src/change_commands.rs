//! What commands say that change what an order is made of, or make it wait.

use super::attributes::attributes;
use super::command::{Delivery, Line, Payment, ReturnLine};
use super::limits::*;
use super::object::{objects, optional_object};
use super::scalar::{quantity, version};
use crate::ids::TimestampMs;
use crate::money::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line as it is to be from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AmendLine {
    /// Which line.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub line_id: String,
    /// How many units it has from now on; 0 takes the line out.
    #[schemars(range(min = 0, max = QUANTITY_MAX))]
    pub quantity: u32,
    /// The price of the whole line from now on. Left out: its price by unit stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub amount_minor: Option<Amount>,
}

/// Units of one line that are canceled before they are booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelLine {
    /// Which line.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub line_id: String,
    /// How many units.
    #[serde(deserialize_with = "quantity")]
    #[schemars(range(min = 1, max = QUANTITY_MAX))]
    pub quantity: u32,
}

/// The order is changed before the step that makes it impossible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AmendData {
    /// Lines that change; what is not named stays as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(max = LINES_MAX))]
    pub lines: Vec<AmendLine>,
    /// Lines that come in addition.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(max = LINES_MAX))]
    pub add_lines: Vec<Line>,
    /// How it is delivered from now on.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_object")]
    pub delivery: Option<Delivery>,
    /// Free data that is added or takes the place of what has its name; an empty text takes it out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "attributes")]
    #[schemars(extend(
        "maxProperties" = ATTRIBUTES_MAX,
        "propertyNames" = { "minLength": 1, "maxLength": ATTRIBUTE_KEY_MAX_CHARS },
        "additionalProperties" = { "type": "string", "maxLength": ATTRIBUTE_VALUE_MAX_CHARS },
    ))]
    pub attributes: BTreeMap<String, String>,
    /// A note for people who look at the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub note: Option<String>,
    /// How a higher price is paid. Left out: as the order's last payment.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "objects::<PAYMENTS_MAX, _, _>"
    )]
    #[schemars(length(max = PAYMENTS_MAX))]
    pub payments: Vec<Payment>,
    /// Why.
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: String,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

/// Units come back, and others are ordered in their place: one settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeData {
    /// Which units come back; at least one line, each at most once.
    #[serde(deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(min = 1, max = LINES_MAX))]
    pub lines: Vec<ReturnLine>,
    /// What is ordered in their place; at least one line, each with an id that the order has not had.
    #[serde(deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(min = 1, max = LINES_MAX))]
    pub add_lines: Vec<Line>,
    /// How a higher price is paid. Left out: as the order's last payment.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "objects::<PAYMENTS_MAX, _, _>"
    )]
    #[schemars(length(max = PAYMENTS_MAX))]
    pub payments: Vec<Payment>,
    /// Why.
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: String,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

/// The order's steps wait from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldData {
    /// Names the hold within the order: `fraud`, `address`.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub name: String,
    /// Why.
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: String,
    /// Until when somebody means to have looked. It does not end by itself: somebody is reminded.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<TimestampMs>,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

/// A hold ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseHoldData {
    /// Which hold.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub name: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: Option<String>,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}
