//! One tenant: routes to its orders, keeps them alive, passivates them, parks the ones that keep crashing.
//!
//! A poisoned order stops alone (promise 6): what it does to itself is its own slot's matter here.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::ParkedOrder;
use retailflow_engine::wire::Code;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::deliveries::ToOrder;
use crate::order::{OrderActor, OrderArgs, OrderMsg, OrderShared, PASSIVATED, is_passing};
use crate::parking::{Parking, Wrote};
use crate::passivation::{Age, Evict};
use crate::release::{Crash, Drain, Releases, Request};
use crate::supervise::{AfterCrash, CrashWindow};
use crate::work::Work;
use crate::world::ProbePoint;

mod residents;

use residents::{Away, Slots};

/// What a tenant is told.
pub(crate) enum TenantMsg {
    /// Route a command.
    Submit(Work),
    /// A message of the engine's own for an order.
    ToOrder(OrderId, ToOrder),
    /// An order that was asked to leave has work.
    Busy(OrderId, ActorId),
    /// The delay after a crash is over.
    Restart(OrderId),
    /// What an operator asks for a parked order.
    Release(Request),
    /// What the task that does it needs.
    Drain(OrderRef, Drain),
    /// A partition is run here from now on: these are its park marks. The sender is dropped when that is done.
    Arrived(PartitionId, Arc<[ParkedOrder]>, mpsc::Sender<Infallible>),
    /// It is run here no more: its orders are to go.
    Departed(PartitionId, mpsc::Sender<Infallible>),
    /// A control record of an order was written (`true`); or not, or nobody knows.
    Written(OrderId, u64, Wrote),
    /// The park marks of a partition, as they were read.
    Marks(PartitionId, u64, Result<Vec<ParkedOrder>, String>),
    /// There are too many orders in memory: send some away.
    Evict(Evict),
    /// Look for idle orders.
    Sweep,
}

pub(crate) struct TenantArgs {
    pub(crate) tenant: TenantId,
    pub(crate) shared: Arc<OrderShared>,
}

pub(crate) struct TenantState {
    tenant: TenantId,
    pub(crate) shared: Arc<OrderShared>,
    myself: ActorRef<TenantMsg>,
    slots: Slots,
    age: Age,
    by_actor: HashMap<ActorId, OrderId>,
    /// Orders that crashed within the window.
    crashes: HashMap<OrderId, CrashWindow>,
    /// Orders that ended within the window because of trouble that is not their own.
    troubles: HashMap<OrderId, CrashWindow>,
    pub(crate) parking: Parking,
    pub(crate) releases: Releases,
}

/// The actor of one tenant.
pub(crate) struct TenantActor;

impl Actor for TenantActor {
    type Msg = TenantMsg;
    type State = TenantState;
    type Arguments = TenantArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let interval_ms = (args.shared.settings.config.orders.idle_ms / 4).clamp(50, 5_000);
        myself.send_interval(Duration::from_millis(interval_ms), || TenantMsg::Sweep);
        Ok(TenantState {
            parking: Parking::new(args.shared.clone(), args.tenant.clone(), myself.clone()),
            myself,
            tenant: args.tenant,
            age: Age::new(&args.shared.residents),
            shared: args.shared,
            slots: Slots::default(),
            by_actor: HashMap::new(),
            crashes: HashMap::new(),
            troubles: HashMap::new(),
            releases: Releases::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let handled = state.handle(&myself, message).await;
        if handled.is_err() {
            state.end_orders();
        }
        state.parking.wait_inline().await;
        handled
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                state.crashed(&myself, cell.get_id(), &error.to_string(), is_passing(&error)).await
            }
            SupervisionEvent::ActorTerminated(cell, _, Some(reason)) if reason == PASSIVATED => {
                state.passivated(&myself, cell.get_id()).await
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                let why = reason.unwrap_or_else(|| "killed".into());
                state.crashed(&myself, cell.get_id(), &why, false).await
            }
            _ => Ok(()),
        }
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.forget_all();
        Ok(())
    }
}

