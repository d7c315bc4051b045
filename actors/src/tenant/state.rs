//! What a tenant knows of its orders.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use tokio::time::Instant;

use crate::context::OrderContext;
use crate::messages::{OrderMsg, TenantMsg};
use crate::order::{OrderActor, OrderArgs};
use crate::parking::{Parking, Releases};
use crate::passivation::OrderSlots;
use crate::supervise::CrashWindow;

pub(crate) struct TenantArgs {
    pub(crate) tenant: TenantId,
    pub(crate) shared: Arc<OrderContext>,
}

pub(crate) struct TenantState {
    pub(super) tenant: TenantId,
    pub(super) shared: Arc<OrderContext>,
    /// The orders in memory.
    pub(super) slots: OrderSlots,
    /// Orders that crashed within the window.
    pub(super) crashes: HashMap<OrderId, CrashWindow>,
    /// Orders that ended within the window by a failure that is not their own.
    pub(super) transient_failures: HashMap<OrderId, CrashWindow>,
    pub(super) parking: Parking,
    pub(super) releases: Releases,
}

impl TenantState {
    pub(super) fn new(args: TenantArgs, myself: ActorRef<TenantMsg>) -> Self {
        Self {
            parking: Parking::new(args.shared.clone(), args.tenant.clone(), myself.clone()),
            slots: OrderSlots::new(myself, args.shared.residents.clone()),
            tenant: args.tenant,
            shared: args.shared,
            crashes: HashMap::new(),
            transient_failures: HashMap::new(),
            releases: Releases::default(),
        }
    }

    pub(super) fn partition(&self, order: &OrderId) -> PartitionId {
        let reference = OrderRef { tenant: self.tenant.clone(), order: order.clone() };
        partition_of(&reference, self.shared.committers.partitions())
    }

    pub(super) async fn spawn(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderId,
        waiting: Vec<OrderMsg>,
    ) -> Result<(), ActorProcessingErr> {
        if !self.shared.table.owns(self.partition(&order)) {
            // Its partition was released meanwhile: the caller asks again, and its owner answers.
            return Ok(());
        }
        self.shared.residents.make_room(1);
        let args = OrderArgs {
            order: OrderRef { tenant: self.tenant.clone(), order: order.clone() },
            shared: self.shared.clone(),
            tenant: myself.clone(),
        };
        let (actor, _) = Actor::spawn_linked(None, OrderActor, args, myself.get_cell()).await?;
        for message in waiting {
            drop(actor.cast(message));
        }
        self.slots.insert(order, actor);
        Ok(())
    }

    /// Forgets the order's crashes: it may crash as often as any other before it is parked again.
    pub(super) fn reset_crash_history(&mut self, order: &OrderId) {
        self.crashes.remove(order);
        self.transient_failures.remove(order);
    }

    /// Looks for idle orders, and forgets crashes of long ago.
    pub(super) fn sweep(&mut self) {
        let settings = self.shared.settings.clone();
        self.slots.sweep(Duration::from_millis(settings.config.orders.idle_ms));
        let now = Instant::now();
        for windows in [&mut self.crashes, &mut self.transient_failures] {
            windows.retain(|_, window| !window.is_stale(now, &settings.config.supervision));
        }
    }
}
