//! What the log says of each partition, and how far it has got with its commands: read once, for people.

use futures_util::{StreamExt, TryStreamExt, stream};
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::LogIdentity;

use super::answers::ApiFailure;
use super::api::Api;
use super::inbox::inbox_id;
use super::{Connections, subjects};

/// Partitions that are looked at together.
const TOGETHER: usize = 16;

/// A partition at some moment: its parts were read one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which one.
    pub partition: PartitionId,
    /// The first message of its last group.
    pub fence: Option<Fence>,
    /// All its commands up to this position are dealt with, as that fence says.
    pub floor: u64,
    /// The position of its last command; 0 for none, or if it was dealt with and dropped.
    pub last: u64,
}

impl Progress {
    /// How far the floor is behind: positions of the whole stream, so many commands at most.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.last.saturating_sub(self.floor)
    }
}

/// Looks at all partitions of a log.
///
/// # Errors
/// [`ApiFailure`].
pub async fn progress(connections: &Connections, log: &LogIdentity) -> Result<Vec<Progress>, ApiFailure> {
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    let created = api.info(subjects::COMMANDS).await?.created;
    let one = |partition: PartitionId| one(&api, log, &created, partition);
    stream::iter((0..log.partitions).map(PartitionId)).map(one).buffered(TOGETHER).try_collect().await
}

async fn one(
    api: &Api,
    log: &LogIdentity,
    created: &str,
    partition: PartitionId,
) -> Result<Progress, ApiFailure> {
    let stream = subjects::stream(subjects::shard_of(partition, log.shards));
    // The commands first: what comes in between is then no lag.
    let last = api.last_sequence(subjects::COMMANDS, &subjects::commands_of(partition)).await?;
    let fence = match api.last(&stream, &subjects::fence(partition)).await? {
        Some(stored) => {
            let fence = Fence::decode(&stored.payload);
            Some(fence.map_err(|error| stored.unreadable(&stream, &error))?)
        }
        None => None,
    };
    let inbox = inbox_id(created, partition);
    let floors = fence.iter().flat_map(|fence| &fence.intake);
    let floor = floors.filter(|floor| floor.inbox == inbox).map(|floor| floor.position).max();
    Ok(Progress { partition, fence, floor: floor.unwrap_or(0), last })
}
