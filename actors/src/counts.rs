//! What a node tells of itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::metric;
use retailflow_engine::ports::Role;
use retailflow_engine::wire::Code;

use crate::effects::EffectCounts;
use crate::node::NodeHandle;
use crate::node_metrics as sight;
use crate::running_effects::Stands;

/// How the open orders of a node stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// A participant is asked for a step of these.
    pub driven: u64,
    /// These ask for nothing: they wait for a person, or for a participant's report.
    pub waiting: u64,
    /// These ask for a step, or may: nobody drives them.
    pub undriven: u64,
    /// The first of these.
    pub undriven_first: Vec<OrderRef>,
}

/// Orders read at once.
const PAGE: usize = 1_000;
/// Orders that nobody drives that are named.
const NAMED_MAX: usize = 10;

impl NodeHandle {
    /// How the open orders of the partitions held here stand. `None` when that cannot be read now.
    pub async fn standing(&self) -> Option<Standing> {
        let shared = &self.shared.orders;
        let mut standing = Standing::default();
        for partition in (0..shared.committers.partitions()).map(PartitionId) {
            let mut after = None;
            while shared.held.has(partition) {
                let ever = TimestampMs(i64::MAX);
                let page = shared.ports.deadlines.list(partition, after.as_ref(), ever, PAGE).await.ok()?;
                page.iter()
                    .for_each(|due| standing.count(&due.order, shared.effects.running.stands(&due.order)));
                after = page.last().cloned().filter(|_| page.len() == PAGE);
                if after.is_none() {
                    break;
                }
            }
        }
        Some(standing)
    }

    /// Open orders that were found driven by nobody since the start: a fault, each named in the log.
    #[must_use]
    pub fn found_undriven(&self) -> u64 {
        self.shared.orders.effects.undriven.load(Ordering::Relaxed)
    }

    /// Has all open orders looked through: whoever is driven by nobody is driven then.
    pub fn look_through(&self) {
        self.shared.orders.effects.running.leave_behind();
    }

    /// What became of effects since the start.
    #[must_use]
    pub fn effects(&self) -> EffectCounts {
        self.shared.orders.effects.counts()
    }

    /// Waits until so many orders have come to their end since the start.
    pub async fn orders_ended(&self, count: u64) {
        self.shared.orders.effects.orders_ended(count).await;
    }

    /// Participants that are left alone, because they do not answer or fail again and again.
    #[must_use]
    pub fn participants_away(&self) -> Vec<Role> {
        self.shared.orders.effects.away()
    }

    /// Effects that run, or wait for their retry.
    #[must_use]
    pub fn effects_running(&self) -> usize {
        self.shared.orders.effects.running.len()
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

    /// Partitions run here of which every command is refused, because their log lost what it had acknowledged: they go on when people
    /// have looked, and the node takes them over again.
    #[must_use]
    pub fn stopped(&self) -> Vec<PartitionId> {
        self.shared.orders.held.stopped()
    }

    /// Partitions run here whose log takes nothing for now, how their commands are refused meanwhile ([`Code::StorageFull`],
    /// [`Code::OutOfFiles`]), and for how long by now. Each is tried once a second, so that it is not named any more, without a
    /// command that comes, when there is room again.
    #[must_use]
    pub fn refusing(&self) -> Vec<(PartitionId, Code, Duration)> {
        self.shared.orders.held.refusing()
    }

    /// Sets the gauges of this node; the counters count by themselves.
    pub fn show(&self) {
        let (config, gate) = (&self.shared.orders.settings.config, &self.shared.orders.gate);
        sight::set(&metric::IN_FLIGHT, gate.in_flight());
        sight::set(&metric::IN_FLIGHT_MAX, config.admission.in_flight_max);
        sight::set(&metric::LIVE_ORDERS, self.live_orders());
        sight::set(&metric::LIVE_ORDERS_MAX, config.orders.live_max);
        sight::set(&metric::PARTITIONS_HELD, self.turns().len());
        sight::set(&metric::PARTITIONS_STOPPED, self.stopped().len());
        metrics::counter!(metric::RESTARTS.name).absolute(self.crashes());
        self.shared.orders.effects.show();
    }

    /// Orders in memory.
    #[must_use]
    pub fn live_orders(&self) -> usize {
        self.shared.orders.residents.live()
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

impl Standing {
    fn count(&mut self, order: &OrderRef, stands: Stands) {
        match stands {
            Stands::Driven => self.driven += 1,
            Stands::Waits => self.waiting += 1,
            Stands::Undriven => {
                self.undriven += 1;
                if self.undriven_first.len() < NAMED_MAX {
                    self.undriven_first.push(order.clone());
                }
            }
        }
    }
}
