//! An order as its callers see it: never one word that hides where it is.

pub use super::order_beside::*;

use super::command::{Component, Delivery, Line, Relation, Step};
use super::flow_rules::FlowRules;
pub use super::history::{HistoryEntry, HistoryPage, StepRecord};
pub use super::shipment::{DeliveryPart, OrderShipment, ShippedLine};
use crate::ids::{OrderId, TenantId, TimestampMs};
use crate::money::{Amount, Currency};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

super::schema_tag! {
    /// The name and version of the shape of [`OrderView`].
    OrderSchema, "retailflow.order.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`HistoryPage`].
    HistorySchema, "retailflow.history.v1"
}

/// Money of a line, without goods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineAmount {
    /// Which line.
    pub line_id: String,
    /// How much, in minor units.
    pub amount_minor: Amount,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    )*};
}

words! {
    /// Where an order stands as a whole.
    OrderStatus {
        /// On its way.
        Open "open",
        /// All was done.
        Completed "completed",
        /// What was done is being undone.
        Canceling "canceling",
        /// All that was done has been undone.
        Canceled "canceled",
    }
    /// Whether someone should look.
    Attention {
        /// No.
        None "none",
        /// It waits for a decision of someone.
        Held "held",
        /// It waits longer than it should.
        Stalled "stalled",
        /// It takes no commands; they wait in its queue.
        Parked "parked",
    }
    /// Where a payment stands.
    PaymentStanding {
        /// Nothing was asked of its provider, or nothing came of it.
        Planned "planned",
        /// Set aside on the means of payment.
        Authorized "authorized",
        /// Taken.
        Captured "captured",
        /// Taken, and paid back in part.
        PartlyRefunded "partly_refunded",
        /// Taken, and all of it paid back.
        Refunded "refunded",
        /// Given up, or expired.
        Voided "voided",
        /// Its provider decided against it.
        Declined "declined",
        /// Taken, and taken back by the customer's bank, as far as it was not paid back.
        ChargedBack "charged_back",
    }
    /// Where a refund without goods stands.
    RefundStanding {
        /// It waits for what was asked for before it.
        Queued "queued",
        /// Its provider is asked.
        InFlight "in_flight",
        /// Its provider did not do it: somebody has to look.
        Held "held",
        /// It is paid back.
        Paid "paid",
        /// The order was canceled: it went back with all the rest.
        Superseded "superseded",
        /// The customer's bank took it back before.
        ChargedBack "charged_back",
    }
    /// What they are who give a command.
    GiverKind {
        /// The tenant's systems.
        Tenant "tenant",
        /// An operator.
        Operator "operator",
        /// Somebody who carries steps out.
        Participant "participant",
        /// The engine itself.
        Engine "engine",
    }
}

/// What was paid, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentSummary {
    /// Set aside on the means of payment and not captured.
    pub authorized_minor: Amount,
    /// Taken.
    pub captured_minor: Amount,
    /// Paid back.
    pub refunded_minor: Amount,
    /// Taken back by the customer's bank; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_back_minor: Option<Amount>,
    /// Until when another means is waited for, after a payment was declined.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub waiting_until: Option<TimestampMs>,
}

/// How one payment of an order stands, in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPayment {
    /// Which; `payment` for the only one where none was named.
    pub payment_id: String,
    /// Refers to the means of payment, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_ref: Option<String>,
    /// What is to be paid this way.
    pub amount_minor: Amount,
    /// Set aside on the means of payment and not captured.
    pub authorized_minor: Amount,
    /// Taken.
    pub captured_minor: Amount,
    /// Set aside once, and given up or expired.
    pub voided_minor: Amount,
    /// Paid back.
    pub refunded_minor: Amount,
    /// Taken back by the customer's bank; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_back_minor: Option<Amount>,
    /// Where it stands.
    pub state: PaymentStanding,
    /// Its provider's reference: of the capture, and before that of the authorization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Money that is paid back without goods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRefund {
    /// Which refund of the order.
    pub refund_id: String,
    /// How much, in minor units.
    pub amount_minor: Amount,
    /// So much of it is paid back.
    pub refunded_minor: Amount,
    /// Which lines it is of, where that was said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineAmount>,
    /// Which components of the order it is of, where that was said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Which payment it goes to, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub state: RefundStanding,
}

/// What became of the goods, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FulfillmentSummary {
    /// Ordered.
    pub ordered_units: u64,
    /// Set aside in stock.
    pub reserved_units: u64,
    /// In a booked shipment.
    pub booked_units: u64,
    /// Not to be had.
    pub short_units: u64,
    /// Its goods are not there yet: when they are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub waiting_until: Option<TimestampMs>,
}

/// What came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnsSummary {
    /// How many units came back.
    pub returned_units: u64,
    /// How much is to be paid back for them, in minor units.
    pub amount_minor: Amount,
}

