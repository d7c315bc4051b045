//! What a tenant knows of its parked orders, and how it writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::ControlEntry;
use tokio::sync::oneshot;

use super::queue::Queue;
use super::unread::UnreadMarks;
use crate::context::OrderContext;
use crate::messages::{CommitterMsg, ControlProposal, ControlTicket, TenantMsg};
use crate::mutant::Mutant;

/// The parked orders of one tenant. Nothing here waits: the results of writes and reads come to the tenant as messages.
pub(crate) struct Parking {
    pub(super) shared: Arc<OrderContext>,
    pub(super) tenant: TenantId,
    pub(super) myself: ActorRef<TenantMsg>,
    pub(super) parked: BTreeMap<OrderId, Queue>,
    /// Partitions of which it is known what is parked.
    pub(super) known: BTreeSet<PartitionId>,
    pub(super) unread: UnreadMarks,
    /// The last number of a write or a read.
    pub(super) numbers: u64,
    /// What the mutant waits for.
    pub(super) inline: Vec<oneshot::Receiver<()>>,
}

impl Parking {
    pub(crate) fn new(shared: Arc<OrderContext>, tenant: TenantId, myself: ActorRef<TenantMsg>) -> Self {
        let (parked, known, unread, inline) = Default::default();
        Self { shared, tenant, myself, parked, known, unread, numbers: 0, inline }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The partition was released: its next owner keeps its marks.
    pub(crate) fn partition_released(&mut self, partition: PartitionId, leaves: impl Fn(&OrderId) -> bool) {
        self.known.remove(&partition);
        self.unread.forget(partition);
        self.parked.retain(|order, _| !leaves(order));
    }

    pub(crate) fn holds(&self, order: &OrderId) -> bool {
        self.parked.contains_key(order)
    }

    pub(super) fn reference(&self, order: &OrderId) -> OrderRef {
        OrderRef { tenant: self.tenant.clone(), order: order.clone() }
    }

    /// Sends a control record to the partition's committer, which reports the result to the tenant. A committer that has just ended
    /// drops the proposal, which reports it lost.
    pub(super) fn write(
        &mut self,
        order: OrderRef,
        control: &Control,
        number: u64,
    ) -> Result<(), ActorProcessingErr> {
        let partition = partition_of(&order, self.shared.committers.partitions());
        let mut ticket = ControlTicket::new(self.myself.clone(), order.order.clone(), number);
        if self.shared.settings.is(Mutant::TenantAwaitsItsLog) {
            self.inline.push(ticket.ended());
        }
        let entry = ControlEntry { order, bytes: control.encode()?.into() };
        if let Some(committer) = self.shared.committers.get(partition) {
            drop(committer.cast(CommitterMsg::Control(ControlProposal { entry, ticket })));
        }
        Ok(())
    }

    /// The mistake of waiting for what was sent.
    pub(crate) async fn wait_inline(&mut self) {
        for ended in std::mem::take(&mut self.inline) {
            let _ = ended.await;
        }
    }
}
