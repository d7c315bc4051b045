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
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use self::context::PAGE;
use self::undriven::{Look, look_for_undriven};
use crate::messages::{Found, SweeperMsg, ToOrder};

mod context;
mod undriven;

pub(crate) use self::context::SweeperArgs;

/// Pages read in one look at what is due; the next look goes on behind them.
const DUE_PAGES_MAX: usize = 16;
/// Pages of open orders that are read at one time, each of another partition.
const READS_MAX: usize = 4;
/// Orders of one partition that were found and have not looked at themselves yet. Each is in memory meanwhile, whatever
/// `orders.live_max` says: while their reads were slow, millions were, and took 10 GB (measured).
const FOUND_MAX: usize = 32;

pub(crate) struct SweeperState {
    args: Arc<SweeperArgs>,
    /// Partitions whose open orders are to be looked through, each once, and the last one seen.
    walks: VecDeque<(PartitionId, Option<DueOrder>)>,
    /// Those of which a page is being read, or its orders told.
    looking: BTreeSet<PartitionId>,
    /// Those that were asked for while one was.
    anew: BTreeSet<PartitionId>,
    /// Those that could not be read: again with each look, until they can.
    unread: BTreeSet<PartitionId>,
    /// Whose turn it is to read a page.
    reads: Arc<Semaphore>,
    /// Of each partition how many more of its orders may be found.
    turns: Vec<Arc<Semaphore>>,
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
        let turns = (0..args.partitions).map(|_| Arc::new(Semaphore::new(FOUND_MAX))).collect();
        let looks = (0..args.partitions).map(|_| Arc::default()).collect();
        let reads = Arc::new(Semaphore::new(READS_MAX));
        let (walks, looking, anew, unread) = Default::default();
        let args = Arc::new(args);
        Ok(SweeperState { args, walks, looking, anew, unread, reads, turns, due, looks })
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
            SweeperMsg::Looked(partition, last) => state.looked(partition, last),
        }
        state.go_on(&myself);
        Ok(())
    }
}

impl SweeperState {
    fn sweep(&mut self) {
        // One that cannot be read now, or takes long, keeps no other waiting; nor is it asked twice at once.
        for ((partition, slot), turns) in (0..).map(PartitionId).zip(&self.due).zip(&self.turns) {
            if self.args.held.lets_in(partition)
                && let Ok(slot) = slot.clone().try_lock_owned()
            {
                let (args, turns) = (self.args.clone(), turns.clone());
                self.args.effects.spawn(async move { due(&args, partition, slot, &turns).await });
            }
        }
        // Those that cannot be read are looked through again and again: they are no reason to wait with the others.
        let is_unread = |partition: &PartitionId| self.unread.contains(partition);
        let at_rest = self.walks.iter().all(|(partition, _)| is_unread(partition))
            && self.looking.iter().all(is_unread);
        if at_rest && self.args.effects.running.take_left_behind() {
            (0..self.args.partitions).map(PartitionId).for_each(|partition| self.take_up(partition));
        }
        for (partition, slot) in (0..).map(PartitionId).zip(&self.looks) {
            let is_walked = self.looking.contains(&partition)
                || self.walks.iter().any(|(walked, _)| *walked == partition);
            if self.args.held.lets_in(partition)
                && let Ok(mut slot) = slot.clone().try_lock_owned()
            {
                if is_walked {
                    *slot = Look::default();
                    continue;
                }
                let args = self.args.clone();
                self.args.effects.spawn(async move { look_for_undriven(&args, partition, slot).await });
            }
        }
        for partition in self.unread.clone() {
            if !self.walks.iter().any(|(other, _)| *other == partition) && !self.looking.contains(&partition)
            {
                self.walks.push_back((partition, None));
            }
        }
    }

    /// Looks through all open orders of a partition, from the first one.
    fn take_up(&mut self, partition: PartitionId) {
        self.walks.retain(|(other, _)| *other != partition);
        match self.looking.contains(&partition) {
            true => drop(self.anew.insert(partition)),
            false => self.walks.push_back((partition, None)),
        }
    }

    /// Has the next pages looked at.
    fn go_on(&mut self, myself: &ActorRef<SweeperMsg>) {
        while let Some((partition, after)) = self.walks.pop_front() {
            if !self.args.held.lets_in(partition) {
                self.unread.remove(&partition);
                continue;
            }
            let Some(turns) = self.turns.get(usize::from(partition.0)).cloned() else { continue };
            self.looking.insert(partition);
            let (args, reads, myself) = (self.args.clone(), self.reads.clone(), myself.clone());
            self.args.effects.spawn(async move {
                let last = look_for_open(&args, partition, after, &reads, &turns).await;
                // Who is gone looks no more.
                let _ = myself.cast(SweeperMsg::Looked(partition, last));
            });
        }
    }

    fn looked(&mut self, partition: PartitionId, last: Result<Option<DueOrder>, StoreError>) {
        self.looking.remove(&partition);
        let from_the_first = self.anew.remove(&partition);
        // It may have gone meanwhile, and be here again: then another one comes.
        if !self.args.held.lets_in(partition) {
            return;
        }
        let last = match last {
            Ok(last) => last,
            Err(why) => {
                // The others' are looked at all the same, and these again with the next look.
                tracing::warn!(%partition, %why, "the open orders cannot be read now; looking again later");
                self.unread.insert(partition);
                return;
            }
        };
        self.unread.remove(&partition);
        match last {
            _ if from_the_first => self.walks.push_back((partition, None)),
            Some(last) => self.walks.push_back((partition, Some(last))),
            None => {}
        }
    }
}

/// Reads a page of a partition's open orders, and tells those that nobody drives. Answers the last one, if more follow.
async fn look_for_open(
    args: &SweeperArgs,
    partition: PartitionId,
    after: Option<DueOrder>,
    reads: &Semaphore,
    turns: &Arc<Semaphore>,
) -> Result<Option<DueOrder>, StoreError> {
    args.effects.running.backlog.room().await;
    if !args.effects.running.has_room() {
        // They are safe in the log; one read only to be told that there is no room takes the place of one that is driven.
        args.effects.running.leave_behind();
        return Ok(None);
    }
    let page = {
        // It is never closed.
        let _turn = reads.acquire().await;
        args.effects.ports.deadlines.list(partition, after.as_ref(), TimestampMs(i64::MAX), PAGE).await?
    };
    let last = page.last().cloned().filter(|_| page.len() == PAGE);
    for due in page {
        if !args.effects.running.is_driving(&due.order) && !tell(args, partition, due, turns, false).await {
            break;
        }
    }
    Ok(last)
}

/// Tells an order that it was found, when it is its turn. Says whether to go on: the partition may have gone meanwhile.
async fn tell(
    args: &SweeperArgs,
    partition: PartitionId,
    due: DueOrder,
    turns: &Arc<Semaphore>,
    is_due: bool,
) -> bool {
    let Ok(turn) = turns.clone().acquire_owned().await else { return false };
    if !args.held.lets_in(partition) {
        return false;
    }
    args.routes.to_order(due.order, ToOrder::Found(Found::new(is_due, turn)));
    true
}

/// Tells the orders whose deadline has passed.
async fn due(
    args: &SweeperArgs,
    partition: PartitionId,
    mut slot: OwnedMutexGuard<Option<DueOrder>>,
    turns: &Arc<Semaphore>,
) {
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
            if !tell(args, partition, due, turns, true).await {
                return;
            }
        }
        if ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
