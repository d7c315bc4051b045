//! How many reads of the log may go on at once: by partition, and by shard, which is what can fail.
//!
//! There is no limit for the node in front of these: one shard that does not answer keeps the others from nothing.

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::LogIdentity;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::admission::share;

/// Held while a part of the log is read.
pub(crate) struct ReadPermit<'a> {
    _partition: SemaphorePermit<'a>,
    _shard: SemaphorePermit<'a>,
}

/// The permits for reads.
pub(crate) struct Reads {
    partitions: Vec<Semaphore>,
    shards: Vec<Semaphore>,
}

impl Reads {
    /// `max` reads of one shard at once; one of its partitions never takes all of them.
    pub(crate) fn new(identity: LogIdentity, max: usize) -> Self {
        let shards = usize::from(identity.shards.max(1));
        let partitions = usize::from(identity.partitions.max(1));
        let of_partition = share(max, partitions.div_ceil(shards));
        Self {
            partitions: (0..partitions).map(|_| Semaphore::new(of_partition)).collect(),
            shards: (0..shards).map(|_| Semaphore::new(max)).collect(),
        }
    }

    /// Waits for its turn to read something of a partition; the narrower limit first. `None`: the node is no more.
    pub(crate) async fn permit(&self, partition: PartitionId) -> Option<ReadPermit<'_>> {
        let partition = usize::from(partition.0);
        let of_partition = self.partitions.get(partition)?.acquire().await.ok()?;
        let of_shard = self.shards[partition % self.shards.len()].acquire().await.ok()?;
        Some(ReadPermit { _partition: of_partition, _shard: of_shard })
    }
}
