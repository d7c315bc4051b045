//! What commands say. Unknown fields are refused: a typo must not be ignored.
//!
//! Amounts are in minor units of the order's currency. Optional fields may be null, which means absent. New
//! fields are always optional, and an absent one adds nothing to the content hash.

use super::attributes::attributes;
pub use super::change_commands::{AmendData, AmendLine, CancelLine, ExchangeData, HoldData, ReleaseHoldData};
use super::command_type::CommandType;
use super::limits::*;
pub use super::money_commands::{FactKind, PayData, RecordData, RefundData, RefundLine};
use super::object::{objects, optional_object};
use super::scalar::{quantity, version};
pub use super::shipment::{DeliveryPart, ShipmentState};
pub use super::steps::{
    ArchiveData, CompensateData, ReportData, ReportOutcome, ResolveStepData, ResolvedAs, RestoreData,
    ResumeData, Step,
};
use crate::ids::{OrderId, TimestampMs};
use crate::money::{Amount, Currency};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a part of an amount is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// The goods themselves.
    Goods,
    /// Tax.
    Tax,
    /// A discount; its amount is below zero.
    Discount,
    /// Shipping.
    Shipping,
    /// A fee.
    Fee,
}

impl ComponentKind {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goods => "goods",
            Self::Tax => "tax",
            Self::Discount => "discount",
            Self::Shipping => "shipping",
            Self::Fee => "fee",
        }
    }
}

/// A part of an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// What it is for.
    pub kind: ComponentKind,
    /// How much; below zero takes away.
    pub amount_minor: Amount,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Names the line within the order.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub line_id: String,
    /// What is ordered.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub sku: String,
    /// How many units.
    #[serde(deserialize_with = "quantity")]
    #[schemars(range(min = 1, max = QUANTITY_MAX))]
    pub quantity: u32,
    /// The price of the whole line, all units together.
    #[schemars(range(min = 0))]
    pub amount_minor: Amount,
    /// What the amount is made of; adds up to it, when given.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "objects::<COMPONENTS_MAX, _, _>"
    )]
    #[schemars(length(max = COMPONENTS_MAX))]
    pub components: Vec<Component>,
}

/// A payment of an order, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// Names the payment within the order.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub payment_id: String,
    /// Refers to the means of payment, which is kept elsewhere.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub token_ref: String,
    /// How much is paid this way.
    #[schemars(range(min = 0))]
    pub amount_minor: Amount,
}

/// How an order is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The way of shipping.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub method: String,
    /// Refers to the address, which is kept elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub address_ref: Option<String>,
}

/// What an order is of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// It takes the other one's place: that was lost, or came broken.
    ReplacementOf,
    /// It is what the customer took for the other one, or for a part of it.
    ExchangeOf,
}

impl RelationKind {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReplacementOf => "replacement_of",
            Self::ExchangeOf => "exchange_of",
        }
    }
}

/// Another order of the tenant that an order has to do with. Nobody checks that it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// What it is of the other one.
    pub kind: RelationKind,
    /// The other one.
    pub order: OrderId,
}

/// Personal data, encrypted by the caller's key service: destroying the key erases it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Which key.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub key_id: String,
    /// What was encrypted, as base64 with padding.
    #[schemars(length(min = 1, max = SEALED_MAX_CHARS))]
    pub ciphertext_base64: String,
}

/// A new order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceData {
    /// Refers to who orders.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub customer: String,
    /// What all amounts are in.
    pub currency: Currency,
    /// What is ordered; at least one line.
    #[serde(deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(min = 1, max = LINES_MAX))]
    pub lines: Vec<Line>,
    /// Parts of the total that belong to no line.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "objects::<COMPONENTS_MAX, _, _>"
    )]
    #[schemars(length(max = COMPONENTS_MAX))]
    pub components: Vec<Component>,
    /// How it is paid; adds up to the total, when given, and is authorized and captured in this order. Left out: one payment
    /// of the whole.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "objects::<PAYMENTS_MAX, _, _>"
    )]
    #[schemars(length(max = PAYMENTS_MAX))]
    pub payments: Vec<Payment>,
    /// How it is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_object")]
    pub delivery: Option<Delivery>,
    /// Lines that are delivered by themselves. Left out: all lines go together.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "objects::<DELIVERIES_MAX, _, _>"
    )]
    #[schemars(length(max = DELIVERIES_MAX))]
    pub deliveries: Vec<DeliveryPart>,
    /// When the customer ordered, where that is not when the command was made.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub placed_at: Option<TimestampMs>,
    /// When its goods can be set aside at the earliest (back-order, pre-order): until then stock is not asked for. At most two
    /// years ahead; a time that has passed changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub available_from: Option<TimestampMs>,
    /// Free data, kept with the order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "attributes")]
    #[schemars(extend(
        "maxProperties" = ATTRIBUTES_MAX,
        "propertyNames" = { "minLength": 1, "maxLength": ATTRIBUTE_KEY_MAX_CHARS },
        "additionalProperties" = { "type": "string", "maxLength": ATTRIBUTE_VALUE_MAX_CHARS },
    ))]
    pub attributes: BTreeMap<String, String>,
    /// Personal data, encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_object")]
    pub sealed: Option<Sealed>,
    /// Another order of the tenant that this one has to do with. Nobody checks that it is there.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_object")]
    pub relates_to: Option<Relation>,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

