//! Routing: to which order a message goes, or where it waits.

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::ids::{OrderId, OrderRef};
use retailflow_engine::wire::Code;

use super::state::TenantState;
use crate::messages::{OrderMsg, OrderNotice, TenantMsg};
use crate::passivation::Transition;
use crate::work::Work;
use crate::world::ProbePoint;

impl TenantState {
    pub(super) async fn handle(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        message: TenantMsg,
    ) -> Result<(), ActorProcessingErr> {
        let deferred = match message {
            TenantMsg::PartitionAcquired(partition, marks, _ack) => {
                self.partition_released(partition);
                self.parking.partition_acquired(partition, &marks)
            }
            TenantMsg::Marks(partition, number, read) => self.parking.marks_read(partition, number, read),
            message => return self.dispatch(myself, message).await,
        };
        for message in deferred {
            self.dispatch(myself, message).await?;
        }
        Ok(())
    }

    pub(super) async fn dispatch(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        message: TenantMsg,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TenantMsg::Submit(work) => {
                self.shared.settings.probe(ProbePoint::TenantRoute, || work.command.order.to_string())?;
                self.route(myself, work).await
            }
            TenantMsg::Notify(order, message) => self.notify_order(myself, order, message).await,
            TenantMsg::Busy(order, id) => {
                self.slots.keep_busy(order, id);
                Ok(())
            }
            TenantMsg::Evict(request) => {
                self.slots.evict(request);
                Ok(())
            }
            TenantMsg::Restart(order) => self.restart(myself, order).await,
            TenantMsg::Release(request) => self.release(myself, request),
            TenantMsg::DrainCommand(order, drain) => self.drain(myself, order, drain).await,
            TenantMsg::Written(order, number, wrote) => match self.parking.written(&order, number, wrote)? {
                Some(released) => self.released(myself, order, released).await,
                None => Ok(()),
            },
            TenantMsg::PartitionReleased(partition, _ack) => {
                self.partition_released(partition);
                Ok(())
            }
            TenantMsg::Sweep => {
                self.sweep();
                self.parking.retry_reads();
                Ok(())
            }
            // These are seen to before.
            TenantMsg::PartitionAcquired(..) | TenantMsg::Marks(..) => Ok(()),
        }
    }

    pub(super) async fn route(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        work: Work,
    ) -> Result<(), ActorProcessingErr> {
        let order = &work.command.order.order;
        let partition = self.partition(order);
        if !self.parking.is_known(partition) {
            self.parking.defer(partition, TenantMsg::Submit(work));
            return Ok(());
        }
        match self.parking.holds(order) {
            true => self.parking.park_command(work),
            false => self.deliver(myself, work).await,
        }
    }

    /// Gives a command to its order, which is started if need be.
    pub(super) async fn deliver(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        work: Work,
    ) -> Result<(), ActorProcessingErr> {
        let order = &work.command.order.order;
        if let Some(order) = self.slots.touch(order) {
            // A send fails only when the order has just ended: its command is then dropped, and the caller asks again.
            drop(order.cast(OrderMsg::Submit(work)));
            return Ok(());
        }
        match self.slots.transitions.get_mut(order).map(Transition::waiting) {
            Some(waiting) => {
                if waiting.len() < self.shared.settings.config.orders.queue_max {
                    waiting.push(OrderMsg::Submit(work));
                } else {
                    work.refuse(
                        Code::Overloaded,
                        "the order restarts",
                        self.shared.admission.retry_after_ms(),
                    );
                }
                Ok(())
            }
            None => {
                let order = order.clone();
                self.spawn(myself, order, vec![OrderMsg::Submit(work)]).await
            }
        }
    }

    /// Sends an order a notice of the engine's own. It may be dropped: an order that starts again asks for what it needs.
    pub(super) async fn notify_order(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderId,
        message: OrderNotice,
    ) -> Result<(), ActorProcessingErr> {
        let partition = self.partition(&order);
        if !self.parking.is_known(partition) {
            self.parking.defer(partition, TenantMsg::Notify(order, message));
            return Ok(());
        }
        if self.parking.holds(&order) {
            // It waits for its release, and is not to be looked for.
            self.shared.effects.running.set_waiting(&OrderRef { tenant: self.tenant.clone(), order });
            return Ok(());
        }
        if let Some(order) = self.slots.touch(&order) {
            drop(order.cast(message.into()));
            return Ok(());
        }
        match self.slots.transitions.get_mut(&order) {
            Some(Transition::Passivating { waiting, .. }) => {
                // An order has one effect and one deadline: a few at most wait here.
                if waiting.len() < self.shared.settings.config.orders.queue_max {
                    waiting.push(message.into());
                }
                Ok(())
            }
            Some(Transition::Restarting { .. }) => Ok(()),
            None => self.spawn(myself, order, vec![message.into()]).await,
        }
    }
}
