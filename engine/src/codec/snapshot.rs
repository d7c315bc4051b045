//! An order's state at a revision, version 1: frozen.

use serde::{Deserialize, Serialize};

use super::envelope::{self, CodecError, Schema};
use super::v1::{PlacedV1, StatusV1, VerdictV1};
use crate::keys::Hash;

/// The newest version written and read.
pub const VERSION: u16 = 1;

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

/// The stored form.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode(snapshot: &SnapshotV1) -> Result<Vec<u8>, CodecError> {
    envelope::seal(Schema::Snapshot, VERSION, snapshot)
}

/// Reads a stored snapshot.
///
/// # Errors
/// [`CodecError`].
pub fn decode(bytes: &[u8]) -> Result<SnapshotV1, CodecError> {
    let payload = envelope::open_only(Schema::Snapshot, VERSION, bytes)?;
    envelope::payload(payload)
}
