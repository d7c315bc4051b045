//! What callers and the background thread share.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, RwLock, RwLockUpgradableReadGuard};

use super::{
    block::Row,
    memtable::Memtable,
    run::Run,
    snapshots::SnapshotShelf,
    store::{self, Store},
    types::{Cursor, IndexError, IndexOptions, IndexStats, Lookup, OrderKey, OrderPlace, OrderUpdate},
};
use crate::bloom::Bloom;

/// Frozen sets of changes that may exist while the disk takes nothing; with the active one full too, there is no room.
const FROZEN_MAX: usize = 8;
/// Frozen sets from which on the background thread does not rest, and who can wait does: one being written, one waiting.
pub(super) const FROZEN_BUSY: usize = 2;
/// Who waits for a background thread that does nothing for so long is told.
const STALL: Duration = Duration::from_secs(60);
/// Who needs a control entry waits so long for sled to be opened anew.
const REOPEN_MAX: Duration = Duration::from_secs(10);

/// The runs there are, oldest first.
#[derive(Debug, Default, Clone)]
pub(super) struct RunSets {
    pub(super) orders: Vec<Arc<Run>>,
    pub(super) dues: Vec<Arc<Run>>,
}

/// Everything that does not change any more: frozen sets (oldest first) and runs, as of one moment.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) frozen: Vec<Arc<Memtable>>,
    pub(super) runs: Arc<RunSets>,
    /// How often an active set has been frozen until then.
    pub(super) rotations: u64,
}

impl View {
    /// The newest place of an order.
    pub(super) fn place(&self, key: &OrderKey) -> Result<Option<OrderPlace>, IndexError> {
        if let Some(place) = self.frozen.iter().rev().find_map(|frozen| frozen.place(key)) {
            return Ok(Some(place));
        }
        let hash = Bloom::hash(key);
        for run in self.runs.orders.iter().rev().filter(|run| run.may_hold(hash)) {
            if let Some(row) = run.get((0, *key))? {
                return Ok(Some(Row::place(&row)));
            }
        }
        Ok(None)
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) active: Memtable,
    pub(super) frozen: VecDeque<Arc<Memtable>>,
    pub(super) runs: Arc<RunSets>,
    /// Of the last change applied, or the one stored.
    pub(super) meta: Option<Arc<[u8]>>,
    pub(super) rotations: u64,
    pub(super) flushed: u64,
    /// Of the manifest.
    pub(super) flushed_cursor: Cursor,
    pub(super) stats: IndexStats,
    /// `None` while sled is opened anew, and once closed.
    pub(super) store: Option<Arc<Store>>,
    pub(super) closed: bool,
    /// Why nothing is written at the moment.
    pub(super) suspended: Option<IndexError>,
    /// Why nothing is of any use any more.
    pub(super) failed: Option<IndexError>,
}

impl State {
    fn check(&self) -> Result<(), IndexError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.closed => Err(IndexError::Closed),
            None => Ok(()),
        }
    }

    fn suspension(&self) -> IndexError {
        let slow = || IndexError::Io("the disk is too slow for what changes".into());
        self.suspended.clone().unwrap_or_else(slow)
    }

    pub(super) fn view(&self) -> View {
        let frozen = self.frozen.iter().cloned().collect();
        View { frozen, runs: Arc::clone(&self.runs), rotations: self.rotations }
    }

    /// Counts the runs for the gauges.
    pub(super) fn count_runs(&mut self, disk_bytes: u64) {
        let all = || self.runs.orders.iter().chain(&self.runs.dues);
        self.stats = IndexStats {
            order_entries: self.runs.orders.iter().map(|run| run.info.rows).sum(),
            deadline_entries: self.runs.dues.iter().map(|run| run.info.rows).sum(),
            runs: all().count() as u64,
            disk_bytes,
            block_bytes: all().map(|run| run.info.block_bytes).sum(),
            head_memory_bytes: all().map(|run| run.memory_bytes()).sum(),
            ..self.stats
        };
    }

    /// Freezes the active set if there is anything in it; false when there is no room for it.
    pub(super) fn rotate(&mut self) -> bool {
        if self.active.since().is_none() {
            return true;
        }
        if self.frozen.len() >= FROZEN_MAX {
            return false;
        }
        let next = self.active.successor();
        self.frozen.push_back(Arc::new(std::mem::replace(&mut self.active, next)));
        self.rotations += 1;
        true
    }
}

/// What callers want of the background thread, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) stop: bool,
    pub(super) ended: bool,
    pub(super) steps: u64,
    /// Callers that wait for a flush.
    pub(super) urgent: u32,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: IndexOptions,
    pub(super) state: RwLock<State>,
    /// Locked after `state` by no one; `state` may be locked while this is.
    pub(super) work: Mutex<Work>,
    /// There may be work.
    pub(super) wake: Condvar,
    /// Something was done.
    pub(super) progress: Condvar,
    pub(super) snapshots: SnapshotShelf,
}

impl Shared {
    pub(super) fn lookup(&self, key: &OrderKey) -> Lookup {
        let state = self.state.read();
        if state.check().is_err() {
            return Lookup::AskDisk;
        }
        let frozen = || state.frozen.iter().rev().find_map(|frozen| frozen.place(key));
        if let Some(place) = state.active.place(key).or_else(frozen) {
            return Lookup::Found(place);
        }
        let hash = Bloom::hash(key);
        if state.runs.orders.iter().any(|run| run.may_hold(hash)) { Lookup::AskDisk } else { Lookup::Absent }
    }

