//! The shapes of version 1, frozen.

use serde::{Deserialize, Serialize};

use super::amended::AmendedV1;
use super::closed::{CheckpointV1, ClosedV1};
use super::decided::{ActorV1, CommandKindV1, DeadlineV1, VerdictV1};
use super::facts::FactV1;
use super::flow::{FlowRulesV1, ShipmentStateV1};
use super::placed::{ComponentV1, PaymentV1, PlacedV1};
use super::relation::RelationV1;
use super::return_terms::ReturnTermsV1;
use crate::keys::Hash;

/// One order's decisions since its previous record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordV1 {
    /// Tenant id.
    pub tenant: String,
    /// Order id.
    pub order: String,
    /// How many decisions stand before this record.
    pub expected_revision: u64,
    /// Chain hash of the order's previous record; zeros for the first.
    pub previous: Hash,
    /// What it holds.
    pub body: BodyV1,
}

impl RecordV1 {
    /// How many decisions stand after this record.
    #[must_use]
    pub fn next_revision(&self) -> u64 {
        match &self.body {
            BodyV1::Decisions(decisions) => self.expected_revision.saturating_add(decisions.len() as u64),
            BodyV1::Checkpoint(checkpoint) => checkpoint.revision,
            BodyV1::Closed(_) => self.expected_revision.saturating_add(1),
        }
    }
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BodyV1 {
    /// 0: decisions, in order.
    Decisions(Vec<DecisionV1>),
    /// 1: stands for all records before it; may start a chain.
    Checkpoint(CheckpointV1),
    /// 2: the order's final summary, after its history was exported.
    Closed(ClosedV1),
}

/// One decision on one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionV1 {
    /// The command's source.
    pub source: String,
    /// The command's id.
    pub id: String,
    /// What the command was.
    pub kind: CommandKindV1,
    /// The content hash of its type and data.
    pub content_hash: Hash,
    /// Who gave it.
    pub actor: ActorV1,
    /// What made the engine give it, for commands of its own: an effect's key, a deadline.
    pub causation: Option<String>,
    /// The command's own time, milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// When the engine took it in, milliseconds since 1970.
    pub received_ms: i64,
    /// The version of the policy that decided.
    pub policy_version: u32,
    /// W3C trace id.
    pub trace_id: Option<[u8; 16]>,
    /// What was decided.
    pub verdict: VerdictV1,
    /// What happened by it; empty for a rejection.
    pub events: Vec<EventV1>,
    /// What becomes of the order's deadline.
    pub deadline: DeadlineV1,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the variants are the domain's events; their fields are documented on their types"
)]
pub enum EventV1 {
    Placed(Box<PlacedV1>),
    StepStarted {
        step: StepV1,
        instance: u32,
        generation: u32,
        part: Option<String>,
        amount_minor: Option<i64>,
        lines: Vec<LinePartV1>,
        expires_ms: Option<i64>,
    },
    StepEnded {
        step: StepV1,
        instance: u32,
        generation: u32,
        part: Option<String>,
        outcome: StepOutcomeV1,
    },
    CancelRequested {
        reason: String,
    },
    ReturnRequested {
        return_id: String,
        lines: Vec<LinePartV1>,
        reason: String,
    },
    Refunded {
        payment_id: String,
        return_id: Option<String>,
        amount_minor: i64,
        lines: Vec<LinePartV1>,
    },
    LinesShort {
        lines: Vec<LinePartV1>,
        reason: String,
    },
    StatusChanged {
        status: StatusV1,
        reason: Option<String>,
    },
    AttentionChanged {
        attention: AttentionV1,
        reason: String,
    },
    Archived {
        location: String,
    },
    Restored,
    PersonErased {
        key_id: String,
    },
    ReturnRulesSet {
        shipping: RefundRuleV1,
        tax: RefundRuleV1,
        fee: RefundRuleV1,
    },
    SettleRequested {
        step: StepV1,
        instance: u32,
        generation: u32,
        part: Option<String>,
        operator: Option<String>,
        reason: String,
    },
    Contradicted {
        step: StepV1,
        instance: u32,
        generation: u32,
        part: Option<String>,
        reference: Option<String>,
        reason: String,
    },
    ContradictionSeen,
    Noted {
        reason: String,
    },
    RefundRequested {
        refund_id: String,
        amount_minor: i64,
        lines: Vec<(String, i64)>,
        components: Vec<ComponentV1>,
        payment_id: Option<String>,
        reason: String,
    },
    ReturnSplit {
        return_id: String,
        lines: Vec<(String, i64)>,
        components: Vec<ComponentV1>,
    },
    PaymentRulesSet {
        refund_order: RefundOrderV1,
        on_decline: OnDeclineV1,
        payment_wait_ms: u64,
    },
    PaymentAwaited {
        payment: u32,
        until_ms: i64,
    },
    PaymentsAdded {
        payments: Vec<PaymentV1>,
        reason: Option<String>,
    },
    HoldPlaced {
        name: String,
        operator: Option<String>,
        reason: String,
        since_ms: i64,
        until_ms: Option<i64>,
    },
    HoldReleased {
        name: String,
        reason: Option<String>,
    },
    HoldOverdue {
        name: String,
        reason: String,
    },
    FactRecorded(FactV1),
    ReturnTermsSet(ReturnTermsV1),
    Related(RelationV1),
    Amended(Box<AmendedV1>),
    FlowSet(FlowRulesV1),
    GoodsAwaited {
        until_ms: i64,
    },
    StillPending {
        step: StepV1,
        instance: u32,
        generation: u32,
        part: Option<String>,
        until_ms: i64,
        reason: Option<String>,
    },
    ShipmentMoved {
        shipment: u32,
        state: ShipmentStateV1,
        at_ms: i64,
        reason: Option<String>,
    },
    DeliveryAwaited {
        delivery: u32,
        until_ms: i64,
    },
    PaymentSplit {
        payment: u32,
        planned_minor: i64,
        rest: PaymentV1,
    },
}

