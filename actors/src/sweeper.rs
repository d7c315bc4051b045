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
use self::undriven::{UndrivenScan, scan_undriven};
use crate::messages::{OrderNotice, ScanHit, SweeperMsg};

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
    scans: VecDeque<(PartitionId, Option<DueOrder>)>,
    /// Those of which a page is being read, or its orders told.
    scanning: BTreeSet<PartitionId>,
    /// Those that were asked for while one was.
    rescan: BTreeSet<PartitionId>,
    /// Those that could not be read: again with each look, until they can.
    unread: BTreeSet<PartitionId>,
    /// Whose turn it is to read a page.
    reads: Arc<Semaphore>,
    /// Of each partition how many more of its orders may be found.
    found_permits: Vec<Arc<Semaphore>>,
    /// Of each partition how far a look at what is due has come; locked while one is under way.
    due: Vec<Arc<Mutex<Option<DueOrder>>>>,
    /// The same of a look for those that nobody drives.
    looks: Vec<Arc<Mutex<UndrivenScan>>>,
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
        args.effects.set_sweeper(myself);
        let due = (0..args.partitions).map(|_| Arc::default()).collect();
        let found_permits = (0..args.partitions).map(|_| Arc::new(Semaphore::new(FOUND_MAX))).collect();
        let looks = (0..args.partitions).map(|_| Arc::default()).collect();
        let reads = Arc::new(Semaphore::new(READS_MAX));
        let (scans, scanning, rescan, unread) = Default::default();
        let args = Arc::new(args);
        Ok(SweeperState { args, scans, scanning, rescan, unread, reads, found_permits, due, looks })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SweeperMsg::Sweep => state.sweep(),
            SweeperMsg::PartitionAcquired(partition) => state.start_scan(partition),
            SweeperMsg::PageScanned(partition, last) => state.page_scanned(partition, last),
        }
        state.schedule(&myself);
        Ok(())
    }
}

impl SweeperState {
    fn sweep(&mut self) {
        // One that cannot be read now, or takes long, keeps no other waiting; nor is it asked twice at once.
        for ((partition, slot), found_permits) in
            (0..).map(PartitionId).zip(&self.due).zip(&self.found_permits)
        {
            if self.args.table.lets_in(partition)
                && let Ok(slot) = slot.clone().try_lock_owned()
            {
                let (args, found_permits) = (self.args.clone(), found_permits.clone());
                self.args
                    .effects
                    .spawn(async move { scan_due(&args, partition, slot, &found_permits).await });
            }
        }
        // Those that cannot be read are looked through again and again: they are no reason to wait with the others.
        let is_unread = |partition: &PartitionId| self.unread.contains(partition);
        let at_rest = self.scans.iter().all(|(partition, _)| is_unread(partition))
            && self.scanning.iter().all(is_unread);
        if at_rest && self.args.effects.running.take_rescan_request() {
            (0..self.args.partitions).map(PartitionId).for_each(|partition| self.start_scan(partition));
        }
        for (partition, slot) in (0..).map(PartitionId).zip(&self.looks) {
            let is_scanned = self.scanning.contains(&partition)
                || self.scans.iter().any(|(scanned, _)| *scanned == partition);
            if self.args.table.lets_in(partition)
                && let Ok(mut slot) = slot.clone().try_lock_owned()
            {
                if is_scanned {
                    *slot = UndrivenScan::default();
                    continue;
                }
                let args = self.args.clone();
                self.args.effects.spawn(async move { scan_undriven(&args, partition, slot).await });
            }
        }
        for partition in self.unread.clone() {
            if !self.scans.iter().any(|(other, _)| *other == partition) && !self.scanning.contains(&partition)
            {
                self.scans.push_back((partition, None));
            }
        }
    }

    /// Looks through all open orders of a partition, from the first one.
    fn start_scan(&mut self, partition: PartitionId) {
        self.scans.retain(|(other, _)| *other != partition);
        match self.scanning.contains(&partition) {
            true => drop(self.rescan.insert(partition)),
            false => self.scans.push_back((partition, None)),
        }
    }

    /// Has the next pages looked at.
    fn schedule(&mut self, myself: &ActorRef<SweeperMsg>) {
        while let Some((partition, after)) = self.scans.pop_front() {
            if !self.args.table.lets_in(partition) {
                self.unread.remove(&partition);
                continue;
            }
            let Some(found_permits) = self.found_permits.get(usize::from(partition.0)).cloned() else {
                continue;
            };
            self.scanning.insert(partition);
            let (args, reads, myself) = (self.args.clone(), self.reads.clone(), myself.clone());
            self.args.effects.spawn(async move {
                let last = scan_open_orders(&args, partition, after, &reads, &found_permits).await;
                // Who is gone looks no more.
                let _ = myself.cast(SweeperMsg::PageScanned(partition, last));
            });
        }
    }

    fn page_scanned(&mut self, partition: PartitionId, last: Result<Option<DueOrder>, StoreError>) {
        self.scanning.remove(&partition);
        let from_the_first = self.rescan.remove(&partition);
        // It may have gone meanwhile, and be here again: then another one comes.
        if !self.args.table.lets_in(partition) {
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
            _ if from_the_first => self.scans.push_back((partition, None)),
            Some(last) => self.scans.push_back((partition, Some(last))),
            None => {}
        }
    }
}

/// Reads a page of a partition's open orders, and tells those that nobody drives. Answers the last one, if more follow.
async fn scan_open_orders(
    args: &SweeperArgs,
    partition: PartitionId,
    after: Option<DueOrder>,
    reads: &Semaphore,
    found_permits: &Arc<Semaphore>,
) -> Result<Option<DueOrder>, StoreError> {
    args.effects.running.backlog.room().await;
    if !args.effects.running.has_room() {
        // They are safe in the log; one read only to be told that there is no room takes the place of one that is driven.
        args.effects.running.request_rescan();
        return Ok(None);
    }
    let page = {
        // It is never closed.
        let _turn = reads.acquire().await;
        args.effects.ports.deadlines.list(partition, after.as_ref(), TimestampMs(i64::MAX), PAGE).await?
    };
    let last = page.last().cloned().filter(|_| page.len() == PAGE);
    for due in page {
        if !args.effects.running.is_driving(&due.order)
            && !notify_found(args, partition, due, found_permits, false).await
        {
            break;
        }
    }
    Ok(last)
}

/// Tells an order that it was found, when it is its turn. Says whether to go on: the partition may have gone meanwhile.
async fn notify_found(
    args: &SweeperArgs,
    partition: PartitionId,
    due: DueOrder,
    found_permits: &Arc<Semaphore>,
    is_due: bool,
) -> bool {
    let Ok(turn) = found_permits.clone().acquire_owned().await else { return false };
    if !args.table.lets_in(partition) {
        return false;
    }
    args.routes.notify_order(due.order, OrderNotice::Found(ScanHit::new(is_due, turn)));
    true
}

/// Tells the orders whose deadline has passed.
async fn scan_due(
    args: &SweeperArgs,
    partition: PartitionId,
    mut slot: OwnedMutexGuard<Option<DueOrder>>,
    found_permits: &Arc<Semaphore>,
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
        if !args.table.lets_in(partition) {
            return;
        }
        let ended = page.len() < PAGE;
        *slot = page.last().cloned().filter(|_| !ended);
        for due in page {
            if !notify_found(args, partition, due, found_permits, true).await {
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