    /// The newest place of an order, wherever it is.
    pub(super) fn place(&self, key: &OrderKey) -> Result<Option<OrderPlace>, IndexError> {
        let view = {
            let state = self.state.read();
            state.check()?;
            if let Some(place) = state.active.place(key) {
                return Ok(Some(place));
            }
            state.view()
        };
        view.place(key)
    }

    /// The open store and what `with` takes of the state at the same moment.
    /// Waits while sled is opened anew. Blocking.
    pub(super) fn read<T>(&self, with: impl FnOnce(&State) -> T) -> Result<(Arc<Store>, T), IndexError> {
        let until = Instant::now() + REOPEN_MAX;
        loop {
            let mut work = self.work.lock();
            let state = self.state.read();
            state.check()?;
            if let Some(store) = &state.store {
                return Ok((Arc::clone(store), with(&state)));
            }
            let suspension = state.suspension();
            drop(state);
            if self.progress.wait_until(&mut work, until).timed_out() {
                return Err(suspension);
            }
        }
    }

    /// Whether control entries can be read.
    pub(super) fn has_store(&self) -> bool {
        self.state.read().store.is_some()
    }

    /// What does not change any more.
    pub(super) fn view(&self) -> Result<View, IndexError> {
        let state = self.state.read();
        state.check()?;
        Ok(state.view())
    }

    pub(super) fn apply(
        &self,
        updates: &[OrderUpdate],
        cursor: Cursor,
        meta: Option<Arc<[u8]>>,
    ) -> Result<(), IndexError> {
        let rotated = {
            let mut state = self.state.write();
            state.check()?;
            if let Some(meta) = &meta {
                state.meta = Some(Arc::clone(meta));
            }
            state.active.apply(updates, cursor, meta);
            state.active.len() >= self.options.flush_entries && state.rotate()
        };
        if rotated {
            self.wake();
        }
        Ok(())
    }

    /// Whether as much may come as a full set takes.
    pub(super) fn room(&self) -> Result<(), IndexError> {
        let state = self.state.read();
        state.check()?;
        let full = state.frozen.len() >= FROZEN_MAX && state.active.len() >= self.options.flush_entries;
        if full { Err(state.suspension()) } else { Ok(()) }
    }

    /// Has the background thread look for work. Under the lock, so that it can't miss it between its look at the state
    /// and its wait.
    pub(super) fn wake(&self) {
        let _work = self.work.lock();
        self.wake.notify_one();
    }

    pub(super) fn set_control(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), IndexError> {
        let mut state = self.state.write();
        state.check()?;
        state.active.set_control(key, value);
        Ok(())
    }

    /// Freezes the active set, waiting for room, and waits until it is written.
    pub(super) fn flush_blocking(&self) -> Result<(), IndexError> {
        self.work.lock().urgent += 1;
        let flushed = self.rotate_blocking().and_then(|rotations| {
            self.wake();
            self.wait_until(|state| state.flushed >= rotations)
        });
        self.work.lock().urgent -= 1;
        flushed
    }

    fn rotate_blocking(&self) -> Result<u64, IndexError> {
        loop {
            self.wait_until(|state| state.frozen.len() < FROZEN_MAX)?;
            let mut state = self.state.write();
            state.check()?;
            if state.rotate() {
                return Ok(state.rotations);
            }
        }
    }

    /// Waits until `done` holds; an error when nothing can be written meanwhile.
    pub(super) fn wait_until(&self, done: impl Fn(&State) -> bool) -> Result<(), IndexError> {
        loop {
            let mut work = self.work.lock();
            {
                let state = self.state.read();
                state.check()?;
                if done(&state) {
                    return Ok(());
                }
                if state.suspended.is_some() {
                    return Err(state.suspension());
                }
            }
            if work.ended {
                return Err(IndexError::Closed);
            }
            let steps = work.steps;
            if self.progress.wait_for(&mut work, STALL).timed_out() && work.steps == steps {
                return Err(IndexError::Io(format!("no progress in {} s", STALL.as_secs())));
            }
        }
    }

    /// Ends the use of the index with an error: all later calls get it.
    pub(super) fn fail(&self, error: &IndexError) {
        {
            let state = self.state.upgradable_read();
            if state.failed.is_none() && !state.closed {
                tracing::warn!(event = "index_failed", %error, "the index of the log has failed");
                RwLockUpgradableReadGuard::upgrade(state).failed = Some(error.clone());
            }
        }
        self.stepped();
    }

    /// Tells those who wait that something was done.
    pub(super) fn stepped(&self) {
        let mut work = self.work.lock();
        work.steps += 1;
        self.progress.notify_all();
    }

    /// How long until the active set is due to be written; `None` when there is nothing in it.
    pub(super) fn active_due_in(&self) -> Option<Duration> {
        let since = self.state.read().active.since()?;
        let interval = Duration::from_millis(self.options.flush_interval_ms);
        Some(interval.saturating_sub(Instant::now().saturating_duration_since(since)))
    }

    /// Waits for the background thread to end; false when it is stuck.
    pub(super) fn wait_ended(&self) -> bool {
        let mut work = self.work.lock();
        while !work.ended {
            let steps = work.steps;
            if self.progress.wait_for(&mut work, STALL).timed_out() && work.steps == steps {
                return work.ended;
            }
        }
        true
    }

    /// Lets go of sled. It writes what it still has, and may panic over it if it has failed before.
    pub(super) fn release(&self) {
        let (store, runs, frozen) = {
            let mut state = self.state.write();
            state.closed = true;
            (state.store.take(), std::mem::take(&mut state.runs), std::mem::take(&mut state.frozen))
        };
        let dropped = store::guarded("close", || {
            self.snapshots.close();
            drop((store, runs, frozen));
            Ok(())
        });
        if let Err(error) = dropped {
            tracing::warn!(%error, "closing the index of the log");
        }
    }
}
