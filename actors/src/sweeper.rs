//! Looks for steps that have become due, and for open orders that nobody drives: after a start, a crash, an overflow.
//!
//! The index of deadlines *is* the index of open orders. Most overdue first; never more at once than may run. Only partitions are
//! looked at into which commands are let: before, it is not known which of their orders are parked.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::ports::{DueOrder, StoreError};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::deliveries::EngineNews;
use crate::deliveries::ToOrder;
use crate::effects::Effects;
use crate::held::Held;
use crate::tenants_route::TenantRoutes;
use crate::undriven::{Look, look};

/// Deadlines read at once.
pub(crate) const PAGE: usize = 256;
/// Pages read in one look at what is due; the next look goes on behind them.
const DUE_PAGES_MAX: usize = 16;
/// Pages of open orders that are read at one time, each of another partition.
const READS_MAX: usize = 4;
/// The wait when as many effects run as may.
const FULL_WAIT: Duration = Duration::from_millis(10);

/// What the sweeper is told.
pub(crate) enum SweeperMsg {
    /// Look for what is due.
    Sweep,
    /// This partition is ours from now on: another owner may have left orders on their way.
    Taken(PartitionId),
    /// Some of a partition's open orders.
    Page(PartitionId, Result<Vec<DueOrder>, StoreError>),
    /// Go on looking through all open orders.
    GoOn,
}

pub(crate) struct SweeperArgs {
    pub(crate) effects: Arc<Effects>,
    pub(crate) routes: Arc<TenantRoutes>,
    pub(crate) held: Arc<Held>,
    pub(crate) partitions: u16,
}

pub(crate) struct SweeperState {
    args: Arc<SweeperArgs>,
    /// Partitions whose open orders are to be looked through, each once, and the last one seen.
    walks: VecDeque<(PartitionId, Option<DueOrder>)>,
    /// Those of which a page is being read.
    reading: BTreeSet<PartitionId>,
    /// Those that were asked for while one was.
    anew: BTreeSet<PartitionId>,
    /// Those that could not be read: again with each look, until they can.
    unread: BTreeSet<PartitionId>,
    /// Told to go on in a moment.
    waits: bool,
    /// Of each partition how far a look at what is due has come; locked while one is under way.
    due: Vec<Arc<Mutex<Option<DueOrder>>>>,
    /// The same of a look for those that nobody drives.
    looks: Vec<Arc<Mutex<Look>>>,
}

/// The actor that looks.
pub(crate) struct Sweeper;

impl Actor for Sweeper {
    type Msg = SweeperMsg;
    type State = SweeperState;
    type Arguments = SweeperArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let interval = Duration::from_millis(args.effects.settings.config.effects.sweep_ms.max(1));
        myself.cast(SweeperMsg::Sweep)?;
        myself.send_interval(interval, || SweeperMsg::Sweep);
        args.effects.swept_by(myself);
        let due = (0..args.partitions).map(|_| Arc::default()).collect();
        let looks = (0..args.partitions).map(|_| Arc::default()).collect();
        let (walks, reading, anew, unread) = Default::default();
        Ok(SweeperState { args: Arc::new(args), walks, reading, anew, unread, waits: false, due, looks })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SweeperMsg::Sweep => state.sweep(),
            SweeperMsg::Taken(partition) => state.take_up(partition),
            SweeperMsg::Page(partition, page) => state.wake(partition, page),
            SweeperMsg::GoOn => state.waits = false,
        }
        state.go_on(&myself);
        Ok(())
    }
}

