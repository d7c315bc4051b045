//! The list of the effects that run, and of the open orders that ask for none.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use retailflow_engine::fulfillment::Effect;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::LastWords;
use retailflow_engine::ports::Role;
use retailflow_engine::wire::command::Step;

use super::backlog::Backlog;
use super::by_order::{EffectsByOrder, RunningEffect};
use super::task::EffectTask;

/// Of a full backlog, each tenant may have one part in so many all the same.
const SHARES: usize = 16;
/// How far beyond its limit all of these shares may take it.
const SHARES_OVER: usize = 4;

/// Whether an open order is driven here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DriveStatus {
    /// An effect of it runs, or its outcome is being recorded.
    Driven,
    /// It asks for nothing: it waits for a person, or for a participant's report.
    Waiting,
    /// Neither, as far as this node knows.
    Undriven,
}

#[derive(Default)]
struct EffectList {
    running: EffectsByOrder,
    /// Open orders that ask for nothing.
    waiting: HashSet<OrderRef>,
    /// Orders with a scheduled wake-up, one each.
    waking: HashSet<OrderRef>,
}

/// The running effects of a node.
pub(crate) struct RunningEffects {
    /// As many may run, or wait for their retry.
    waiting_max: usize,
    backlog_max: usize,
    list: Mutex<EffectList>,
    numbers: AtomicU64,
    closed: AtomicBool,
    /// Effects that have not failed yet.
    pub(crate) backlog: Backlog,
    /// Some open orders may be undriven: the next sweep scans the index of deadlines.
    rescan_needed: AtomicBool,
}

/// An effect that is new in the list.
pub(crate) struct NewEffect {
    pub(crate) number: u64,
    pub(crate) role: Role,
    pub(crate) task: Arc<EffectTask>,
}

impl RunningEffects {
    /// Of a node with these limits; `closed`: nothing is driven.
    pub(crate) fn new(effects: &retailflow_config::Effects, closed: bool) -> Self {
        Self {
            waiting_max: effects.waiting_max,
            backlog_max: effects.backlog_max,
            list: Mutex::default(),
            numbers: AtomicU64::new(0),
            closed: AtomicBool::new(closed),
            backlog: Backlog::new(effects.backlog_max),
            rescan_needed: AtomicBool::new(true),
        }
    }

