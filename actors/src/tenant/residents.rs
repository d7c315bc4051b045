//! Which of a tenant's orders stay in memory.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::ActorRef;
use retailflow_engine::ids::OrderId;
use tokio::time::Instant;

use super::{Slot, TenantState};
use crate::order::OrderMsg;

/// Slots looked at, from the least recently used one on, for an order that can be asked to leave.
const LOOKED_AT_MAX: usize = 256;

impl TenantState {
    /// Asks the least recently used orders to leave; the ones that have work stay.
    pub(super) fn evict(&mut self, count: usize) {
        for _ in 0..count.min(64) {
            // One that was asked before and has not left yet is no reason to keep all the others.
            let least = self.slots.iter().rev().take(LOOKED_AT_MAX).find_map(|(order, slot)| match slot {
                Slot::Live { order: actor, .. } => Some((order.clone(), actor.clone())),
                _ => None,
            });
            let Some((order, actor)) = least else { return };
            self.leave(order, actor);
        }
    }

    /// Asks an order to leave, if it is there.
    pub(crate) fn send_away(&mut self, order: &OrderId) {
        if let Some(Slot::Live { order: actor, .. }) = self.slots.peek(order) {
            let actor = actor.clone();
            self.leave(order.clone(), actor);
        }
    }

    fn leave(&mut self, order: OrderId, actor: ActorRef<OrderMsg>) {
        drop(actor.cast(OrderMsg::Passivate));
        self.slots.put(order, Slot::Leaving { order: actor, waiting: Vec::new() });
    }

    pub(super) fn sweep(&mut self) {
        let now = Instant::now();
        let settings = self.shared.settings.clone();
        let idle = Duration::from_millis(settings.config.orders.idle_ms);
        let stale = |touched: &Instant| now.duration_since(*touched) >= idle;
        while let Some((_, Slot::Live { touched, .. })) = self.slots.peek_lru()
            && stale(touched)
            && let Some((order, Slot::Live { order: actor, .. })) = self.slots.pop_lru()
        {
            self.leave(order, actor);
        }
        let live = self.shared.gate.live.load(Ordering::Relaxed);
        self.evict(live.saturating_sub(settings.config.orders.live_max));
        for windows in [&mut self.crashes, &mut self.troubles] {
            windows.retain(|_, window| !window.is_stale(now, &settings.config.supervision));
        }
    }
}
