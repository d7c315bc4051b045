//! An order's state at a revision, version 5: frozen. Versions 1 to 4, of builds before the first release, are not read:
//! they do not say when an order changed, by which rules it comes back, how many events it has had, which askings are over
//! or how each payment stands, and the log has it all.

use serde::{Deserialize, Serialize};

use super::envelope::{self, CodecError, Schema};
use super::v1::{
    AttentionV1, CommandKindV1, ComponentV1, FactV1, FlowRulesV1, LinePartV1, OnDeclineV1, PlacedV1,
    RefundOrderV1, RefundRuleV1, RelationV1, ReturnTermsV1, ShipmentStateV1, StatusV1, StepV1, VerdictV1,
};
use crate::keys::Hash;

/// The newest version written and read.
pub const VERSION: u16 = 5;

/// A snapshot. It is believed only when the log with this id has the record that hashes to `chain` at `revision`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotV1 {
    /// Of which log.
    pub log_id: [u8; 16],
    /// Tenant id.
    pub tenant: String,
    /// Order id.
    pub order: String,
    /// How many decisions are folded in.
    pub revision: u64,
    /// Chain hash of the record that holds the last of them.
    pub chain: Hash,
    /// The order's version.
    pub version: u64,
    /// Where it stands; `None` when nothing was placed.
    pub status: Option<StatusV1>,
    /// What was placed.
    pub placed: Option<PlacedV1>,
    /// Its deadline, milliseconds since 1970.
    pub deadline_ms: Option<i64>,
    /// The newest commands and their outcomes, oldest first: source, id, content hash, verdict.
    pub recent: Vec<(String, String, Hash, VerdictV1)>,
    /// Fingerprints of older commands, sorted.
    pub older: Vec<u64>,
}

/// A snapshot of version 2: version 1, and the saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotV2 {
    /// What version 1 held.
    pub base: SnapshotV1,
    /// How far the order has come, and back.
    pub saga: SagaV2,
}

/// A snapshot of version 3: version 2, and when the order changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotV3 {
    /// What version 2 held.
    pub state: SnapshotV2,
    /// When its first and its last applied command came in, milliseconds since 1970.
    pub changed_ms: Option<(i64, i64)>,
    /// Since when it is in the archive, milliseconds since 1970.
    pub archived_ms: Option<i64>,
}

/// A snapshot of version 4: version 3, the rules by which parts of the order come back, how many public events it has
/// had, and what was said of its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotV4 {
    /// What version 3 held.
    pub state: SnapshotV3,
    /// When shipping, tax and fee of the order are paid back with returns.
    pub return_rules: [RefundRuleV1; 3],
    /// How many public events there were.
    pub told: u64,
    /// What was said of its steps.
    pub words: WordsV4,
}

/// A snapshot of version 5: version 4, how each payment stands, what is owed, and what its shop
/// set or recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotV5 {
    /// What version 4 held.
    pub state: SnapshotV4,
    /// How each payment stands, in the declared order.
    pub payments: Vec<PaymentStateV5>,
    /// What is owed.
    pub owed: OwedV5,
    /// What its shop set or recorded beside.
    pub shop: ShopV5,
    /// What became of the order after it was placed.
    pub amends: AmendsV5,
    /// What the order's way was planned to be; absent: as most orders go.
    pub plan: Option<PlanV5>,
}

/// What an order's way was planned to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanV5 {
    /// The tenant's flow when it was placed.
    pub flow: FlowRulesV1,
    /// When its goods can be set aside at the earliest, milliseconds since 1970.
    pub available_from_ms: Option<i64>,
    /// The same of deliveries by themselves, by their numbers.
    pub deliveries_from_ms: Vec<(u32, i64)>,
    /// Where each shipment is, and since when in milliseconds since 1970.
    pub shipments: Vec<(ShipmentStateV1, i64)>,
}

/// What a shop set or recorded for an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopV5 {
    /// Holds that stand, oldest first.
    pub holds: Vec<HoldV5>,
    /// What happened outside, in the order of recording.
    pub facts: Vec<FactV1>,
    /// By return or refund without goods, in minor units, what chargebacks cover of it.
    pub covered: Vec<(String, i64)>,
    /// What returns said beside, in the order of asking.
    pub return_terms: Vec<ReturnTermsV1>,
    /// Another order that it has to do with.
    pub relation: Option<RelationV1>,
}

/// A hold that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldV5 {
    /// Its name in the order.
    pub name: String,
    /// The operator who put it; absent: the tenant's systems.
    pub operator: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// Until when somebody means to have looked, milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// What people were told when that was over.
    pub overdue: Option<String>,
}

/// What became of an order after it was placed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmendsV5 {
    /// Reservations and shipments, where they are counted by line.
    pub goods: Option<(Vec<LotV5>, Vec<LotV5>)>,
    /// It was completed, and is open again because goods are exchanged, or was.
    pub reopened: bool,
    /// What was noted last.
    pub note: Option<String>,
}

/// A reservation or a shipment: its participant's reference, and the units that stand in it by line.
pub type LotV5 = (Option<String>, Vec<LinePartV1>);

/// How a payment stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentStateV5 {
    /// How much is to be paid this way, in minor units.
    pub planned_minor: i64,
    /// Minor units authorized, voided, captured, refunded.
    pub amounts_minor: [i64; 4],
    /// Its provider's reference to the authorization.
    pub authorization: Option<String>,
    /// Its provider's reference to the capture.
    pub capture: Option<String>,
    /// When the authorization ends by itself, milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// How often its authorization was asked for anew.
    pub entered: u32,
    /// It was declined.
    pub declined: bool,
}

