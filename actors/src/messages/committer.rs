//! What a committer is told, and how it answers.

use ractor::ActorRef;
use retailflow_engine::ids::OrderId;
use retailflow_engine::ports::{ControlEntry, OrderEntry};
use retailflow_engine::wire::Code;
use tokio::sync::oneshot;

use super::order::{OrderMsg, ProposalResult};
use super::tenant::{TenantMsg, WriteResult};

/// What a committer is told.
pub(crate) enum CommitterMsg {
    /// An order's record.
    Propose(Proposal),
    /// Park marks and parked commands.
    Control(ControlProposal),
    /// Write what has gathered.
    Flush,
    /// Write the floor if it has moved; answered when that is durable.
    Floor(oneshot::Sender<()>),
    /// Write a fence, to confirm that this node still owns the partition; answered when it is durable.
    OwnershipBarrier(oneshot::Sender<()>),
    /// Find out whether the log takes writes, without leaving anything in it.
    Probe(Ticket),
    /// Write what has gathered, and the floor if it has moved; answered when that is durable.
    Seal(oneshot::Sender<()>),
    /// See whether the log takes something again.
    RetryRefused,
}

/// An order's record on its way into a group. Dropped without an answer it reports itself lost.
pub(crate) struct Proposal {
    pub(crate) entry: OrderEntry,
    pub(crate) ticket: Ticket,
    /// A caller or an intake waits for it.
    pub(crate) is_asked: bool,
}

/// The way back to the order.
pub(crate) struct Ticket {
    order: Option<ActorRef<OrderMsg>>,
    number: u64,
}

impl Ticket {
    pub(crate) fn new(order: ActorRef<OrderMsg>, number: u64) -> Self {
        Self { order: Some(order), number }
    }

    /// A ticket without a receiver.
    pub(crate) fn detached() -> Self {
        Self { order: None, number: 0 }
    }

    /// A ticket without a receiver, with a number.
    #[cfg(test)]
    pub(crate) fn numbered(number: u64) -> Self {
        Self { order: None, number }
    }

    /// Which proposal it is of.
    #[cfg(test)]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it has no receiver.
    pub(crate) fn is_detached(&self) -> bool {
        self.order.is_none()
    }

    pub(crate) fn resolve(mut self, proposed: ProposalResult) {
        self.tell(proposed);
    }

    fn tell(&mut self, proposed: ProposalResult) {
        if let Some(order) = self.order.take() {
            // An order that has ended rebuilds from the log when it is needed again.
            drop(order.cast(OrderMsg::Resolved { number: self.number, proposed }));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tell(ProposalResult::Lost);
    }
}

/// A control record, and the way back to its tenant.
pub(crate) struct ControlProposal {
    pub(crate) entry: ControlEntry,
    pub(crate) ticket: ControlTicket,
}

/// Reports to the tenant what became of a control record. Dropped, it reports it lost.
pub(crate) struct ControlTicket {
    tenant: Option<ActorRef<TenantMsg>>,
    order: OrderId,
    number: u64,
    ended: Option<oneshot::Sender<()>>,
}

impl ControlTicket {
    pub(crate) fn new(tenant: ActorRef<TenantMsg>, order: OrderId, number: u64) -> Self {
        Self { tenant: Some(tenant), order, number, ended: None }
    }

    /// A ticket without a receiver.
    #[cfg(test)]
    pub(crate) fn detached(order: OrderId) -> Self {
        Self { tenant: None, order, number: 0, ended: None }
    }

    /// Resolves when it is known, or will never be, what became of the record.
    pub(crate) fn ended(&mut self) -> oneshot::Receiver<()> {
        let (ended, receiver) = oneshot::channel();
        self.ended = Some(ended);
        receiver
    }

    /// It is durable.
    pub(crate) fn durable(mut self) {
        self.tell(WriteResult::Durable);
    }

    /// Nothing was written: its number is taken.
    pub(crate) fn number_taken(mut self) {
        self.tell(WriteResult::NumberTaken);
    }

    /// Nothing was written: the log takes none now, or not this one.
    pub(crate) fn refused(mut self, code: Code, why: String) {
        self.tell(WriteResult::Refused(code, why));
    }

    fn tell(&mut self, wrote: WriteResult) {
        if let Some(tenant) = self.tenant.take() {
            // A tenant that has ended reads the marks when it restarts.
            drop(tenant.cast(TenantMsg::Written(self.order.clone(), self.number, wrote)));
        }
    }
}

impl Drop for ControlTicket {
    fn drop(&mut self) {
        self.tell(WriteResult::Lost);
    }
}
