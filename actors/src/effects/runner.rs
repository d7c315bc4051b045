//! The runner of a node's effects: who may be called, how often, and what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ractor::ActorRef;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::metric;
use retailflow_engine::ports::Role;
use retailflow_engine::wire::command::Step;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::messages::{OrderNotice, SweeperMsg};
use crate::node_metrics::{self, NodeMetrics};
use crate::resilience::breaker::Breaker;
use crate::routes::TenantRoutes;
use crate::running_effects::RunningEffects;
use crate::world::{Ports, Settings};

/// Outcomes of late answers on their way at once, for each partition: what is read and recorded at once, not what waits.
const RETURNS_MAX: usize = 16;

/// What became of effects since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EffectCounts {
    /// Orders that were completed or canceled.
    pub orders: u64,
    /// Effects that ended with an outcome.
    pub ended: u64,
    /// Calls of participants.
    pub calls: u64,
    /// Calls that failed, were not answered, or whose outcome is not known.
    pub retries: u64,
    /// Doubts that were settled.
    pub settled: u64,
}

/// The runner of a node's effects.
pub(crate) struct Effects {
    pub(crate) ports: Ports,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) node: Semaphore,
    bulkheads: [Semaphore; Role::ALL.len()],
    breakers: [Breaker; Role::ALL.len()],
    /// By participant: whether its open breaker was logged.
    unavailable: [AtomicBool; Role::ALL.len()],
    /// By partition: permits for outcomes on their way to orders that may have left memory.
    return_permits: Vec<Arc<Semaphore>>,
    routes: Arc<TenantRoutes>,
    pub(crate) running: Arc<RunningEffects>,
    pub(super) tasks: TaskTracker,
    closing: CancellationToken,
    /// The sweeper, which scans open orders.
    sweeper: Mutex<Option<ActorRef<SweeperMsg>>>,
    /// Orders that came to their end, and who waits for that.
    orders: AtomicU64,
    order_ended: Notify,
    /// Orders that the sweeper found undriven.
    pub(crate) undriven: AtomicU64,
    pub(crate) outcomes: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) settled: AtomicU64,
}

impl Effects {
    pub(crate) fn new(
        ports: Ports,
        settings: Arc<Settings>,
        routes: Arc<TenantRoutes>,
        metrics: Arc<NodeMetrics>,
    ) -> Self {
        let config = &settings.config.effects;
        let bulkheads = Role::ALL.map(|_| Semaphore::new(config.participant_in_flight_max));
        let breakers = Role::ALL.map(|_| Breaker::new(config, ports.rng.clone()));
        let running = Arc::new(RunningEffects::new(config, !settings.drives_effects));
        let return_permits =
            (0..ports.log.identity().partitions).map(|_| Arc::new(Semaphore::new(RETURNS_MAX))).collect();
        Self {
            node: Semaphore::new(config.in_flight_max),
            bulkheads,
            unavailable: Role::ALL.map(|_| AtomicBool::new(false)),
            return_permits,
            breakers,
            metrics,
            ports,
            settings,
            routes,
            running,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            sweeper: Mutex::default(),
            orders: AtomicU64::new(0),
            order_ended: Notify::new(),
            undriven: AtomicU64::new(0),
            outcomes: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            settled: AtomicU64::new(0),
        }
    }

    pub(crate) fn bulkhead(&self, role: Role) -> &Semaphore {
        &self.bulkheads[role as usize]
    }

