//! Trimming the stream of commands below what all partitions have dealt with.
//!
//! Invariants:
//! - Only what is at or below the lowest floor goes; a floor comes from a partition's last fence.
//! - The last message stays, whatever the floors say: a stream that was emptied could begin to count anew, and a position
//!   would mean two commands.
//! - A floor beyond the stream's end shows that the stream lost something: nothing is trimmed then.
//!
//! It runs once at a time, under a lock; run twice it does no harm.

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::InboxId;
use serde_json::json;

use super::answers::ApiFailure;
use super::api::Api;
use super::inbox::{inbox_id, other_transform};
use super::{Connections, subjects};

/// What a trim did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimReport {
    /// How many messages went.
    pub messages: u64,
    /// The stream's first position now.
    pub first: u64,
    /// Whose floor is the lowest.
    pub lowest: PartitionId,
}

/// Why nothing was trimmed, or perhaps nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    /// Every partition's floor is needed, and there are others.
    #[error("{found} floors were given, {wanted} are needed: one for each partition")]
    Floors {
        /// P.
        wanted: u16,
        /// How many there were.
        found: usize,
    },
    /// The stream is shorter than what was read of it.
    #[error("partition {} has dealt with position {floor}, and RF_CMD ends at {last}", partition.0)]
    Beyond {
        /// Whose floor.
        partition: PartitionId,
        /// The floor.
        floor: u64,
        /// The stream's last position.
        last: u64,
    },
    /// The stream is not the one whose floors were given.
    #[error("RF_CMD was made anew at {created}")]
    Replaced {
        /// When, as the server has it.
        created: String,
    },
    /// Commands stand under subjects that nobody reads.
    #[error(
        "the subject_transform of RF_CMD was changed: what it has stored meanwhile is to be looked at first"
    )]
    SubjectsDiffer,
    /// The server does not answer, or refuses. It may be done; try again.
    #[error("{0}")]
    Stream(ApiFailure),
}

impl From<ApiFailure> for TrimError {
    fn from(failure: ApiFailure) -> Self {
        Self::Stream(failure)
    }
}

/// When the stream of commands was made, and the inboxes of all partitions, in order: by these names fences know how far they
/// were read.
///
/// # Errors
/// [`TrimError::Stream`].
pub async fn inbox_ids(
    connections: &Connections,
    partitions: u16,
) -> Result<(String, Vec<InboxId>), TrimError> {
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    let created = api.info(subjects::COMMANDS).await?.created;
    let ids = (0..partitions).map(|partition| inbox_id(&created, PartitionId(partition))).collect();
    Ok((created, ids))
}

/// Purges commands at or below the lowest of `floors`: those of all partitions, in order, beginning with partition 0, in the stream
/// that was made at `created`.
///
/// # Errors
/// [`TrimError`].
pub async fn trim(
    connections: &Connections,
    created: &str,
    partitions: u16,
    floors: &[u64],
) -> Result<TrimReport, TrimError> {
    let found = floors.len();
    let numbered = || (0..partitions).map(PartitionId).zip(floors.iter().copied());
    let lowest = numbered().min_by_key(|(_, floor)| *floor);
    let Some((lowest, floor)) = lowest.filter(|_| found == usize::from(partitions)) else {
        return Err(TrimError::Floors { wanted: partitions, found });
    };
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    let info = api.info(subjects::COMMANDS).await?;
    if info.created != created {
        return Err(TrimError::Replaced { created: info.created });
    }
    if other_transform(&info, partitions).is_some() {
        return Err(TrimError::SubjectsDiffer);
    }
    let last = info.last_sequence;
    if let Some((partition, floor)) = numbered().find(|(_, floor)| *floor > last) {
        return Err(TrimError::Beyond { partition, floor, last });
    }
    let keep_from = floor.saturating_add(1).min(last);
    if keep_from <= info.first_sequence.max(1) {
        return Ok(TrimReport { messages: 0, first: info.first_sequence, lowest });
    }
    let purged =
        api.ask(&format!("STREAM.PURGE.{}", subjects::COMMANDS), &json!({ "seq": keep_from })).await?;
    Ok(TrimReport { messages: purged["purged"].as_u64().unwrap_or(0), first: keep_from, lowest })
}
