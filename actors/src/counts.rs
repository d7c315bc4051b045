//! What a node tells of itself.

use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::metric;

use crate::effects::EffectCounts;
use crate::node::NodeHandle;
use crate::sight;

impl NodeHandle {
    /// What became of effects since the start.
    #[must_use]
    pub fn effects(&self) -> EffectCounts {
        self.shared.orders.effects.counts()
    }

    /// Waits until so many orders have come to their end since the start.
    pub async fn orders_ended(&self, count: u64) {
        self.shared.orders.effects.orders_ended(count).await;
    }

    /// Effects that run, or wait for their retry.
    #[must_use]
    pub fn effects_running(&self) -> usize {
        self.shared.orders.effects.len()
    }

    /// Whether some order still waits for a step, or for people. `None` when that cannot be read now.
    pub async fn has_open_orders(&self) -> Option<bool> {
        let shared = &self.shared.orders;
        for partition in (0..shared.committers.partitions()).filter(|p| shared.held.has(PartitionId(*p))) {
            let ever = TimestampMs(i64::MAX);
            let open = shared.ports.deadlines.list(PartitionId(partition), None, ever, 1).await.ok()?;
            if !open.is_empty() {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Sets the gauges of this node; the counters count by themselves.
    pub fn show(&self) {
        let (config, gate) = (&self.shared.orders.settings.config, &self.shared.orders.gate);
        sight::set(&metric::IN_FLIGHT, gate.in_flight());
        sight::set(&metric::IN_FLIGHT_MAX, config.admission.in_flight_max);
        sight::set(&metric::LIVE_ORDERS, self.live_orders());
        sight::set(&metric::LIVE_ORDERS_MAX, config.orders.live_max);
        sight::set(&metric::PARTITIONS_HELD, self.turns().len());
        metrics::counter!(metric::RESTARTS.name).absolute(self.crashes());
        self.shared.orders.effects.show();
    }

    /// Orders in memory.
    #[must_use]
    pub fn live_orders(&self) -> usize {
        self.shared.orders.gate.live.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Actors that failed since the start, whatever the cause.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.shared.orders.gate.crashes.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Commands let in and not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.orders.gate.in_flight()
    }
}
