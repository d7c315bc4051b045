//! How orders end: passivated, crashed, or with their partition; and which of them start again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{ActorId, ActorProcessingErr, ActorRef};
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use tokio::time::Instant;

use super::state::TenantState;
use crate::messages::{Crash, OrderMsg, TenantMsg};
use crate::passivation::Transition;
use crate::supervise::AfterCrash;

impl TenantState {
    /// Stops the orders of a partition, whatever they do: another owner writes them from now on.
    pub(super) fn partition_released(&mut self, partition: PartitionId) {
        let (tenant, partitions) = (self.tenant.clone(), self.shared.committers.partitions());
        let leaves = |order: &OrderId| {
            partition_of(&OrderRef { tenant: tenant.clone(), order: order.clone() }, partitions) == partition
        };
        for (order, actor) in self.slots.extract(leaves) {
            if let Some(actor) = actor {
                // Its supervision event is ignored.
                self.slots.ended(actor.get_id());
                actor.stop(None);
            }
            self.reset_crash_history(&order);
        }
        self.releases.partition_released(leaves);
        self.parking.partition_released(partition, leaves);
    }

    pub(super) async fn passivated(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        id: ActorId,
    ) -> Result<(), ActorProcessingErr> {
        let Some(order) = self.slots.ended(id) else { return Ok(()) };
        let waiting = self.slots.remove(&order);
        match waiting.is_empty() {
            true => Ok(()),
            false => self.spawn(myself, order, waiting).await,
        }
    }

    pub(super) async fn crashed(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        id: ActorId,
        why: &str,
        passing: bool,
    ) -> Result<(), ActorProcessingErr> {
        let Some(order) = self.slots.ended(id) else { return Ok(()) };
        self.shared.admission.crashes.fetch_add(1, Ordering::Relaxed);
        if self.parking.holds(&order) {
            // Its release had started it, gets the crash, and the order stays parked. Its commands are still queued.
            self.slots.remove(&order);
            self.releases.crashed(&order, Crash { why: why.to_owned(), passing });
            return Ok(());
        }
        let waiting = self.slots.remove(&order);
        let supervision = &self.shared.settings.config.supervision;
        let windows = if passing { &mut self.transient_failures } else { &mut self.crashes };
        let window = windows.entry(order.clone()).or_default();
        let mut after = window.record_crash(Instant::now(), supervision, &*self.shared.ports.rng);
        if passing && after == AfterCrash::Quarantine {
            after = AfterCrash::Restart(Duration::from_millis(supervision.delay_max_ms));
        }
        match after {
            AfterCrash::Restart(delay) => {
                tracing::warn!(event = "order_restarted", tenant = %self.tenant, %order, %why, ?delay, "an order crashed and starts again");
                self.slots.transitions.insert(order.clone(), Transition::Restarting { waiting });
                myself.send_after(delay, move || TenantMsg::Restart(order));
                Ok(())
            }
            AfterCrash::Quarantine => {
                tracing::error!(event = "order_parked", tenant = %self.tenant, %order, %why, "an order keeps crashing and is parked");
                self.parking.park(&order, why)?;
                for message in waiting {
                    if let OrderMsg::Submit(work) = message {
                        self.parking.park_command(work)?;
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) async fn restart(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderId,
    ) -> Result<(), ActorProcessingErr> {
        match self.slots.transitions.remove(&order) {
            // Also one without messages: it may have a step that waits to be driven.
            Some(Transition::Restarting { waiting }) => self.spawn(myself, order, waiting).await,
            Some(leaving) => {
                self.slots.transitions.insert(order, leaving);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn end_orders(&mut self) {
        self.slots.drain().into_iter().for_each(|order| order.kill());
    }
}
