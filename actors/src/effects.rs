//! Runs effects: asks participants for what committed states ask for, and brings the outcomes back.
//!
//! Invariants:
//! - An effect begins only from committed state, and ends with a definite outcome, or when another one takes its place.
//! - One effect an order. The same one asked for twice runs once; another one replaces it.
//! - Nothing here is durable, and nothing needs to be: whatever is lost is asked for again under the same key, found in
//!   the index of deadlines.
//! - A participant that does not answer keeps its own orders waiting, and nobody else's: what waits for it counts not against
//!   the backlog that holds new orders back ([`crate::running_effects`]).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ractor::ActorRef;
use retailflow_engine::fulfillment::Effect;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::metric;
use retailflow_engine::ports::Role;
use retailflow_engine::wire::command::Step;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::listed::{AllRunning, Running};
use crate::deliveries::ToOrder;
use crate::deliveries::{Guard, Task};
use crate::effects::attempt::Attempt;
use crate::node_metrics::{self as sight, Sight};
use crate::order::OrderMsg;
use crate::resilience::breaker::Breaker;
use crate::routes::TenantRoutes;
use crate::running_effects::Backlog;
use crate::sweeper::SweeperMsg;
use crate::world::{Ports, ProbePoint, Settings};

/// Of a full backlog, each tenant may have one part in so many all the same.
const SHARES: usize = 16;
/// How far beyond its limit all of these shares may take it.
const SHARES_OVER: usize = 4;
/// Outcomes of late answers on their way at once, for each partition: what is read and recorded at once, not what waits.
const RETURNS_MAX: usize = 16;

/// How an open order stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// A step of it is asked for, or its outcome is being recorded.
    Driven,
    /// It asks for nothing: it waits for a person, or for a participant's report.
    Waits,
    /// Neither, as far as is known here.
    Undriven,
}

