//! Where the tenants' actors are, for those who send to them.

use std::collections::HashMap;

use parking_lot::RwLock;
use ractor::ActorRef;
use retailflow_engine::ids::TenantId;

use crate::tenant::TenantMsg;

/// Live tenants of a node. Entries are made and removed by their supervisor only.
#[derive(Default)]
pub(crate) struct TenantRoutes(RwLock<HashMap<TenantId, ActorRef<TenantMsg>>>);

impl TenantRoutes {
    pub(crate) fn get(&self, tenant: &TenantId) -> Option<ActorRef<TenantMsg>> {
        self.0.read().get(tenant).cloned()
    }

    pub(crate) fn set(&self, tenant: TenantId, actor: ActorRef<TenantMsg>) {
        self.0.write().insert(tenant, actor);
    }

    pub(crate) fn clear(&self) {
        self.0.write().clear();
    }

    pub(crate) fn remove(&self, tenant: &TenantId) {
        self.0.write().remove(tenant);
    }
}
