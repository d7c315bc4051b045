//! What the root of a node is told.

use ractor::ActorRef;
use retailflow_engine::ids::PartitionId;
use tokio::sync::oneshot;

use super::partition::PartitionMsg;

/// What the root is told.
pub(crate) enum NodeMsg {
    /// Start the supervisor of the tenants (again).
    StartTenants,
    /// Start the one who looks for what is due (again).
    StartSweeper,
    /// Start the supervisor of a partition (again).
    StartPartition(PartitionId),
    /// Stop supervising a partition, and give its actor to the caller, who ends it: a slow end must not block the root.
    ReleasePartition(PartitionId, oneshot::Sender<Option<ActorRef<PartitionMsg>>>),
}
