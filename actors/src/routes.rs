//! Where the tenants' actors are, for those who send to them.

use std::collections::HashMap;

use parking_lot::RwLock;
use ractor::ActorRef;
use retailflow_engine::ids::{OrderRef, TenantId};

use crate::messages::{OrderNotice, ReleaseRequest, TenantMsg, TenantsMsg};
use crate::work::Work;

/// Live tenants of a node. Entries are made and removed by their supervisor only.
#[derive(Default)]
pub(crate) struct TenantRoutes {
    tenants: RwLock<HashMap<TenantId, ActorRef<TenantMsg>>>,
    supervisor: RwLock<Option<ActorRef<TenantsMsg>>>,
}

impl TenantRoutes {
    pub(crate) fn get(&self, tenant: &TenantId) -> Option<ActorRef<TenantMsg>> {
        self.tenants.read().get(tenant).cloned()
    }

    pub(crate) fn set(&self, tenant: TenantId, actor: ActorRef<TenantMsg>) {
        self.tenants.write().insert(tenant, actor);
    }

    pub(crate) fn remove(&self, tenant: &TenantId) {
        self.tenants.write().remove(tenant);
    }

    /// Another supervisor is there, or none; the tenants of one that ended have ended with it.
    pub(crate) fn set_supervisor(&self, supervisor: Option<ActorRef<TenantsMsg>>) {
        self.tenants.write().clear();
        *self.supervisor.write() = supervisor;
    }

    /// Sends a command to its tenant, who is woken if need be. Where that is not possible the command is dropped with
    /// its reply: the caller learns that the answer was lost.
    pub(crate) fn submit(&self, work: Work) {
        match self.get(&work.command.order.tenant) {
            Some(tenant) => drop(tenant.cast(TenantMsg::Submit(work))),
            None => {
                if let Some(supervisor) = self.supervisor.read().clone() {
                    drop(supervisor.cast(TenantsMsg::Submit(work)));
                }
            }
        }
    }

    /// Has the supervisor forward a message to all tenants. Without a supervisor the message is dropped: its tenants have ended, and
    /// read the marks when they restart.
    pub(crate) fn broadcast(&self, message: TenantsMsg) {
        if let Some(supervisor) = self.supervisor.read().clone() {
            drop(supervisor.cast(message));
        }
    }

    /// The tenants that live.
    pub(crate) fn all(&self) -> Vec<ActorRef<TenantMsg>> {
        self.tenants.read().values().cloned().collect()
    }

    /// Sends a request about a parked order to its tenant. Dropped with its reply where that is not possible.
    pub(crate) fn release(&self, request: ReleaseRequest) {
        match self.get(&request.order.tenant) {
            Some(tenant) => drop(tenant.cast(TenantMsg::Release(request))),
            None => {
                if let Some(supervisor) = self.supervisor.read().clone() {
                    drop(supervisor.cast(TenantsMsg::Release(request)));
                }
            }
        }
    }

    /// Sends a notice of the engine's own to an order. It may get lost: the index of deadlines has all open orders.
    pub(crate) fn notify_order(&self, order: OrderRef, message: OrderNotice) {
        match self.get(&order.tenant) {
            Some(tenant) => drop(tenant.cast(TenantMsg::Notify(order.order, message))),
            None => {
                if let Some(supervisor) = self.supervisor.read().clone() {
                    drop(supervisor.cast(TenantsMsg::Notify(order, message)));
                }
            }
        }
    }
}