#[derive(Default)]
struct Listed {
    running: AllRunning,
    /// Open orders that ask for nothing.
    waiting: HashSet<OrderRef>,
    /// Orders that are woken in a while: each once, however many ask for that.
    waking: HashSet<OrderRef>,
}

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
    pub(crate) sight: Arc<Sight>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) node: Semaphore,
    bulkheads: [Semaphore; Role::ALL.len()],
    breakers: [Breaker; Role::ALL.len()],
    /// By participant: it was said that it does not answer.
    away: [AtomicBool; Role::ALL.len()],
    /// By partition: outcomes on their way to orders that may have left memory.
    turns: Vec<Arc<Semaphore>>,
    routes: Arc<TenantRoutes>,
    listed: Mutex<Listed>,
    numbers: AtomicU64,
    tasks: TaskTracker,
    closed: AtomicBool,
    closing: CancellationToken,
    /// Effects that have not failed yet.
    pub(crate) backlog: Backlog,
    /// Some open orders may have nobody who drives them: look through the index of deadlines.
    left_behind: AtomicBool,
    /// Who looks.
    sweeper: Mutex<Option<ActorRef<SweeperMsg>>>,
    /// Orders that came to their end, and who waits for that.
    orders: AtomicU64,
    order_ended: Notify,
    /// Orders that were found driven by nobody.
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
        sight: Arc<Sight>,
    ) -> Self {
        let config = &settings.config.effects;
        let bulkheads = Role::ALL.map(|_| Semaphore::new(config.participant_in_flight_max));
        let breakers = Role::ALL.map(|_| Breaker::new(config, ports.rng.clone()));
        let closed = AtomicBool::new(!settings.drives_effects);
        let backlog = Backlog::new(config.backlog_max);
        let turns =
            (0..ports.log.identity().partitions).map(|_| Arc::new(Semaphore::new(RETURNS_MAX))).collect();
        Self {
            node: Semaphore::new(config.in_flight_max),
            bulkheads,
            away: Role::ALL.map(|_| AtomicBool::new(false)),
            turns,
            breakers,
            sight,
            ports,
            settings,
            routes,
            listed: Mutex::default(),
            numbers: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            closed,
            closing: CancellationToken::new(),
            backlog,
            left_behind: AtomicBool::new(true),
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

    /// Nothing is driven: by a node that only takes commands in, or that stops.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn bulkhead(&self, role: Role) -> &Semaphore {
        &self.bulkheads[role as usize]
    }

    /// A call of a participant ended. Says once that it is left alone, and once that it answers again.
    pub(crate) fn called(&self, role: Role, is_well: bool) {
        let away = &self.away[role as usize];
        if !is_well && self.breaker(role).is_open() && !away.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "participant_away",
                participant = role.as_str(),
                "a participant does not answer, or fails again and again: it is left alone but for one call at a time; its orders wait, and \
                 new ones are taken"
            );
        } else if is_well
            && away.load(Ordering::Relaxed)
            && !self.breaker(role).is_open()
            && away.swap(false, Ordering::Relaxed)
        {
            tracing::info!(
                event = "participant_back",
                participant = role.as_str(),
                "a participant answers again"
            );
        }
    }

    /// Participants that are left alone now.
    pub(crate) fn away(&self) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| self.away[*role as usize].load(Ordering::Relaxed)).collect()
    }

    pub(crate) fn breaker(&self, role: Role) -> &Breaker {
        &self.breakers[role as usize]
    }

    /// Sees to it that `effect`, and no other, runs for its order. `order`: who asks, and hears of the outcome.
    pub(crate) fn drive(self: &Arc<Self>, effect: Effect, order: &ActorRef<OrderMsg>) {
        let (new, other) = self.list(&effect);
        // Whatever ends or begins a task does so without the lock: a runtime that closes drops tasks here and now, and
        // their guards take it.
        if let Some(other) = other {
            other.task.cancel();
        }
        let Some((guard, task)) = new else { return };
        let abort = self.tasks.spawn(run(guard, effect, order.clone())).abort_handle();
        task.spawned(abort);
    }

    /// Puts an effect into the list unless it is there already, and takes the order's other one out of it.
    fn list(self: &Arc<Self>, effect: &Effect) -> (Option<(Guard, Arc<Task>)>, Option<Running>) {
        let reference = &effect.request.order;
        let mut listed = self.listed.lock();
        let Listed { running, waiting, .. } = &mut *listed;
        if !waiting.is_empty() {
            waiting.remove(reference);
        }
        if running.get(reference).is_some_and(|other| other.is_of(effect)) {
            return (None, None);
        }
        let other = running.remove(reference);
        if self.is_closed() {
            return (None, other);
        }
        if running.len() >= self.settings.config.effects.waiting_max {
            self.left_behind.store(true, Ordering::Release);
            return (None, other);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let role = Role::of(effect.request.step);
        self.backlog.begin(role);
        let task = Arc::<Task>::default();
        let (at, mode, doubted) = (effect.at.clone(), effect.mode, effect.doubted);
        running.insert(reference.clone(), Running { at, mode, doubted, number, task: task.clone() });
        drop(listed);
        let guard = Guard::new(self.clone(), (reference.clone(), role), number, task.clone());
        (Some((guard, task)), other)
    }

    /// The order asks for nothing any more.
    pub(crate) fn rest(&self, order: &OrderRef) {
        let mut listed = self.listed.lock();
        let other = listed.running.remove(order);
        if !listed.waiting.is_empty() {
            listed.waiting.remove(order);
        }
        drop(listed);
        if let Some(other) = other {
            other.task.cancel();
        }
    }

    /// It asks for nothing, and is open: it waits for a person, or for a report.
    pub(crate) fn waits(&self, order: &OrderRef) {
        self.rest(order);
        let mut listed = self.listed.lock();
        if listed.waiting.len() < self.settings.config.effects.waiting_max {
            listed.waiting.insert(order.clone());
        }
    }

    /// How an open order stands.
    pub(crate) fn stands(&self, order: &OrderRef) -> Stands {
        let listed = self.listed.lock();
        match () {
            () if listed.running.get(order).is_some() || listed.waking.contains(order) => Stands::Driven,
            () if listed.waiting.contains(order) => Stands::Waits,
            () => Stands::Undriven,
        }
    }

    /// Can it be said of an order that nobody drives it? Not where there are more than may be driven or remembered.
    pub(crate) fn judges(&self) -> bool {
        let max = self.settings.config.effects.waiting_max;
        let listed = self.listed.lock();
        let has_room = listed.running.len() < max && listed.waiting.len() < max;
        drop(listed);
        has_room && !self.is_closed() && !self.backlog.is_full() && !self.left_behind.load(Ordering::Acquire)
    }

    /// Nothing of this partition is driven here any more. What was under way is driven again by its next owner, under the
    /// same keys.
    pub(crate) fn depart(&self, partition: PartitionId, partitions: u16) {
        let leaves = |order: &OrderRef| partition_of(order, partitions) == partition;
        let mut listed = self.listed.lock();
        listed.waiting.retain(|order| !leaves(order));
        listed.waking.retain(|order| !leaves(order));
        let left = listed.running.extract(leaves);
        drop(listed);
        left.iter().for_each(|running| running.task.cancel());
    }

    /// Is an attempt running whose outcome goes straight to the order's actor?
    pub(crate) fn is_attempting(&self, order: &OrderRef) -> bool {
        self.listed.lock().running.get(order).is_some_and(|running| !running.task.is_slow())
    }

    /// Does an effect of the order run, or wait for its retry?
    pub(crate) fn is_driving(&self, order: &OrderRef) -> bool {
        self.listed.lock().running.get(order).is_some()
    }

    /// How many effects run or wait.
    pub(crate) fn len(&self) -> usize {
        self.listed.lock().running.len()
    }

    /// Lets a new order of `tenant` in, if there is room for one: while there is none, for those whose tenant has not used up its
    /// share. So one that places more than the node can drive is refused before all others.
    pub(crate) fn try_enter(&self, tenant: &TenantId) -> bool {
        self.backlog.try_enter() || {
            let max = self.settings.config.effects.backlog_max;
            let listed = self.listed.lock();
            self.backlog.len() < max.saturating_mul(SHARES_OVER)
                && listed.running.of_tenant(tenant) < (max / SHARES).max(1)
        }
    }

    /// Is it worth while to look for orders that nobody drives? Not while there is no room for a good part of them: each look
    /// goes through all that are driven, too.
    pub(crate) fn has_room(&self) -> bool {
        let max = self.settings.config.effects.waiting_max;
        self.len() < max - max / 8
    }

    /// An order came to its end.
    pub(crate) fn order_ended(&self) {
        self.orders.fetch_add(1, Ordering::Relaxed);
        self.backlog.order_ended();
        self.order_ended.notify_waiters();
        self.sight.orders_ended.increment(1);
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

    /// From now on someone may have been left behind: the next look goes through all open orders.
    pub(crate) fn leave_behind(&self) {
        self.left_behind.store(true, Ordering::Release);
    }

    /// Runs something beside effects, until it ends or they do.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks.spawn(async move { closing.run_until_cancelled(task).await });
    }

    /// Has an order looked after in a while, whether or not it is in memory then.
    pub(crate) fn wake_later(self: &Arc<Self>, order: OrderRef, after: Duration) {
        let mut listed = self.listed.lock();
        if listed.waking.len() >= self.settings.config.effects.waiting_max {
            drop(listed);
            return self.leave_behind();
        }
        let is_first = listed.waking.insert(order.clone());
        drop(listed);
        if !is_first {
            return;
        }
        let effects = self.clone();
        self.spawn(async move {
            tokio::time::sleep(after).await;
            effects.listed.lock().waking.remove(&order);
            effects.to_order(order, ToOrder::Wake);
        });
    }

    /// Who looks through them.
    pub(crate) fn swept_by(&self, sweeper: ActorRef<SweeperMsg>) {
        *self.sweeper.lock() = Some(sweeper);
    }

    /// This partition is ours from now on: its open orders are looked through at once.
    pub(crate) fn taken(&self, partition: PartitionId) {
        let sweeper = self.sweeper.lock().clone();
        let told = sweeper.is_some_and(|sweeper| sweeper.cast(SweeperMsg::Taken(partition)).is_ok());
        if !told {
            self.leave_behind();
        }
    }

    /// Whether a look through all open orders is due; asked once for each look.
    pub(crate) fn take_left_behind(&self) -> bool {
        self.left_behind.swap(false, Ordering::AcqRel)
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

    /// Begins nothing new and ends what runs. What was asked for and not answered is asked for again by whoever comes
    /// next, under the same keys.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.cancel();
        let running = std::mem::take(&mut self.listed.lock().running);
        running.values().for_each(|running| running.task.cancel());
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Sets the gauges of what is under way.
    pub(crate) fn show(&self) {
        let mut by_step = BTreeMap::new();
        for running in self.listed.lock().running.values() {
            *by_step.entry(running.at.step).or_insert(0) += 1;
        }
        for step in Step::ALL {
            sight::set_of(&metric::SAGAS, step.as_str(), by_step.get(&step).copied().unwrap_or(0));
        }
        sight::set(&metric::EFFECTS_BACKLOG, self.backlog.len());
        sight::set(&metric::EFFECTS_BACKLOG_MAX, self.settings.config.effects.backlog_max);
        for role in Role::ALL {
            sight::breaker_open(role, self.breaker(role).is_open());
        }
    }

    /// Effect `number` of an order is over. Was it still the one that is wanted?
    pub(crate) fn ended(&self, order: &OrderRef, number: u64) -> bool {
        let mut listed = self.listed.lock();
        let is_listed = listed.running.get(order).is_some_and(|running| running.number == number);
        let ended = if is_listed { listed.running.remove(order) } else { None };
        drop(listed);
        ended.is_some()
    }

    /// The order's turn to be read, for what its participant answered late. `None` only where there are no turns.
    pub(crate) async fn turn(&self, order: &OrderRef) -> Option<OwnedSemaphorePermit> {
        let partition = partition_of(order, u16::try_from(self.turns.len()).ok()?);
        self.turns.get(usize::from(partition.0))?.clone().acquire_owned().await.ok()
    }

    /// Sends a message of the engine's own to an order, through its tenant.
    pub(crate) fn to_order(&self, order: OrderRef, message: ToOrder) {
        self.routes.to_order(order, message);
    }
}

async fn run(mut guard: Guard, effect: Effect, order: ActorRef<OrderMsg>) {
    let effects = guard.effects.clone();
    let name = || effect.request.order.to_string();
    if effects.settings.probe(ProbePoint::EffectBefore, name).is_err() {
        return;
    }
    let outcome = Attempt::new(&effects, &effect).run(&mut guard).await;
    if effects.settings.probe(ProbePoint::EffectAfter, name).is_err() {
        return;
    }
    effects.sight.effect(effect.request.step, &outcome);
    effects.outcomes.fetch_add(1, Ordering::Relaxed);
    guard.deliver(effect.at, outcome, &order).await;
}

/// The wait before a call that a breaker refused is tried again, at least.
pub(crate) const BREAKER_WAIT_MIN: Duration = Duration::from_millis(1);

pub(crate) mod attempt;
mod listed;
#[cfg(test)]
mod tests;
