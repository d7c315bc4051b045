//! What participants and operators say about an order's steps.

use super::command::ReturnLine;
use super::limits::{LINES_MAX, NAME_MAX_CHARS, REASON_MAX_CHARS, VERSION_MAX};
use super::object::objects;
use super::scalar::version;
use super::shipment::ShipmentState;
use crate::ids::TimestampMs;
use crate::money::Amount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step of an order: forwards, then backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reserve stock.
    Reserve,
    /// Authorize the payment.
    Authorize,
    /// Book the shipment.
    Book,
    /// Capture the payment.
    Capture,
    /// Cancel the shipment.
    CancelShipment,
    /// Void the authorization.
    Void,
    /// Pay back.
    Refund,
    /// Release the stock.
    Release,
    /// Take returned units back into stock.
    Restock,
    /// Judge the order, before anything is captured or booked.
    Review,
}

impl Step {
    /// All of them, in this order.
    pub const ALL: [Self; 10] = [
        Self::Reserve,
        Self::Authorize,
        Self::Book,
        Self::Capture,
        Self::CancelShipment,
        Self::Void,
        Self::Refund,
        Self::Release,
        Self::Restock,
        Self::Review,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Authorize => "authorize",
            Self::Book => "book",
            Self::Capture => "capture",
            Self::CancelShipment => "cancel_shipment",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Release => "release",
            Self::Restock => "restock",
            Self::Review => "review",
        }
    }

    /// Does it belong to one payment?
    #[must_use]
    pub const fn is_of_payment(self) -> bool {
        matches!(self, Self::Authorize | Self::Capture | Self::Void | Self::Refund)
    }
}

/// How a pending step ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportOutcome {
    /// It was done.
    Done,
    /// It was decided against: a card refused, stock gone.
    Declined,
    /// It could not be done, and was not.
    Failed,
    /// It is not decided yet: it will be at a later time.
    Pending,
}

impl ReportOutcome {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::Pending => "pending",
        }
    }
}

/// What an operator says about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedAs {
    /// It was done.
    Done,
    /// It was not done.
    NotDone,
}

impl ResolvedAs {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotDone => "not_done",
        }
    }
}

/// A participant says how a pending step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportData {
    /// Which step.
    pub step: Step,
    /// The reference that the participant gave when it said "pending".
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub reference: String,
    /// How it ended.
    pub outcome: ReportOutcome,
    /// Why it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: Option<String>,
    /// How much it was done for, where that differs from what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub amount_minor: Option<Amount>,
    /// Which units it is about, where not all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(max = LINES_MAX))]
    pub lines: Vec<ReturnLine>,
    /// When it will be decided, where it is pending still: until then nobody asks. At most two years ahead.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<TimestampMs>,
    /// Where the shipment is, of a booking that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment: Option<ShipmentState>,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

/// An operator says how a step ended, on evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveStepData {
    /// Which step.
    pub step: Step,
    /// How it ended.
    #[serde(rename = "as")]
    pub resolved_as: ResolvedAs,
    /// How the operator knows.
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub evidence: String,
    /// Which one of several, as the order shows it: `p2` the second payment's, `r1` the first return's, `r1.p2`. Where an order has
    /// had more than one of the step, this or `expected_version` must say which is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub part: Option<String>,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

macro_rules! with_reason {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Why.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
            pub reason: Option<String>,
            /// The order's version that the caller has seen.
            #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
            #[schemars(range(max = VERSION_MAX))]
            pub expected_version: Option<u64>,
        }
    )*};
}

with_reason! {
    /// An order that is held or stalled goes on.
    ResumeData
    /// What was done is undone.
    CompensateData
    /// An order that has ended goes into the archive.
    ArchiveData
    /// An order comes back from the archive.
    RestoreData
}