impl Drop for TenantState {
    fn drop(&mut self) {
        self.forget_all();
    }
}

impl TenantState {
    async fn handle(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        message: TenantMsg,
    ) -> Result<(), ActorProcessingErr> {
        let kept = match message {
            TenantMsg::Arrived(partition, marks, _told) => {
                self.departed(partition);
                self.parking.arrived(partition, &marks)
            }
            TenantMsg::Marks(partition, number, read) => self.parking.marks(partition, number, read),
            message => return self.one(myself, message).await,
        };
        for message in kept {
            self.one(myself, message).await?;
        }
        Ok(())
    }

    async fn one(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        message: TenantMsg,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TenantMsg::Submit(work) => {
                self.shared.settings.probe(ProbePoint::TenantRoute, || work.command.order.to_string())?;
                self.route(myself, work).await
            }
            TenantMsg::ToOrder(order, message) => self.tell_order(myself, order, message).await,
            TenantMsg::Busy(order, id) => {
                self.busy(order, id);
                Ok(())
            }
            TenantMsg::Evict(evict) => {
                self.evict(evict);
                Ok(())
            }
            TenantMsg::Restart(order) => self.restart(myself, order).await,
            TenantMsg::Release(request) => self.release(myself, request),
            TenantMsg::Drain(order, drain) => self.drain(myself, order, drain).await,
            TenantMsg::Written(order, number, wrote) => match self.parking.written(&order, number, wrote)? {
                Some(released) => self.released(myself, order, released).await,
                None => Ok(()),
            },
            TenantMsg::Departed(partition, _told) => {
                self.departed(partition);
                Ok(())
            }
            TenantMsg::Sweep => {
                self.sweep();
                self.parking.read_again();
                Ok(())
            }
            // These are seen to before.
            TenantMsg::Arrived(..) | TenantMsg::Marks(..) => Ok(()),
        }
    }

    async fn route(&mut self, myself: &ActorRef<TenantMsg>, work: Work) -> Result<(), ActorProcessingErr> {
        let order = &work.command.order.order;
        let partition = self.partition(order);
        if !self.parking.knows(partition) {
            self.parking.keep(partition, TenantMsg::Submit(work));
            return Ok(());
        }
        match self.parking.holds(order) {
            true => self.parking.park_command(work),
            false => self.give(myself, work).await,
        }
    }

    /// Gives a command to its order, which is started if need be.
    pub(crate) async fn give(
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
        match self.slots.away.get_mut(order).map(Away::waiting) {
            Some(waiting) => {
                if waiting.len() < self.shared.settings.config.orders.queue_max {
                    waiting.push(OrderMsg::Submit(work));
                } else {
                    work.refuse(Code::Overloaded, "the order restarts", self.shared.gate.retry_after_ms());
                }
                Ok(())
            }
            None => {
                let order = order.clone();
                self.spawn(myself, order, vec![OrderMsg::Submit(work)]).await
            }
        }
    }

    /// Gives an order a message of the engine's own. It may be dropped: whoever lives again asks for what it needs.
    pub(crate) async fn tell_order(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderId,
        message: ToOrder,
    ) -> Result<(), ActorProcessingErr> {
        let partition = self.partition(&order);
        if !self.parking.knows(partition) {
            self.parking.keep(partition, TenantMsg::ToOrder(order, message));
            return Ok(());
        }
        if self.parking.holds(&order) {
            // It waits for its release, and is not to be looked for.
            self.shared.effects.waits(&OrderRef { tenant: self.tenant.clone(), order });
            return Ok(());
        }
        if let Some(order) = self.slots.touch(&order) {
            drop(order.cast(message.into()));
            return Ok(());
        }
        match self.slots.away.get_mut(&order) {
            Some(Away::Leaving { waiting, .. }) => {
                // An order has one effect and one deadline: a few at most wait here.
                if waiting.len() < self.shared.settings.config.orders.queue_max {
                    waiting.push(message.into());
                }
                Ok(())
            }
            Some(Away::Resting { .. }) => Ok(()),
            None => self.spawn(myself, order, vec![message.into()]).await,
        }
    }

    async fn spawn(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderId,
        waiting: Vec<OrderMsg>,
    ) -> Result<(), ActorProcessingErr> {
        if !self.shared.held.has(self.partition(&order)) {
            // Its partition has gone meanwhile: whoever waits here asks again, and is answered by its owner.
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
        self.came(order, actor);
        Ok(())
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub(crate) fn partition(&self, order: &OrderId) -> PartitionId {
        let reference = OrderRef { tenant: self.tenant.clone(), order: order.clone() };
        partition_of(&reference, self.shared.committers.partitions())
    }

    /// The orders of a partition leave memory, whatever they do: another owner writes them from now on.
    fn departed(&mut self, partition: PartitionId) {
        let (tenant, partitions) = (self.tenant.clone(), self.shared.committers.partitions());
        let leaves = |order: &OrderId| {
            partition_of(&OrderRef { tenant: tenant.clone(), order: order.clone() }, partitions) == partition
        };
        for (order, actor) in self.slots.extract(leaves) {
            if let Some(actor) = actor {
                // Its end is nobody's matter any more.
                self.gone(actor.get_id());
                actor.stop(None);
            }
            self.forgive(&order);
        }
        self.releases.departed(leaves);
        self.parking.departed(partition, leaves);
    }

    /// The order's past is forgotten: it may crash as often as any other before it is parked again.
    pub(crate) fn forgive(&mut self, order: &OrderId) {
        self.crashes.remove(order);
        self.troubles.remove(order);
    }

    fn gone(&mut self, id: ActorId) -> Option<OrderId> {
        let order = self.by_actor.remove(&id)?;
        self.shared.residents.went(1);
        Some(order)
    }

    async fn passivated(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        id: ActorId,
    ) -> Result<(), ActorProcessingErr> {
        let Some(order) = self.gone(id) else { return Ok(()) };
        let waiting = self.slots.remove(&order);
        match waiting.is_empty() {
            true => Ok(()),
            false => self.spawn(myself, order, waiting).await,
        }
    }

    async fn crashed(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        id: ActorId,
        why: &str,
        passing: bool,
    ) -> Result<(), ActorProcessingErr> {
        let Some(order) = self.gone(id) else { return Ok(()) };
        self.shared.gate.crashes.fetch_add(1, Ordering::Relaxed);
        if self.parking.holds(&order) {
            // It was started by its release, which is told, and rests again. What waits is still in its queue.
            self.slots.remove(&order);
            self.releases.crashed(&order, Crash { why: why.to_owned(), passing });
            return Ok(());
        }
        let waiting = self.slots.remove(&order);
        let supervision = &self.shared.settings.config.supervision;
        let windows = if passing { &mut self.troubles } else { &mut self.crashes };
        let window = windows.entry(order.clone()).or_default();
        let mut after = window.crashed(Instant::now(), supervision, &*self.shared.ports.rng);
        if passing && after == AfterCrash::Quarantine {
            after = AfterCrash::Restart(Duration::from_millis(supervision.delay_max_ms));
        }
        match after {
            AfterCrash::Restart(delay) => {
                tracing::warn!(tenant = %self.tenant, %order, %why, ?delay, "an order crashed and starts again");
                self.slots.away.insert(order.clone(), Away::Resting { waiting });
                myself.send_after(delay, move || TenantMsg::Restart(order));
                Ok(())
            }
            AfterCrash::Quarantine => {
                tracing::error!(tenant = %self.tenant, %order, %why, "an order keeps crashing and is parked");
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

    async fn restart(
        &mut self,
        myself: &ActorRef<TenantMsg>,
        order: OrderId,
    ) -> Result<(), ActorProcessingErr> {
        match self.slots.away.remove(&order) {
            // Also one that nobody asks for: it may have a step that waits to be driven.
            Some(Away::Resting { waiting }) => self.spawn(myself, order, waiting).await,
            Some(leaving) => {
                self.slots.away.insert(order, leaving);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn end_orders(&mut self) {
        self.slots.drain().into_iter().for_each(|order| order.kill());
    }
}
