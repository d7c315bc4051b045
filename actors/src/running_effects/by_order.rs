//! What runs, by order, and how much of it is each tenant's.

use std::collections::HashMap;
use std::sync::Arc;

use retailflow_engine::fulfillment::{Effect, Mode};
use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::order::StepAt;

use super::task::EffectTask;

/// An effect that runs, or waits for its retry.
pub(super) struct RunningEffect {
    pub(super) at: StepAt,
    pub(super) mode: Mode,
    pub(super) doubted: bool,
    said_not_done: bool,
    pub(super) number: u64,
    pub(super) task: Arc<EffectTask>,
}

impl RunningEffect {
    pub(super) fn new(effect: &Effect, number: u64, task: Arc<EffectTask>) -> Self {
        let Effect { at, mode, doubted, said_not_done, .. } = effect;
        let (mode, doubted, said_not_done) = (*mode, *doubted, *said_not_done);
        Self { at: at.clone(), mode, doubted, said_not_done, number, task }
    }

    pub(super) fn is_of(&self, effect: &Effect) -> bool {
        self.at == effect.at
            && (self.mode, self.doubted, self.said_not_done)
                == (effect.mode, effect.doubted, effect.said_not_done)
    }
}

/// The effects of a node, one an order.
#[derive(Default)]
pub(super) struct EffectsByOrder {
    orders: HashMap<OrderRef, RunningEffect>,
    /// Only tenants that have any.
    tenants: HashMap<TenantId, usize>,
}

impl EffectsByOrder {
    pub(super) fn get(&self, order: &OrderRef) -> Option<&RunningEffect> {
        self.orders.get(order)
    }

    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    pub(super) fn of_tenant(&self, tenant: &TenantId) -> usize {
        self.tenants.get(tenant).copied().unwrap_or(0)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &RunningEffect> {
        self.orders.values()
    }

    pub(super) fn insert(&mut self, order: OrderRef, running: RunningEffect) {
        match self.tenants.get_mut(&order.tenant) {
            Some(count) => *count += 1,
            None => drop(self.tenants.insert(order.tenant.clone(), 1)),
        }
        if let Some(other) = self.orders.insert(order.clone(), running) {
            self.left(&order.tenant);
            drop(other);
        }
    }

    pub(super) fn remove(&mut self, order: &OrderRef) -> Option<RunningEffect> {
        let running = self.orders.remove(order)?;
        self.left(&order.tenant);
        Some(running)
    }

    /// Takes out those whose order `leaves`.
    pub(super) fn extract(&mut self, leaves: impl Fn(&OrderRef) -> bool) -> Vec<RunningEffect> {
        let left: Vec<_> = self.orders.extract_if(|order, _| leaves(order)).collect();
        left.iter().for_each(|(order, _)| self.left(&order.tenant));
        left.into_iter().map(|(_, running)| running).collect()
    }

    fn left(&mut self, tenant: &TenantId) {
        if let Some(count) = self.tenants.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.tenants.remove(tenant);
            }
        }
    }
}
