//! What commands say that move money, or record that it moved, without goods coming back.

use super::command::{Component, Payment};
use super::limits::*;
use super::object::objects;
use super::scalar::version;
use crate::ids::TimestampMs;
use crate::money::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a line's money, without its goods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundLine {
    /// Which line.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub line_id: String,
    /// How much of it is paid back.
    #[schemars(range(min = 0))]
    pub amount_minor: Amount,
}

/// Money is paid back without goods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundData {
    /// How much in all; above zero.
    #[schemars(range(min = 1))]
    pub amount_minor: Amount,
    /// What it is paid back of: components of the order. With `lines` they add up to the amount, when given.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "objects::<COMPONENTS_MAX, _, _>"
    )]
    #[schemars(length(max = COMPONENTS_MAX))]
    pub components: Vec<Component>,
    /// What it is paid back of: lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(max = LINES_MAX))]
    pub lines: Vec<RefundLine>,
    /// Which payment it goes back to. Left out: as the tenant's rule has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub payment_id: Option<String>,
    /// Why.
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: String,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

/// Another means of payment: after a decline, or for the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PayData {
    /// What is paid how; at least one, each with an id that the order has not had.
    #[serde(deserialize_with = "objects::<PAYMENTS_MAX, _, _>")]
    #[schemars(length(min = 1, max = PAYMENTS_MAX))]
    pub payments: Vec<Payment>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: Option<String>,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

/// What happened outside, for the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// The customer's bank took a payment back.
    Chargeback,
    /// Goods were lost on their way, or broken.
    Loss,
    /// The shop gave something that is no refund: a voucher, say.
    Goodwill,
    /// The customer paid past the participants: in cash, by transfer.
    ExternalPayment,
}

impl FactKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Chargeback, Self::Loss, Self::Goodwill, Self::ExternalPayment];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chargeback => "chargeback",
            Self::Loss => "loss",
            Self::Goodwill => "goodwill",
            Self::ExternalPayment => "external_payment",
        }
    }
}

/// A fact with an amount enters the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordData {
    /// What happened.
    pub kind: FactKind,
    /// How much; above zero.
    #[schemars(range(min = 1))]
    pub amount_minor: Amount,
    /// What it is called where it happened: the bank's case, the carrier's claim. One of a kind is recorded once.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub reference: String,
    /// Which payment it is about, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub payment_id: Option<String>,
    /// Which line it is about, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub line_id: Option<String>,
    /// When it happened, where that is not when the command was made.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub happened_at: Option<TimestampMs>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: Option<String>,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}
