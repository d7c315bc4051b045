//! What public events say. Readers must let fields pass that they do not know: they are added to.

pub use super::event_data_more::*;

use super::command::{Component, Delivery, DeliveryPart, Line, Relation, Restock, Step};
use super::order::{Attention, LineAmount, PaymentSummary};
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

/// Units of a line that come back, and what is paid for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnedPart {
    /// Which line.
    pub line_id: String,
    /// How many units.
    pub quantity: u64,
    /// How much is paid back for them, in minor units.
    pub refund_minor: Amount,
    /// Whether they are taken back into stock; absent: they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restock: Option<Restock>,
    /// In which condition they came, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// A part of how an order is paid. The means of payment is between the tenant and the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentPart {
    /// Which payment.
    pub payment_id: String,
    /// How much is paid this way, in minor units.
    pub amount_minor: Amount,
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
    /// Parts of the total that belong to no line, such as shipping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// How it is paid, where that was said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<PaymentPart>,
    /// How it is delivered, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Lines that are delivered by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryPart>,
    /// When the customer ordered, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub placed_at: Option<TimestampMs>,
    /// Another order of the tenant that this one has to do with, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relates_to: Option<Relation>,
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
    /// What was set aside; left out where that is all of the order's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LinePart>,
}

/// The order was judged good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reviewed {
    /// The reviewer's reference.
    pub reference: String,
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

/// A participant took a step on, and decides later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// Which step.
    pub step: Step,
    /// The participant's reference: what a report has to name.
    pub reference: String,
    /// When it is looked at again, if no report comes before.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<TimestampMs>,
}

/// A shipment is somewhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentMoved {
    /// Which.
    pub shipment_id: String,
    /// Shipping's reference.
    pub reference: String,
    /// What is in it.
    pub lines: Vec<LinePart>,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Its goods are not there yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwaitingGoods {
    /// When stock is asked for.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub until: TimestampMs,
    /// For which lines; left out where that is the whole order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line_ids: Vec<String>,
}

/// A payment was decided against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentFailed {
    /// Which payment.
    pub payment_id: String,
    /// What was asked for: `authorize` or `capture`.
    pub step: Step,
    /// How much was asked for, in minor units.
    pub amount_minor: Amount,
    /// Why, for programs: the provider's code.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// Until when the order waits for another means of payment; absent when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub waiting_until: Option<TimestampMs>,
}

/// Stock that was set aside was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Released {
    /// The inventory's reference.
    pub reference: String,
    /// What was given back.
    pub lines: Vec<LinePart>,
}

/// The authorization was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Voided {
    /// Which payment.
    pub payment_id: String,
    /// The payment provider's reference.
    pub reference: String,
    /// How much, in minor units.
    pub amount_minor: Amount,
}

/// A booked shipment was canceled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentCanceled {
    /// Which shipment of the order.
    pub shipment_id: String,
    /// The carrier's reference.
    pub reference: String,
    /// What it would have carried; left out where that is all of the order's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LinePart>,
}

/// Money was paid back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refunded {
    /// Which payment.
    pub payment_id: String,
    /// For which return; absent when it is for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<String>,
    /// For which refund without goods; absent when it is for none. With neither, the order was canceled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<String>,
    /// Which lines it is of. With the components it adds up to the amount, but where a refund named nothing, and where
    /// the order was canceled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineAmount>,
    /// Which components of the order it is of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// The payment provider's reference.
    pub reference: String,
    /// How much, in minor units.
    pub amount_minor: Amount,
}

/// Units that came back are in stock again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restocked {
    /// Of which return.
    pub return_id: String,
    /// The inventory's reference.
    pub reference: String,
    /// What is in stock again.
    pub lines: Vec<LinePart>,
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
    /// Which return of the order.
    pub return_id: String,
    /// What came back.
    pub lines: Vec<ReturnedPart>,
    /// How much is paid back for them, in minor units.
    pub refund_minor: Amount,
    /// What the shop keeps of what would be paid back, in minor units; absent where it keeps nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_minor: Option<Amount>,
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

/// The order takes commands again; what waited was decided, or is told to be discarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnparkedOrder {}

/// The order came back from the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoredOrder {
    /// When.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub restored_at: TimestampMs,
}
