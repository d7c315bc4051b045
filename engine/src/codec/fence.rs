//! The fence: the first entry of every commit group.

use serde::{Deserialize, Serialize};

use super::envelope::{self, CodecError, Schema};
use crate::ids::{PartitionId, TimestampMs};
use crate::keys::{Hash, sha256};
use crate::ports::InboxId;

/// The newest version written and read.
pub const VERSION: u16 = 1;

/// How far a partition has got with one inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeFloor {
    /// Which inbox.
    pub inbox: InboxId,
    /// Every command of this partition at this position or before is recorded, durably parked, dead-lettered, or was
    /// refused to its sender's face. Intake resumes behind it.
    pub position: u64,
}

/// Who writes a group, as which one, after which: what decides who may write (promise 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The partition that the group belongs to.
    pub partition: PartitionId,
    /// The owner's epoch: the previous fence's, or one more after a take-over.
    pub epoch: u64,
    /// Counted from 1 in the partition, through all epochs.
    pub group: u64,
    /// The previous group's fence, hashed; `GENESIS` for the first.
    pub previous: Hash,
    /// Over the group's other entries, in order.
    pub digest: Hash,
    /// How many entries follow.
    pub entries: u32,
    /// The intake floors that hold once this group is durable.
    pub intake: Vec<IntakeFloor>,
    /// How far effects have been made durable as deadlines; a hint for the feed of committed records.
    pub effects_floor: u64,
    /// The node that wrote it, for people.
    pub node: String,
    /// When, by that node's clock.
    pub written: TimestampMs,
}

#[derive(Serialize, Deserialize)]
struct FenceV1 {
    partition: u16,
    epoch: u64,
    group: u64,
    previous: Hash,
    digest: Hash,
    entries: u32,
    intake: Vec<(InboxId, u64)>,
    effects_floor: u64,
    node: String,
    written_ms: i64,
}

impl Fence {
    /// The stored form.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let stored = FenceV1 {
            partition: self.partition.0,
            epoch: self.epoch,
            group: self.group,
            previous: self.previous,
            digest: self.digest,
            entries: self.entries,
            intake: self.intake.iter().map(|floor| (floor.inbox, floor.position)).collect(),
            effects_floor: self.effects_floor,
            node: self.node.clone(),
            written_ms: self.written.0,
        };
        envelope::seal(Schema::Fence, VERSION, &stored)
    }

    /// Reads a stored fence.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let payload = envelope::open_only(Schema::Fence, VERSION, bytes)?;
        let stored: FenceV1 = envelope::payload(payload)?;
        Ok(Self {
            partition: PartitionId(stored.partition),
            epoch: stored.epoch,
            group: stored.group,
            previous: stored.previous,
            digest: stored.digest,
            entries: stored.entries,
            intake: stored
                .intake
                .into_iter()
                .map(|(inbox, position)| IntakeFloor { inbox, position })
                .collect(),
            effects_floor: stored.effects_floor,
            node: stored.node,
            written: TimestampMs(stored.written_ms),
        })
    }
}

/// The hash of a fence's stored bytes, which the next group's fence names as `previous`.
#[must_use]
pub fn fence_hash(fence_bytes: &[u8]) -> Hash {
    sha256(fence_bytes)
}

/// The digest of a group's entries: SHA-256 over each entry's length (u32, little-endian) and bytes, in order,
/// records before controls.
#[must_use]
pub fn group_digest<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Hash {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for entry in entries {
        hasher.update(u32::try_from(entry.len()).unwrap_or(u32::MAX).to_le_bytes());
        hasher.update(entry);
    }
    hasher.finalize().into()
}
