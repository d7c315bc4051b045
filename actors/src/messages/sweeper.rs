//! What the sweeper is told.

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{DueOrder, StoreError};

/// What the sweeper is told.
pub(crate) enum SweeperMsg {
    /// Scan for due orders.
    Sweep,
    /// This node acquired a partition: its last owner may have left orders unfinished.
    PartitionAcquired(PartitionId),
    /// A page of a partition's open orders was read, and its undriven orders were notified: the last one, if more follow.
    PageScanned(PartitionId, Result<Option<DueOrder>, StoreError>),
}
