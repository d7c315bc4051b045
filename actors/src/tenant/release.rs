//! What a tenant does for the release of its parked orders ([`crate::parking`]).

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::ids::{OrderId, OrderRef};

use super::state::TenantState;
use crate::messages::{DrainCommand, OrderNotice, ReleaseError, ReleaseRequest, TenantMsg};
use crate::parking::ReleasedMark;

impl TenantState {
    /// Begins to release an order.
    pub(super) fn release(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        request: ReleaseRequest,
    ) -> Result<(), ActorProcessingErr> {
        let partition = self.partition(&request.order.order);
        if !self.parking.is_known(partition) {
            self.parking.defer(partition, TenantMsg::Release(request));
            return Ok(());
        }
        let ReleaseRequest { order, operator, discard, reply } = request;
        let refused = match self.parking.holds(&order.order) {
            false => Some(ReleaseError::NotParked),
            true => self.releases.is_going_on(&order.order).then_some(ReleaseError::UnderWay),
        };
        if let Some(error) = refused {
            drop(reply.send(Err(error)));
            return Ok(());
        }
        // One before it may have ended badly, and held the queue.
        self.parking.resume_queue(&order.order)?;
        tracing::info!(event = "order_release_started", %order, %operator, discard, "what waits behind a parked order is decided");
        self.releases.start(self.shared.clone(), myself.clone(), (order, operator, discard), reply);
        Ok(())
    }

    /// The mark of an order is gone.
    pub(super) async fn released(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderId,
        released: ReleasedMark,
    ) -> Result<(), ActorProcessingErr> {
        let ReleasedMark { operator, waiting, reply } = released;
        tracing::info!(event = "order_released", tenant = %self.tenant, %order, %operator, "a parked order is released");
        self.releases.remove(&order);
        self.reset_crash_history(&order);
        for work in waiting {
            self.deliver(myself, work).await?;
        }
        self.notify_order(myself, order, OrderNotice::Wake).await?;
        drop(reply.send(Ok(true)));
        Ok(())
    }

    /// Does what the task asks for.
    pub(super) async fn drain(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderRef,
        drain: DrainCommand,
    ) -> Result<(), ActorProcessingErr> {
        match drain {
            DrainCommand::Command(work) => self.deliver(myself, work).await,
            DrainCommand::Hold(reply) => {
                self.parking.hold(&order.order, reply);
                Ok(())
            }
            DrainCommand::Resume => self.parking.resume_queue(&order.order),
            DrainCommand::End { operator, reply } => self.parking.release(&order.order, operator, reply),
            DrainCommand::Aborted => {
                self.releases.remove(&order.order);
                self.slots.request_passivation(&order.order);
                self.parking.resume_queue(&order.order)
            }
        }
    }
}

#[cfg(test)]
mod tests;