impl SweeperState {
    fn sweep(&mut self) {
        // One that cannot be read now, or takes long, keeps no other waiting; nor is it asked twice at once.
        for (partition, slot) in (0..).map(PartitionId).zip(&self.due) {
            if self.args.held.lets_in(partition)
                && let Ok(slot) = slot.clone().try_lock_owned()
            {
                let args = self.args.clone();
                self.args.effects.spawn(async move { due(&args, partition, slot).await });
            }
        }
        // Those that cannot be read are looked through again and again: they are no reason to wait with the others.
        let is_unread = |partition: &PartitionId| self.unread.contains(partition);
        let at_rest = self.walks.iter().all(|(partition, _)| is_unread(partition))
            && self.reading.iter().all(is_unread);
        if at_rest && self.args.effects.take_left_behind() {
            (0..self.args.partitions).map(PartitionId).for_each(|partition| self.take_up(partition));
        }
        for (partition, slot) in (0..).map(PartitionId).zip(&self.looks) {
            let is_walked = self.reading.contains(&partition)
                || self.walks.iter().any(|(walked, _)| *walked == partition);
            if self.args.held.lets_in(partition)
                && let Ok(mut slot) = slot.clone().try_lock_owned()
            {
                if is_walked {
                    *slot = Look::default();
                    continue;
                }
                let args = self.args.clone();
                self.args.effects.spawn(async move { look(&args, partition, slot).await });
            }
        }
        for partition in self.unread.clone() {
            if !self.walks.iter().any(|(other, _)| *other == partition) && !self.reading.contains(&partition)
            {
                self.walks.push_back((partition, None));
            }
        }
    }

    /// Looks through all open orders of a partition, from the first one.
    fn take_up(&mut self, partition: PartitionId) {
        self.walks.retain(|(other, _)| *other != partition);
        match self.reading.contains(&partition) {
            true => drop(self.anew.insert(partition)),
            false => self.walks.push_back((partition, None)),
        }
    }

    /// Has the next pages read.
    fn go_on(&mut self, myself: &ActorRef<SweeperMsg>) {
        while self.reading.len() < READS_MAX && !self.walks.is_empty() {
            if self.args.effects.is_full() {
                if !std::mem::replace(&mut self.waits, true) {
                    myself.send_after(FULL_WAIT, || SweeperMsg::GoOn);
                }
                return;
            }
            let Some((partition, after)) = self.walks.pop_front() else { return };
            if !self.args.held.lets_in(partition) {
                self.unread.remove(&partition);
                continue;
            }
            self.reading.insert(partition);
            let (args, myself) = (self.args.clone(), myself.clone());
            self.args.effects.spawn(async move {
                let ever = TimestampMs(i64::MAX);
                let page = args.effects.ports.deadlines.list(partition, after.as_ref(), ever, PAGE).await;
                // Who is gone looks no more.
                let _ = myself.cast(SweeperMsg::Page(partition, page));
            });
        }
    }

    /// Wakes those of a page that nobody drives.
    fn wake(&mut self, partition: PartitionId, page: Result<Vec<DueOrder>, StoreError>) {
        self.reading.remove(&partition);
        let from_the_first = self.anew.remove(&partition);
        // It may have gone while it was read, and be here again: then another one comes.
        if !self.args.held.lets_in(partition) {
            return;
        }
        let page = match page {
            Ok(page) => page,
            Err(why) => {
                // The others' are looked at all the same, and these again with the next look.
                tracing::warn!(%partition, %why, "the open orders cannot be read now; looking again later");
                self.unread.insert(partition);
                return;
            }
        };
        self.unread.remove(&partition);
        let last = page.last().cloned().filter(|_| page.len() == PAGE);
        for due in page {
            if !self.args.effects.is_driving(&due.order) {
                self.args.routes.to_order(due.order, ToOrder::Wake);
            }
        }
        match last {
            _ if from_the_first => self.walks.push_back((partition, None)),
            Some(last) => self.walks.push_back((partition, Some(last))),
            None => {}
        }
    }
}

/// Tells the orders whose deadline has passed.
async fn due(args: &SweeperArgs, partition: PartitionId, mut slot: OwnedMutexGuard<Option<DueOrder>>) {
    let ports = &args.effects.ports;
    for _ in 0..DUE_PAGES_MAX {
        let now = ports.clock.now();
        let page = match ports.deadlines.list(partition, slot.as_ref(), now, PAGE).await {
            Ok(page) => page,
            Err(why) => {
                tracing::warn!(%partition, %why, "the deadlines cannot be read now");
                return;
            }
        };
        // It may have gone meanwhile.
        if !args.held.lets_in(partition) {
            return;
        }
        let ended = page.len() < PAGE;
        *slot = page.last().cloned().filter(|_| !ended);
        for due in page {
            let message = ToOrder::Engine(EngineNews::deadline_passed());
            args.routes.to_order(due.order, message);
        }
        if ended {
            return;
        }
    }
}
