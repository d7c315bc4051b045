//! The way back from the committer to the tenant.

use ractor::ActorRef;
use retailflow_engine::ids::OrderId;
use retailflow_engine::wire::Code;
use tokio::sync::oneshot;

use crate::tenant::TenantMsg;

/// What became of a control record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// It is durable.
    Durable,
    /// It was not written: its number is taken by one of which this tenant knows nothing.
    NumberTaken,
    /// It was not written, and will not be: how a command that it holds is refused.
    Refused(Code, String),
    /// It was not written, or nobody knows.
    Lost,
}

/// Tells the tenant what became of a control record. Dropped, it says that it was not written, or that nobody knows.
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

    /// One that tells nobody.
    #[cfg(test)]
    pub(crate) fn untold(order: OrderId) -> Self {
        Self { tenant: None, order, number: 0, ended: None }
    }

    /// Resolves when it is known, or will never be, what became of the record.
    pub(crate) fn ended(&mut self) -> oneshot::Receiver<()> {
        let (ended, told) = oneshot::channel();
        self.ended = Some(ended);
        told
    }

    /// It is durable.
    pub(crate) fn durable(mut self) {
        self.tell(Wrote::Durable);
    }

    /// Nothing was written: its number is taken.
    pub(crate) fn number_taken(mut self) {
        self.tell(Wrote::NumberTaken);
    }

    /// Nothing was written: the log takes none now, or not this one.
    pub(crate) fn refused(mut self, code: Code, why: String) {
        self.tell(Wrote::Refused(code, why));
    }

    fn tell(&mut self, wrote: Wrote) {
        if let Some(tenant) = self.tenant.take() {
            // A tenant that is gone reads what there is when it begins again.
            drop(tenant.cast(TenantMsg::Written(self.order.clone(), self.number, wrote)));
        }
    }
}

impl Drop for ControlTicket {
    fn drop(&mut self) {
        self.tell(Wrote::Lost);
    }
}
