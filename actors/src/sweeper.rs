//! Scans for due steps, and for open orders that are undriven: after a start, a crash, an overflow.
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
    /// Partitions of which a page is being read, or its orders notified.
    scanning: BTreeSet<PartitionId>,
    /// Partitions whose scan was requested again meanwhile.
    rescan: BTreeSet<PartitionId>,
    /// Partitions that could not be read: each sweep tries them again.
    unread: BTreeSet<PartitionId>,
    /// Permits to read a page.
    reads: Arc<Semaphore>,
    /// By partition: permits for orders that were found and have not looked at themselves yet.
    found_permits: Vec<Arc<Semaphore>>,
    /// By partition: how far the scan of due orders has come; locked while one runs.
    due: Vec<Arc<Mutex<Option<DueOrder>>>>,
    /// The same of the scan for undriven orders.
    looks: Vec<Arc<Mutex<UndrivenScan>>>,
}

/// The actor that scans.
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
        // A slow or unreadable partition holds no other one up, and has one scan at a time.
        for ((partition, slot), found_permits) in
            (0..).map(PartitionId).zip(&self.due).zip(&self.found_permits)
        {
            if self.args.table.accepts(partition)
                && let Ok(slot) = slot.clone().try_lock_owned()
            {
                let (args, found_permits) = (self.args.clone(), found_permits.clone());
                self.args
                    .effects
                    .spawn(async move { scan_due(&args, partition, slot, &found_permits).await });
            }
        }
        // Unreadable partitions are retried with each sweep: they hold the others' scan not up.
        let is_unread = |partition: &PartitionId| self.unread.contains(partition);
        let at_rest = self.scans.iter().all(|(partition, _)| is_unread(partition))
            && self.scanning.iter().all(is_unread);
        if at_rest && self.args.effects.running.take_rescan_request() {
            (0..self.args.partitions).map(PartitionId).for_each(|partition| self.start_scan(partition));
        }
        for (partition, slot) in (0..).map(PartitionId).zip(&self.looks) {
            let is_scanned = self.scanning.contains(&partition)
                || self.scans.iter().any(|(scanned, _)| *scanned == partition);
            if self.args.table.accepts(partition)
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

    /// Scans all open orders of a partition, from the first one.
    fn start_scan(&mut self, partition: PartitionId) {
        self.scans.retain(|(other, _)| *other != partition);
        match self.scanning.contains(&partition) {
            true => drop(self.rescan.insert(partition)),
            false => self.scans.push_back((partition, None)),
        }
    }

    /// Starts to read the next page of each scan.
    fn schedule(&mut self, myself: &ActorRef<SweeperMsg>) {
        while let Some((partition, after)) = self.scans.pop_front() {
            if !self.args.table.accepts(partition) {
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
                // A sweeper that has ended starts with a new scan.
                let _ = myself.cast(SweeperMsg::PageScanned(partition, last));
            });
        }
    }

    fn page_scanned(&mut self, partition: PartitionId, last: Result<Option<DueOrder>, StoreError>) {
        self.scanning.remove(&partition);
        let from_the_first = self.rescan.remove(&partition);
        // It may have been released meanwhile, and acquired again: then another scan was requested.
        if !self.args.table.accepts(partition) {
            return;
        }
        let last = match last {
            Ok(last) => last,
            Err(why) => {
                // Other partitions are scanned all the same, and this one again with the next sweep.
                tracing::warn!(event = "open_orders_unread", %partition, %why, "the open orders cannot be read now; looking again later");
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

/// Reads a page of a partition's open orders, and notifies the undriven ones. Returns the last one, if more follow.
async fn scan_open_orders(
    args: &SweeperArgs,
    partition: PartitionId,
    after: Option<DueOrder>,
    reads: &Semaphore,
    found_permits: &Arc<Semaphore>,
) -> Result<Option<DueOrder>, StoreError> {
    args.effects.running.backlog.wait_for_room().await;
    if !args.effects.running.has_room() {
        // They are safe in the log; an order that is loaded only to find no room takes the place of a driven one.
        args.effects.running.request_rescan();
        return Ok(None);
    }
    let page = {
        // It is never closed.
        let _permit = reads.acquire().await;
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

/// Notifies an order that it was found, once there is a permit. `false`: the partition was released meanwhile.
async fn notify_found(
    args: &SweeperArgs,
    partition: PartitionId,
    due: DueOrder,
    found_permits: &Arc<Semaphore>,
    is_due: bool,
) -> bool {
    let Ok(permit) = found_permits.clone().acquire_owned().await else { return false };
    if !args.table.accepts(partition) {
        return false;
    }
    args.routes.notify_order(due.order, OrderNotice::Found(ScanHit::new(is_due, permit)));
    true
}

/// Notifies the orders whose deadline has passed.
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
                tracing::warn!(event = "deadlines_unread", %partition, %why, "the deadlines cannot be read now");
                return;
            }
        };
        // It may have been released meanwhile.
        if !args.table.accepts(partition) {
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
