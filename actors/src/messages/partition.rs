//! What the supervisor of a partition's committer is told.

use ractor::ActorRef;

use super::committer::CommitterMsg;

/// What a partition is told.
pub(crate) enum PartitionMsg {
    /// Start the committer (again).
    Start,
    /// The committer has taken over in this epoch.
    Ready(ActorRef<CommitterMsg>, u64),
}
