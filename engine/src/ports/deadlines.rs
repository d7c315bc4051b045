//! The index of open orders by the time at which someone must look again.

use super::{PortFuture, StoreError};
use crate::ids::{OrderRef, PartitionId, TimestampMs};

/// An order and its deadline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueOrder {
    /// When it is due.
    pub at: TimestampMs,
    /// Which order.
    pub order: OrderRef,
}

/// The deadlines of all orders of a partition. They are set, moved and cleared only by committed records
/// (`OrderEntry::deadline`), never through this port.
///
/// - After a commit is acknowledged, `list` MUST show its deadlines and no superseded one.
/// - Order MUST be by time, the most overdue first; ties in a stable order.
/// - An order has at most one deadline.
pub trait Deadlines: Send + Sync {
    /// Up to `limit` deadlines of `partition` that are due at `until` or before, the most overdue first; those after
    /// `after` in that order, when it is given. It need not be there any more.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list(
        &self,
        partition: PartitionId,
        after: Option<&DueOrder>,
        until: TimestampMs,
        limit: usize,
    ) -> PortFuture<'_, Result<Vec<DueOrder>, StoreError>>;
}
