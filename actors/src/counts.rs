//! What a node counts and reports.

use std::sync::atomic::Ordering;
use std::time::Duration;

use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::metric;
use retailflow_engine::ports::Role;
use retailflow_engine::wire::Code;

use crate::effects::EffectCounts;
use crate::node::NodeHandle;
use crate::node_metrics;
use crate::running_effects::DriveStatus;

/// The open orders of a node, by whether they are driven.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenOrderCounts {
    /// A participant is asked for a step of these.
    pub driven: u64,
    /// These ask for nothing: they wait for a person, or for a participant's report.
    pub waiting: u64,
    /// These ask for a step, or may, and are undriven.
    pub undriven: u64,
    /// The first of these.
    pub undriven_first: Vec<OrderRef>,
}

/// Orders read at once.
const PAGE: usize = 1_000;
/// Undriven orders that are named.
const NAMED_MAX: usize = 10;

impl NodeHandle {
    /// The open orders of this node's partitions. `None` when they cannot be read now.
    pub async fn open_order_counts(&self) -> Option<OpenOrderCounts> {
        let shared = &self.shared.orders;
        let mut counts = OpenOrderCounts::default();
        for partition in (0..shared.committers.partitions()).map(PartitionId) {
            let mut after = None;
            while shared.table.owns(partition) {
                let ever = TimestampMs(i64::MAX);
                let page = shared.ports.deadlines.list(partition, after.as_ref(), ever, PAGE).await.ok()?;
                page.iter().for_each(|due| {
                    counts.count(&due.order, shared.effects.running.drive_status(&due.order))
                });
                after = page.last().cloned().filter(|_| page.len() == PAGE);
                if after.is_none() {
                    break;
                }
            }
        }
        Some(counts)
    }

    /// Open orders that were found undriven since the start: a fault, each named in the log.
    #[must_use]
    pub fn undriven_found(&self) -> u64 {
        self.shared.orders.effects.undriven.load(Ordering::Relaxed)
    }

    /// Requests a scan of all open orders: undriven ones are driven then.
    pub fn request_rescan(&self) {
        self.shared.orders.effects.running.request_rescan();
    }

    /// What became of effects since the start.
    #[must_use]
    pub fn effect_counts(&self) -> EffectCounts {
        self.shared.orders.effects.counts()
    }

    /// Waits until so many orders have come to their end since the start.
    pub async fn wait_orders_ended(&self, count: u64) {
        self.shared.orders.effects.orders_ended(count).await;
    }

    /// Participants that are left alone, because they do not answer or fail again and again.
    #[must_use]
    pub fn unavailable_participants(&self) -> Vec<Role> {
        self.shared.orders.effects.unavailable()
    }

    /// Effects that run, or wait for their retry.
    #[must_use]
    pub fn effects_running(&self) -> usize {
        self.shared.orders.effects.running.len()
    }

    /// Whether some order still waits for a step, or for people. `None` when that cannot be read now.
    pub async fn has_open_orders(&self) -> Option<bool> {
        let shared = &self.shared.orders;
        for partition in (0..shared.committers.partitions()).filter(|p| shared.table.owns(PartitionId(*p))) {
            let ever = TimestampMs(i64::MAX);
            let open = shared.ports.deadlines.list(PartitionId(partition), None, ever, 1).await.ok()?;
            if !open.is_empty() {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Partitions run here of which every command is refused, because their log lost what it had acknowledged: they go on when people
    /// have looked, and the node takes them over again.
    #[must_use]
    pub fn stopped_partitions(&self) -> Vec<PartitionId> {
        self.shared.orders.table.stopped()
    }

    /// Partitions run here whose log takes nothing for now, how their commands are refused meanwhile ([`Code::StorageFull`],
    /// [`Code::OutOfFiles`]), and for how long by now. Each is tried once a second, so that it is not named any more, without a
    /// command that comes, when there is room again.
    #[must_use]
    pub fn refusing_partitions(&self) -> Vec<(PartitionId, Code, Duration)> {
        self.shared.orders.table.refusing()
    }

    /// Sets the gauges of this node; the counters count by themselves.
    pub fn publish_gauges(&self) {
        let (config, admission) = (&self.shared.orders.settings.config, &self.shared.orders.admission);
        node_metrics::set(&metric::IN_FLIGHT, admission.in_flight());
        node_metrics::set(&metric::IN_FLIGHT_MAX, config.admission.in_flight_max);
        node_metrics::set(&metric::LIVE_ORDERS, self.live_orders());
        node_metrics::set(&metric::LIVE_ORDERS_MAX, config.orders.live_max);
        node_metrics::set(&metric::PARTITIONS_HELD, self.terms().len());
        node_metrics::set(&metric::PARTITIONS_STOPPED, self.stopped_partitions().len());
        metrics::counter!(metric::RESTARTS.name).absolute(self.crashes());
        self.shared.orders.effects.publish_gauges();
    }

    /// Orders in memory.
    #[must_use]
    pub fn live_orders(&self) -> usize {
        self.shared.orders.residents.live()
    }

    /// Actors that failed since the start, whatever the cause.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.shared.orders.admission.crashes.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Commands let in and not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.orders.admission.in_flight()
    }
}

impl OpenOrderCounts {
    fn count(&mut self, order: &OrderRef, status: DriveStatus) {
        match status {
            DriveStatus::Driven => self.driven += 1,
            DriveStatus::Waiting => self.waiting += 1,
            DriveStatus::Undriven => {
                self.undriven += 1;
                if self.undriven_first.len() < NAMED_MAX {
                    self.undriven_first.push(order.clone());
                }
            }
        }
    }
}
