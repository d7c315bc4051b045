//! Who owns what: what a node is told to run, and what it tells back.

use super::PortFuture;
use crate::ids::PartitionId;

/// What a node is to do about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnershipEvent {
    /// Run it: its claim is ours. Whether we may write, the fence decides.
    TakeOver(PartitionId),
    /// Take in nothing new, finish what is in flight, and tell [`Ownership::released`]: another node is to have it.
    HandOver(PartitionId),
    /// Stop at once and tell [`Ownership::released`]: another node has claimed it.
    Stop(PartitionId),
}

/// A node's membership in a cluster.
///
/// - `TakeOver` MUST be told only after the partition's claim was seen to be ours.
/// - Of one partition, `HandOver` and `Stop` MUST be told only between its `TakeOver` and its `released`, `HandOver` once; a
///   further `TakeOver` only after `released`.
/// - A claim MUST be given up only after `released`, or when another one stands in its place.
/// - That the store of claims cannot be reached MUST NOT take anything away by itself.
pub trait Ownership: Send + Sync {
    /// What is to be done next; waits for it. `None` when the membership has ended. May be dropped while it waits.
    fn next(&self) -> PortFuture<'_, Option<OwnershipEvent>>;

    /// The partition is run here no more, or could not be taken over.
    fn released(&self, partition: PartitionId);

    /// Whether our session surely stands, by our own clock. While it is not, what is answered from memory alone needs a look
    /// at the fence first.
    fn is_sure(&self) -> bool;
}