    /// A call of a participant ended. Logs once that its breaker opened, and once that it answers again.
    pub(crate) fn record_call(&self, role: Role, is_well: bool) {
        let unavailable = &self.unavailable[role as usize];
        if !is_well && self.breaker(role).is_open() && !unavailable.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "participant_away",
                participant = role.as_str(),
                "a participant does not answer, or fails again and again: it is left alone but for one call at a time; its orders wait, and \
                 new ones are taken"
            );
        } else if is_well
            && unavailable.load(Ordering::Relaxed)
            && !self.breaker(role).is_open()
            && unavailable.swap(false, Ordering::Relaxed)
        {
            tracing::info!(
                event = "participant_back",
                participant = role.as_str(),
                "a participant answers again"
            );
        }
    }

    /// Participants whose breaker is open.
    pub(crate) fn unavailable(&self) -> Vec<Role> {
        Role::ALL
            .into_iter()
            .filter(|role| self.unavailable[*role as usize].load(Ordering::Relaxed))
            .collect()
    }

    pub(crate) fn breaker(&self, role: Role) -> &Breaker {
        &self.breakers[role as usize]
    }

    /// An order came to its end.
    pub(crate) fn order_ended(&self) {
        self.orders.fetch_add(1, Ordering::Relaxed);
        self.running.backlog.order_ended();
        self.order_ended.notify_waiters();
        self.metrics.orders_ended.increment(1);
    }

    /// Waits until so many orders have come to their end.
    pub(crate) async fn orders_ended(&self, count: u64) {
        loop {
            let ended = self.order_ended.notified();
            if self.orders.load(Ordering::Relaxed) >= count {
                return;
            }
            ended.await;
        }
    }

    /// Runs something beside effects, until it ends or they do.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks.spawn(async move { closing.run_until_cancelled(task).await });
    }

    /// Wakes an order after a delay, whether or not it is in memory then.
    pub(crate) fn wake_later(self: &Arc<Self>, order: OrderRef, after: Duration) {
        match self.running.begin_waking(&order) {
            None => return self.running.request_rescan(),
            Some(false) => return,
            Some(true) => {}
        }
        let effects = self.clone();
        self.spawn(async move {
            tokio::time::sleep(after).await;
            effects.running.end_waking(&order);
            effects.notify_order(order, OrderNotice::Wake);
        });
    }

    /// Sets the sweeper to notify.
    pub(crate) fn set_sweeper(&self, sweeper: ActorRef<SweeperMsg>) {
        *self.sweeper.lock() = Some(sweeper);
    }

    /// The partition was acquired: scans its open orders at once.
    pub(crate) fn partition_acquired(&self, partition: PartitionId) {
        let sweeper = self.sweeper.lock().clone();
        let sent =
            sweeper.is_some_and(|sweeper| sweeper.cast(SweeperMsg::PartitionAcquired(partition)).is_ok());
        if !sent {
            self.running.request_rescan();
        }
    }

    pub(crate) fn counts(&self) -> EffectCounts {
        EffectCounts {
            orders: self.orders.load(Ordering::Relaxed),
            ended: self.outcomes.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            settled: self.settled.load(Ordering::Relaxed),
        }
    }

    /// Starts nothing new and cancels what runs. The next owner repeats unanswered calls under the same keys.
    pub(crate) async fn close(&self) {
        self.running.close();
        self.closing.cancel();
        self.running.cancel_all();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Publishes the gauges of running effects.
    pub(crate) fn publish_gauges(&self) {
        let by_step = self.running.by_step();
        for step in Step::ALL {
            node_metrics::set_of(&metric::SAGAS, step.as_str(), by_step.get(&step).copied().unwrap_or(0));
        }
        node_metrics::set(&metric::EFFECTS_BACKLOG, self.running.backlog.len());
        node_metrics::set(&metric::EFFECTS_BACKLOG_MAX, self.settings.config.effects.backlog_max);
        for role in Role::ALL {
            node_metrics::breaker_open(role, self.breaker(role).is_open());
        }
    }

    /// A permit to load the order for a late outcome. `None` only for an unknown partition.
    pub(crate) async fn return_permit(&self, order: &OrderRef) -> Option<OwnedSemaphorePermit> {
        let partition = partition_of(order, u16::try_from(self.return_permits.len()).ok()?);
        self.return_permits.get(usize::from(partition.0))?.clone().acquire_owned().await.ok()
    }

    /// Sends a message of the engine's own to an order, through its tenant.
    pub(crate) fn notify_order(&self, order: OrderRef, message: OrderNotice) {
        self.routes.notify_order(order, message);
    }
}
