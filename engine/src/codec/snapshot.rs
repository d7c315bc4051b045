//! An order's state at a revision, version 4: frozen. Versions 1 to 3, of builds before the first release, are not read:
//! they do not say when an order changed, how many events it has had, or by which rules it comes back, and the log has it all.

use serde::{Deserialize, Serialize};

use super::envelope::{self, CodecError, Schema};
use super::v1::{AttentionV1, LinePartV1, PlacedV1, RefundRuleV1, StatusV1, StepV1, VerdictV1};
use crate::keys::Hash;

/// The newest version written and read.
pub const VERSION: u16 = 4;

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

/// A snapshot of version 4: version 3, how many public events the order has had, and by which rules parts of it come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotV4 {
    /// What version 3 held.
    pub changed: SnapshotV3,
    /// How many public events there were.
    pub told: u64,
    /// When shipping, tax and fee of the order are paid back with returns.
    pub return_rules: [RefundRuleV1; 3],
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
pub fn encode(snapshot: &SnapshotV4) -> Result<Vec<u8>, CodecError> {
    envelope::seal(Schema::Snapshot, VERSION, snapshot)
}

/// Reads a stored snapshot of this version.
///
/// # Errors
/// [`CodecError`].
pub fn decode(bytes: &[u8]) -> Result<SnapshotV4, CodecError> {
    match envelope::open(Schema::Snapshot, VERSION, bytes)? {
        (found @ 1..=3, _) => {
            Err(CodecError::Unsupported { schema: "Snapshot".into(), found, known: VERSION })
        }
        (VERSION, payload) => envelope::payload(payload),
        (found, _) => Err(CodecError::Corrupt(format!("Snapshot version {found}, which never was"))),
    }
}
