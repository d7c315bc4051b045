//! What the supervisor of the tenants is told.

use std::convert::Infallible;
use std::sync::Arc;

use retailflow_engine::ids::{OrderRef, PartitionId, TenantId};
use retailflow_engine::ports::ParkedOrder;
use tokio::sync::mpsc;

use super::order::OrderNotice;
use super::release::ReleaseRequest;
use crate::work::Work;

/// What the supervisor of the tenants is told.
pub(crate) enum TenantsMsg {
    /// A command of a tenant that has no actor yet.
    Submit(Work),
    /// A message of the engine's own for an order of such a tenant.
    Notify(OrderRef, OrderNotice),
    /// What an operator asks for a parked order of such a tenant.
    Release(ReleaseRequest),
    /// This node acquired a partition: forward its park marks. The sender is dropped when that is done.
    PartitionAcquired(PartitionId, Arc<[ParkedOrder]>, mpsc::Sender<Infallible>),
    /// This node released it: stop its orders.
    PartitionReleased(PartitionId, mpsc::Sender<Infallible>),
    /// The delay after a crash is over.
    Restart(TenantId),
}
