//! What the sweeper is told.

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{DueOrder, StoreError};

/// What the sweeper is told.
pub(crate) enum SweeperMsg {
    /// Look for what is due.
    Sweep,
    /// This partition is ours from now on: another owner may have left orders on their way.
    PartitionAcquired(PartitionId),
    /// A page of a partition's open orders was read, and those were told of which it is to be told: the last one, if more
    /// follow.
    PageScanned(PartitionId, Result<Option<DueOrder>, StoreError>),
}