    /// Nothing is driven: by a node that only takes commands in, or that stops.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Puts an effect into the list unless it is there already, and takes the order's other one out of it: that one is to be canceled, by
    /// whoever holds no lock.
    pub(crate) fn list(&self, effect: &Effect) -> (Option<NewEffect>, Option<Arc<EffectTask>>) {
        let reference = &effect.request.order;
        let mut list = self.list.lock();
        let EffectList { running, waiting, .. } = &mut *list;
        if !waiting.is_empty() {
            waiting.remove(reference);
        }
        if running.get(reference).is_some_and(|other| other.is_of(effect)) {
            return (None, None);
        }
        let other = running.remove(reference).map(|other| other.task);
        if self.is_closed() {
            return (None, other);
        }
        if running.len() >= self.waiting_max {
            self.rescan_needed.store(true, Ordering::Release);
            return (None, other);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let role = Role::of(effect.request.step);
        self.backlog.begin(role);
        let task = Arc::<EffectTask>::default();
        running.insert(reference.clone(), RunningEffect::new(effect, number, task.clone()));
        (Some(NewEffect { number, role, task }), other)
    }

    /// The order asks for no effect any more: cancels its running one.
    pub(crate) fn cancel(&self, order: &OrderRef) {
        let mut list = self.list.lock();
        let other = list.running.remove(order);
        if !list.waiting.is_empty() {
            list.waiting.remove(order);
        }
        drop(list);
        if let Some(other) = other {
            other.task.cancel();
        }
    }

    /// The order is open and asks for no effect: it waits for an operator, or for a participant's report.
    pub(crate) fn set_waiting(&self, order: &OrderRef) {
        self.cancel(order);
        let mut list = self.list.lock();
        if list.waiting.len() < self.waiting_max {
            list.waiting.insert(order.clone());
        }
    }

    /// Whether an open order is driven.
    pub(crate) fn drive_status(&self, order: &OrderRef) -> DriveStatus {
        let list = self.list.lock();
        match () {
            () if list.running.get(order).is_some() || list.waking.contains(order) => DriveStatus::Driven,
            () if list.waiting.contains(order) => DriveStatus::Waiting,
            () => DriveStatus::Undriven,
        }
    }

    /// Whether an order that is not in the list is undriven for sure. Not where there are more than may run or be remembered.
    pub(crate) fn is_conclusive(&self) -> bool {
        let max = self.waiting_max;
        let list = self.list.lock();
        let has_room = list.running.len() < max && list.waiting.len() < max;
        drop(list);
        has_room
            && !self.is_closed()
            && !self.backlog.is_full()
            && !self.rescan_needed.load(Ordering::Acquire)
    }

    /// Cancels all effects of a partition. Its next owner drives them again under the same keys.
    pub(crate) fn abort_partition(&self, partition: PartitionId, partitions: u16) {
        let leaves = |order: &OrderRef| partition_of(order, partitions) == partition;
        let mut list = self.list.lock();
        list.waiting.retain(|order| !leaves(order));
        list.waking.retain(|order| !leaves(order));
        let left = list.running.extract(leaves);
        drop(list);
        left.iter().for_each(|running| running.task.cancel());
    }

    /// What the participant of an order's step said last, or what kept it from answering.
    pub(crate) fn last_words(&self, order: &OrderRef) -> Option<LastWords> {
        let task = self.list.lock().running.get(order).map(|running| running.task.clone())?;
        let (reason, calls) = task.last_words();
        reason.map(|reason| LastWords { reason, calls })
    }

    /// Is an attempt running whose outcome goes straight to the order's actor?
    pub(crate) fn is_attempting(&self, order: &OrderRef) -> bool {
        self.list.lock().running.get(order).is_some_and(|running| !running.task.is_slow())
    }

    /// Does an effect of the order run, or wait for its retry?
    pub(crate) fn is_driving(&self, order: &OrderRef) -> bool {
        self.list.lock().running.get(order).is_some()
    }

    /// How many effects run or wait.
    pub(crate) fn len(&self) -> usize {
        self.list.lock().running.len()
    }

    /// Whether a scan for undriven orders is worth while. Not while there is no room for a good part of them: each scan reads all driven
    /// orders, too.
    pub(crate) fn has_room(&self) -> bool {
        let max = self.waiting_max;
        self.len() < max - max / 8
    }

    /// Some order may be undriven from now on: the next sweep scans all open orders.
    pub(crate) fn request_rescan(&self) {
        self.rescan_needed.store(true, Ordering::Release);
    }

    /// Takes the request for a scan of all open orders, if there is one.
    pub(crate) fn take_rescan_request(&self) -> bool {
        self.rescan_needed.swap(false, Ordering::AcqRel)
    }

    /// Effect `number` of an order has ended. Whether it was still the listed one.
    pub(crate) fn remove(&self, order: &OrderRef, number: u64) -> bool {
        let mut list = self.list.lock();
        let is_listed = list.running.get(order).is_some_and(|running| running.number == number);
        let ended = if is_listed { list.running.remove(order) } else { None };
        drop(list);
        ended.is_some()
    }

    /// Lets a new order of `tenant` in, if there is room for one: while there is none, for those whose tenant has not used up its
    /// share. So one that places more than the node can drive is refused before all others.
    pub(crate) fn try_enter(&self, tenant: &TenantId) -> bool {
        self.backlog.try_enter() || self.has_share(tenant)
    }

    /// Would a new order of `tenant` be let in? Those that are let in for others that ended are not counted on.
    pub(crate) fn lets_in(&self, tenant: &TenantId) -> bool {
        !self.backlog.is_full() || self.has_share(tenant)
    }

    fn has_share(&self, tenant: &TenantId) -> bool {
        let list = self.list.lock();
        self.backlog.len() < self.backlog_max.saturating_mul(SHARES_OVER)
            && list.running.of_tenant(tenant) < (self.backlog_max / SHARES).max(1)
    }

    /// An order is to be woken in a while. `None`: there is no room to remember it; `false`: it is woken already.
    pub(crate) fn begin_waking(&self, order: &OrderRef) -> Option<bool> {
        let mut list = self.list.lock();
        (list.waking.len() < self.waiting_max).then(|| list.waking.insert(order.clone()))
    }

    /// It is woken now.
    pub(crate) fn end_waking(&self, order: &OrderRef) {
        self.list.lock().waking.remove(order);
    }

    /// Takes nothing more in.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Cancels what runs.
    pub(crate) fn cancel_all(&self) {
        let running = std::mem::take(&mut self.list.lock().running);
        running.values().for_each(|running| running.task.cancel());
    }

    /// How many run of each step.
    pub(crate) fn by_step(&self) -> BTreeMap<Step, usize> {
        let mut by_step = BTreeMap::new();
        for running in self.list.lock().running.values() {
            *by_step.entry(running.at.step).or_insert(0) += 1;
        }
        by_step
    }
}