impl PlaceData {
    /// A new order of these lines that says nothing else.
    #[must_use]
    pub fn new(customer: String, currency: Currency, lines: Vec<Line>) -> Self {
        Self {
            customer,
            currency,
            lines,
            components: Vec::new(),
            payments: Vec::new(),
            delivery: None,
            deliveries: Vec::new(),
            placed_at: None,
            available_from: None,
            attributes: BTreeMap::new(),
            sealed: None,
            relates_to: None,
            expected_version: None,
        }
    }
}

/// Take the order back, or units of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelData {
    /// Why.
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: String,
    /// Which units, each line at most once; left out: the whole order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(max = LINES_MAX))]
    pub lines: Vec<CancelLine>,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

/// Whether units that come back are taken into stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restock {
    /// They can be sold again.
    Yes,
    /// They cannot: no stock is moved.
    No,
}

impl Restock {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

/// Units of one line that come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnLine {
    /// Which line.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub line_id: String,
    /// How many units.
    #[serde(deserialize_with = "quantity")]
    #[schemars(range(min = 1, max = QUANTITY_MAX))]
    pub quantity: u32,
    /// How much is paid back for them; left out: their share of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub amount_minor: Option<Amount>,
    /// Whether they are taken back into stock. Left out: as the return has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restock: Option<Restock>,
    /// In which condition they came: `new`, `opened`, `broken`, or a word of the shop's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub condition: Option<String>,
}

impl ReturnLine {
    /// So many units of a line that say nothing else.
    #[must_use]
    pub const fn new(line_id: String, quantity: u32) -> Self {
        Self { line_id, quantity, amount_minor: None, restock: None, condition: None }
    }
}

/// Units come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnData {
    /// Which units; at least one line, each at most once.
    #[serde(deserialize_with = "objects::<LINES_MAX, _, _>")]
    #[schemars(length(min = 1, max = LINES_MAX))]
    pub lines: Vec<ReturnLine>,
    /// Whether the units are taken back into stock, where their line does not say. Left out: `yes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restock: Option<Restock>,
    /// What the shop keeps of what would be paid back, at most all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub fee_minor: Option<Amount>,
    /// Why.
    #[schemars(length(min = 1, max = REASON_MAX_CHARS))]
    pub reason: String,
    /// The order's version that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[schemars(range(max = VERSION_MAX))]
    pub expected_version: Option<u64>,
}

/// What a command says, by its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CommandData {
    /// A new order.
    Place(PlaceData),
    /// Take the order back.
    Cancel(CancelData),
    /// Units come back.
    Return(ReturnData),
    /// How a pending step ended.
    Report(ReportData),
    /// An order goes on.
    Resume(ResumeData),
    /// How a step ended, on evidence.
    ResolveStep(ResolveStepData),
    /// Undo what was done.
    Compensate(CompensateData),
    /// Into the archive.
    Archive(ArchiveData),
    /// Out of the archive.
    Restore(RestoreData),
    /// Money is paid back without goods.
    Refund(RefundData),
    /// The order's steps wait.
    Hold(HoldData),
    /// A hold ends.
    ReleaseHold(ReleaseHoldData),
    /// Another means of payment.
    Pay(PayData),
    /// The order is changed.
    Amend(AmendData),
    /// Units come back, and others are ordered in their place.
    Exchange(ExchangeData),
    /// What happened outside enters the books.
    Record(RecordData),
}

impl CommandData {
    /// The type of the command that says this.
    #[must_use]
    pub const fn kind(&self) -> CommandType {
        match self {
            Self::Place(_) => CommandType::Place,
            Self::Cancel(_) => CommandType::Cancel,
            Self::Return(_) => CommandType::Return,
            Self::Report(_) => CommandType::Report,
            Self::Resume(_) => CommandType::Resume,
            Self::ResolveStep(_) => CommandType::ResolveStep,
            Self::Compensate(_) => CommandType::Compensate,
            Self::Archive(_) => CommandType::Archive,
            Self::Restore(_) => CommandType::Restore,
            Self::Refund(_) => CommandType::Refund,
            Self::Hold(_) => CommandType::Hold,
            Self::ReleaseHold(_) => CommandType::ReleaseHold,
            Self::Pay(_) => CommandType::Pay,
            Self::Amend(_) => CommandType::Amend,
            Self::Exchange(_) => CommandType::Exchange,
            Self::Record(_) => CommandType::Record,
        }
    }

    /// The order's version that the caller has seen, if it said so.
    #[must_use]
    pub const fn expected_version(&self) -> Option<u64> {
        match self {
            Self::Place(d) => d.expected_version,
            Self::Cancel(d) => d.expected_version,
            Self::Return(d) => d.expected_version,
            Self::Report(d) => d.expected_version,
            Self::Resume(d) => d.expected_version,
            Self::ResolveStep(d) => d.expected_version,
            Self::Compensate(d) => d.expected_version,
            Self::Archive(d) => d.expected_version,
            Self::Restore(d) => d.expected_version,
            Self::Refund(d) => d.expected_version,
            Self::Hold(d) => d.expected_version,
            Self::ReleaseHold(d) => d.expected_version,
            Self::Pay(d) => d.expected_version,
            Self::Amend(d) => d.expected_version,
            Self::Exchange(d) => d.expected_version,
            Self::Record(d) => d.expected_version,
        }
    }
}
