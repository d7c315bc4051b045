//! What stands for records that are gone, of version 1, frozen.

use serde::{Deserialize, Serialize};

use super::decided::{DeadlineV1, VerdictV1};
use crate::keys::Hash;

/// Stands for an order's earlier records. Inside a chain it moves the chain and not the revision: only the order's own
/// writer may place it, and goes on from its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointV1 {
    /// The order's version at this point.
    pub version: u64,
    /// How many decisions it stands for.
    pub revision: u64,
    /// The state, as a snapshot in its own envelope.
    pub state: Vec<u8>,
    /// SHA-256 over the sorted ids that it stands for.
    pub ids_digest: Hash,
    /// The deadline that stands: a chain that starts here has no earlier record to say it.
    pub deadline: DeadlineV1,
}

/// What remains of a closed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedV1 {
    /// The final state, as a snapshot in its own envelope.
    pub summary: Vec<u8>,
    /// Each command and its outcome, so that replays keep it.
    pub outcomes: Vec<ClosedOutcomeV1>,
    /// Where the history was exported to.
    pub location: String,
    /// The chain hash of the last record of that history.
    pub chain: Hash,
}

/// A command's outcome in a closed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedOutcomeV1 {
    /// The command's source.
    pub source: String,
    /// The command's id.
    pub id: String,
    /// The content hash.
    pub content_hash: Hash,
    /// What was decided.
    pub verdict: VerdictV1,
}