/// Which order, and where it stands: in a list and in its own view alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderHead {
    /// The tenant.
    pub tenant: TenantId,
    /// The order.
    pub order: OrderId,
    /// How often it has changed.
    pub version: u64,
    /// Where it stands as a whole.
    pub status: OrderStatus,
    /// The step that it is at; absent when none is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Whether someone should look.
    pub attention: Attention,
    /// Why someone should look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_reason: Option<String>,
}

/// A line of an order, with its part of what the order has beside its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// Names the line within the order.
    pub line_id: String,
    /// What is ordered.
    pub sku: String,
    /// How many units; 0 of a line that was taken out.
    pub quantity: u32,
    /// The price of the whole line, all units together.
    pub amount_minor: Amount,
    /// What the amount is made of, where that was said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Its part of the order's own components, all kinds together, beside the amount; absent when the order has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_minor: Option<Amount>,
    /// The same by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocated: Vec<Component>,
    /// How many of its units came back; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_units: Option<u64>,
    /// What is paid back for these; absent when none came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_minor: Option<Amount>,
    /// How many units are set aside in stock; absent where the goods of the order go all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_units: Option<u64>,
    /// How many units are in booked shipments; absent where the goods of the order go all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booked_units: Option<u64>,
}

impl From<Line> for OrderLine {
    fn from(line: Line) -> Self {
        let Line { line_id, sku, quantity, amount_minor, components } = line;
        Self {
            line_id,
            sku,
            quantity,
            amount_minor,
            components,
            allocated_minor: None,
            allocated: Vec::new(),
            returned_units: None,
            returned_minor: None,
            reserved_units: None,
            booked_units: None,
        }
    }
}

/// A step that its participant took on and has not decided yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingStep {
    /// Which.
    pub step: Step,
    /// The participant's reference: what its report names.
    pub reference: String,
    /// Since when.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: TimestampMs,
    /// Until when its participant expects to decide, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<TimestampMs>,
}

/// A command that an operator gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperatorAct {
    /// The command's type, such as `retailflow.order.resume.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name that they gave.
    pub name: String,
    /// Why, or how they know what they say, where they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it came in.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: TimestampMs,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// Name and version of this shape.
    pub schema: OrderSchema,
    /// Which order, and where it stands.
    #[serde(flatten)]
    pub head: OrderHead,
    /// Which one of several the step is: `p2` the second payment's, `r1` the first return's, `r1.p2`; absent where there is but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The step that its participant took on and has not decided yet; absent while none is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingStep>,
    /// Why it is being canceled, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// What an operator did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorAct>,
    /// What was paid.
    pub payment: PaymentSummary,
    /// What became of the goods.
    pub fulfillment: FulfillmentSummary,
    /// What came back.
    pub returns: ReturnsSummary,
    /// Refers to who ordered.
    pub customer: String,
    /// What all amounts are in.
    pub currency: Currency,
    /// What the whole order costs, in minor units.
    pub total_minor: Amount,
    /// What is ordered.
    pub lines: Vec<OrderLine>,
    /// Parts of the total that belong to no line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// How it is paid, payment by payment; none for an order that is free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<OrderPayment>,
    /// What is paid back without goods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<OrderRefund>,
    /// Holds that stand, oldest first: no step is started, but for the way back of a cancel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<OrderHold>,
    /// What happened outside and is in the order's books, in the order of recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<OrderFact>,
    /// The same added up, by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fact_sums: Vec<FactSum>,
    /// What returns said beside their units and money: a fee, a condition, units that are not restocked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub return_terms: Vec<ReturnTermsView>,
    /// What was booked and stands, shipment by shipment; absent while none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipments: Vec<OrderShipment>,
    /// How it is delivered, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Another order of the tenant that this one has to do with, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relates_to: Option<Relation>,
    /// Free data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What was noted last, for people who look at the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When the customer ordered, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub placed_at: Option<TimestampMs>,
    /// When its goods could be set aside at the earliest, where that was still to come.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub available_from: Option<TimestampMs>,
    /// Lines that are delivered by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryPart>,
    /// When the order was first recorded.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: TimestampMs,
    /// When it last changed.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub updated_at: TimestampMs,
    /// By when it will have moved, or asked for attention.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_deadline: Option<TimestampMs>,
    /// When it went into the archive.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub archived_at: Option<TimestampMs>,
    /// In which order its steps are asked for, and how often: the tenant's flow when it was placed. Absent: version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowRules>,
}

words! {
    /// What became of a step that was asked for.
    StepResult {
        /// It was asked for.
        AskedFor "asked_for",
        /// Its participant took it on, and decides later.
        Pending "pending",
        /// It was done.
        Done "done",
        /// It was found not to be done, and will not be.
        NotDone "not_done",
        /// It was decided against.
        Declined "declined",
        /// What it should undo cannot be undone.
        Refused "refused",
        /// It did not work.
        Failed "failed",
        /// Nobody knows: the answer is lost, or contradicts what was asked for.
        Unknown "unknown",
        /// It was passed over.
        Skipped "skipped",
    }
}

/// Who gave a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Giver {
    /// What they are.
    pub kind: GiverKind,
    /// Which, where there is more than one.
    pub name: Option<String>,
}