/// Which payment money goes back to first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum RefundOrderV1 {
    #[default]
    Reverse,
    ProRata,
}

/// What a declined payment does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum OnDeclineV1 {
    #[default]
    Cancel,
    Wait,
}

/// When a component of the order itself is paid back with returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum RefundRuleV1 {
    #[default]
    Never,
    WithLastUnit,
    ProRata,
}

/// The steps of the saga and their compensations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as the saga's steps are")]
pub enum StepV1 {
    Reserve,
    Authorize,
    Book,
    Capture,
    CancelShipment,
    Void,
    Refund,
    Release,
    Restock,
    Review,
}

/// How a step ended or where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the participants' answers")]
pub enum StepOutcomeV1 {
    Done {
        reference: String,
        amount_minor: Option<i64>,
        expires_ms: Option<i64>,
        lines: Vec<LinePartV1>,
    },
    Declined {
        code: String,
        reason: String,
        lines: Vec<LinePartV1>,
    },
    Failed {
        reason: String,
    },
    Unknown {
        reason: String,
    },
    Pending {
        reference: String,
        until_ms: Option<i64>,
        lines: Vec<LinePartV1>,
    },
    Settled {
        done: bool,
        reference: Option<String>,
    },
    Refused {
        code: String,
        reason: String,
    },
    Skipped {
        reason: String,
    },
    Resolved {
        done: bool,
        operator: String,
        evidence: String,
    },
    /// 9: settled: it was not done and never will be. What was said of it before, after so many calls.
    NotDone {
        reason: Option<String>,
        calls: u32,
    },
}

/// Some units of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinePartV1 {
    /// Which line.
    pub line_id: String,
    /// How many units.
    pub quantity: u64,
    /// Their amount in minor units, where one is meant.
    pub amount_minor: Option<i64>,
    /// The stock keeping unit, where it differs from the line's (a substitute).
    pub sku: Option<String>,
}

/// Where an order stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum StatusV1 {
    Open,
    Completed,
    Canceling,
    Canceled,
}

/// Whether someone should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the public contract")]
pub enum AttentionV1 {
    None,
    Held,
    Stalled,
    Parked,
}