/// What an order owes, and by which rules it pays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedV5 {
    /// Refund order, what a decline does, and how long is waited, in milliseconds; absent: as nothing was said.
    pub payment_rules: Option<(RefundOrderV1, OnDeclineV1, u64)>,
    /// Until when the order waits for another means of payment, milliseconds since 1970.
    pub waiting_until_ms: Option<i64>,
    /// Of the open returns, in their order.
    pub returns: Vec<OpenReturnV5>,
    /// Refunds without goods.
    pub refunds: Vec<RefundV5>,
    /// What returns were granted of components.
    pub with_returns: Vec<ComponentV1>,
    /// What returns of a line were granted beside its own money.
    pub beside_lines: Vec<(String, i64)>,
}

/// What an amount is of: by line, in minor units, and by component.
pub type SplitV5 = (Vec<(String, i64)>, Vec<ComponentV1>);

/// What version 2 does not say of an open return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenReturnV5 {
    /// Paid back, in minor units, and the first payment that was not asked.
    pub paid: (i64, u32),
    /// By line and by component, what it pays back, where that is not of its lines alone.
    pub split: Option<SplitV5>,
}

/// A refund without goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the event that asks for it")]
pub struct RefundV5 {
    pub refund_id: String,
    pub amount_minor: i64,
    pub lines: Vec<(String, i64)>,
    pub components: Vec<ComponentV1>,
    pub payment_id: Option<String>,
    pub reason: String,
    /// Which payment, from 0, where one was named.
    pub payment: Option<u32>,
    /// How many returns were asked for before it.
    pub after_returns: u32,
    /// Paid back, in minor units, and the first payment that was not asked.
    pub paid: (i64, u32),
}

/// What was said of an order's steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordsV4 {
    /// Who says that the active step was not done: an operator, if one; and why.
    pub settling: Option<(Option<String>, String)>,
    /// The step that both sides contradict each other in, and what they say.
    pub contradiction: Option<(StepV1, String)>,
    /// Askings that are over.
    pub earlier: Vec<EarlierV4>,
    /// The step that ended last, and how.
    pub last_ended: Option<(StepV1, StepStateV2)>,
    /// Since when the active step is pending, milliseconds since 1970.
    pub pending_since_ms: Option<i64>,
    /// The last command that an operator gave: what, who, why, and when in milliseconds since 1970.
    pub operator: Option<(CommandKindV1, String, Option<String>, i64)>,
}

/// An asking that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the event that begins a step")]
pub struct EarlierV4 {
    pub step: StepV1,
    pub instance: u32,
    pub generation: u32,
    pub part: Option<String>,
    pub reference: Option<String>,
    pub standing: StepStateV2,
    pub told: bool,
}

/// How far an order has come, and back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaV2 {
    /// The step that is asked for.
    pub active: Option<ActiveV2>,
    /// By step, in the order of their frozen numbers: how often it was entered, and how it ended last.
    pub cells: Vec<(u32, StepStateV2)>,
    /// The participants' references, by step in the same order.
    pub references: Vec<Option<String>>,
    /// When the authorization ends by itself, milliseconds since 1970.
    pub authorization_expires_ms: Option<i64>,
    /// Units reserved, released, restocked, booked, canceled.
    pub units: [u64; 5],
    /// Minor units authorized, voided, captured, refunded.
    pub amounts_minor: [i64; 4],
    /// Whether someone should look, and why.
    pub attention: Option<(AttentionV1, String)>,
    /// Why the order is or was canceled.
    pub cancel_reason: Option<String>,
    /// Somebody asked for that.
    pub cancel_asked: bool,
    /// A participant refused it.
    pub cancel_refused: bool,
    /// The order is in the archive.
    pub archived: bool,
    /// What came back.
    pub returns: Option<ReturnsV2>,
}

/// The step that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the event that begins a step")]
pub struct ActiveV2 {
    pub step: StepV1,
    pub instance: u32,
    pub generation: u32,
    pub part: Option<String>,
    pub amount_minor: i64,
    /// Absent: all of the order's. Empty is none.
    pub lines: Option<Vec<LinePartV1>>,
    pub expires_ms: i64,
    /// Reference and time, where the participant took it on.
    pub pending: Option<(String, Option<i64>)>,
    pub asked_again: bool,
}

/// How a step ended last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as the domain has them")]
pub enum StepStateV2 {
    Open,
    Done,
    Undone,
    Declined,
    NotDone,
    Refused,
}

/// What came back to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnsV2 {
    /// How many returns there were.
    pub count: u32,
    /// By line: units and minor units.
    pub by_line: Vec<(u64, i64)>,
    /// Those not through: id, lines, reason, and whether they are paid back.
    pub open: Vec<(String, Vec<LinePartV1>, String, bool)>,
}

/// The stored form.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode(snapshot: &SnapshotV5) -> Result<Vec<u8>, CodecError> {
    envelope::seal(Schema::Snapshot, VERSION, snapshot)
}

/// Reads a stored snapshot of this version.
///
/// # Errors
/// [`CodecError`].
pub fn decode(bytes: &[u8]) -> Result<SnapshotV5, CodecError> {
    match envelope::open(Schema::Snapshot, VERSION, bytes)? {
        (found @ 1..=4, _) => {
            Err(CodecError::Unsupported { schema: "Snapshot".into(), found, known: VERSION })
        }
        (VERSION, payload) => envelope::payload(payload),
        (found, _) => Err(CodecError::Corrupt(format!("Snapshot version {found}, which never was"))),
    }
}
