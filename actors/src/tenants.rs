//! The tenants of a node: creates their actors on first use and keeps them alive, each by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use retailflow_engine::ids::TenantId;
use tokio::time::Instant;

use crate::context::OrderContext;
use crate::messages::{TenantMsg, TenantsMsg};
use crate::routes::TenantRoutes;
use crate::supervise::{AfterCrash, CrashWindow, ended};
use crate::tenant::{TenantActor, TenantArgs};
use crate::work::Work;

pub(crate) struct TenantsArgs {
    pub(crate) shared: Arc<OrderContext>,
    pub(crate) routes: Arc<TenantRoutes>,
}

pub(crate) struct TenantsState {
    args: TenantsArgs,
    names: HashMap<ActorId, TenantId>,
    crashes: BTreeMap<TenantId, CrashWindow>,
    resting: BTreeMap<TenantId, Vec<Work>>,
}

/// Supervisor of the tenants.
pub(crate) struct Tenants;

impl Actor for Tenants {
    type Msg = TenantsMsg;
    type State = TenantsState;
    type Arguments = TenantsArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(TenantsState { args, names: HashMap::new(), crashes: BTreeMap::new(), resting: BTreeMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TenantsMsg::Submit(work) => {
                let tenant = work.command.order.tenant.clone();
                if let Some(waiting) = state.resting.get_mut(&tenant) {
                    // Bounded by the tenant's permits.
                    waiting.push(work);
                    return Ok(());
                }
                let actor = state.get_or_spawn(&myself, tenant).await?;
                drop(actor.cast(TenantMsg::Submit(work)));
            }
            TenantsMsg::Notify(order, message) => {
                let tenant = order.tenant;
                if state.resting.contains_key(&tenant) {
                    // All its open orders are looked through when it is back.
                    return Ok(());
                }
                let actor = state.get_or_spawn(&myself, tenant).await?;
                drop(actor.cast(TenantMsg::Notify(order.order, message)));
            }
            TenantsMsg::Release(request) => {
                let tenant = request.order.tenant.clone();
                if state.resting.contains_key(&tenant) {
                    // The operator is told that the answer was lost, and asks again.
                    return Ok(());
                }
                let actor = state.get_or_spawn(&myself, tenant).await?;
                drop(actor.cast(TenantMsg::Release(request)));
            }
            TenantsMsg::PartitionAcquired(partition, marks, ack) => {
                for tenant in state.args.routes.all() {
                    drop(tenant.cast(TenantMsg::PartitionAcquired(partition, marks.clone(), ack.clone())));
                }
            }
            TenantsMsg::PartitionReleased(partition, ack) => {
                for tenant in state.args.routes.all() {
                    drop(tenant.cast(TenantMsg::PartitionReleased(partition, ack.clone())));
                }
            }
            TenantsMsg::Restart(tenant) => {
                let waiting = state.resting.remove(&tenant).unwrap_or_default();
                let actor = state.spawn(&myself, tenant).await?;
                state.args.shared.effects.running.request_rescan();
                for work in waiting {
                    drop(actor.cast(TenantMsg::Submit(work)));
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some((actor, why)) = ended(event) else { return Ok(()) };
        let Some(tenant) = state.names.remove(&actor) else { return Ok(()) };
        state.args.routes.remove(&tenant);
        let shared = &state.args.shared;
        shared.admission.crashes.fetch_add(1, Ordering::Relaxed);
        let supervision = &shared.settings.config.supervision;
        let window = state.crashes.entry(tenant.clone()).or_default();
        let delay = match window.record_crash(Instant::now(), supervision, &*shared.ports.rng) {
            AfterCrash::Restart(delay) => delay,
            // A tenant is never given up: it comes back after the longest delay, and the others go on meanwhile.
            AfterCrash::Quarantine => std::time::Duration::from_millis(supervision.delay_max_ms),
        };
        tracing::warn!(event = "tenant_restarted", %tenant, %why, ?delay, "a tenant crashed and starts again");
        state.resting.insert(tenant.clone(), Vec::new());
        myself.send_after(delay, move || TenantsMsg::Restart(tenant));
        Ok(())
    }
}

impl TenantsState {
    async fn get_or_spawn(
        &mut self,
        myself: &ActorRef<TenantsMsg>,
        tenant: TenantId,
    ) -> Result<ActorRef<TenantMsg>, ActorProcessingErr> {
        match self.args.routes.get(&tenant) {
            Some(actor) => Ok(actor),
            None => self.spawn(myself, tenant).await,
        }
    }

    async fn spawn(
        &mut self,
        myself: &ActorRef<TenantsMsg>,
        tenant: TenantId,
    ) -> Result<ActorRef<TenantMsg>, ActorProcessingErr> {
        let args = TenantArgs { tenant: tenant.clone(), shared: self.args.shared.clone() };
        let (actor, _) = Actor::spawn_linked(None, TenantActor, args, myself.get_cell()).await?;
        self.names.insert(actor.get_id(), tenant.clone());
        self.args.routes.set(tenant, actor.clone());
        Ok(actor)
    }
}
