//! What a tenant is told.

use std::convert::Infallible;
use std::sync::Arc;

use ractor::ActorId;
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId};
use retailflow_engine::ports::ParkedOrder;
use retailflow_engine::wire::Code;
use tokio::sync::mpsc;

use super::order::OrderNotice;
use super::passivation::EvictionRequest;
use super::release::{DrainCommand, ReleaseRequest};
use crate::work::Work;

/// What a tenant is told.
pub(crate) enum TenantMsg {
    /// Route a command.
    Submit(Work),
    /// A message of the engine's own for an order.
    Notify(OrderId, OrderNotice),
    /// An order that was asked to passivate is busy.
    Busy(OrderId, ActorId),
    /// The delay after a crash is over.
    Restart(OrderId),
    /// What an operator asks for a parked order.
    Release(ReleaseRequest),
    /// What the task that does it needs.
    DrainCommand(OrderRef, DrainCommand),
    /// This node acquired a partition: these are its park marks. The sender is dropped when that is done.
    PartitionAcquired(PartitionId, Arc<[ParkedOrder]>, mpsc::Sender<Infallible>),
    /// This node released it: stop its orders.
    PartitionReleased(PartitionId, mpsc::Sender<Infallible>),
    /// What became of a control record of an order.
    Written(OrderId, u64, WriteResult),
    /// The park marks of a partition, as they were read.
    Marks(PartitionId, u64, Result<Vec<ParkedOrder>, String>),
    /// There are too many orders in memory: passivate some.
    Evict(EvictionRequest),
    /// Look for idle orders.
    Sweep,
}

/// What became of a control record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WriteResult {
    /// It is durable.
    Durable,
    /// It was not written: its number is taken by one of which this tenant knows nothing.
    NumberTaken,
    /// It was not written, and will not be: how a command that it holds is refused.
    Refused(Code, String),
    /// It was not written, or that is unknown.
    Lost,
}
