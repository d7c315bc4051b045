//! The background thread: writes frozen sets as runs, merges runs, writes snapshots. All writing is here.
//!
//! A flush goes before a merge, but each flush is followed by merging several times its rows: so under any load the
//! number of runs stays bounded.
//!
//! A write that fails changes nothing: the set stays in memory and is written again later, from the beginning.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    block::Row,
    build::RunBuilder,
    controls,
    manifest::{MANIFEST_KEY, Manifest},
    memtable::Memtable,
    merge::{Merge, next_merge},
    open::write_meta,
    pace::Pace,
    run::{RisingLookup, Run, RunKind},
    shared::{RunSets, Shared, State},
    store::{self, Store},
    types::{IndexError, OrderKey, OrderPlace},
};
use crate::bloom::Bloom;

/// Rows merged between two looks at what else there is to do.
const MERGE_TURN_ROWS: u64 = 16_384;
/// Rows merged for each row flushed while more flushes wait; a row is merged about once a tier.
const MERGE_ROWS_PER_FLUSHED: u64 = 6;
/// Rows between two looks at the clock: well below a millisecond.
const BREATH_ROWS: usize = 256;
/// The first pause after a write that failed.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(100);

/// The thread's own state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) dir: PathBuf,
    /// `None` after sled has failed, until it is open again.
    pub(super) store: Option<Arc<Store>>,
    /// As stored.
    pub(super) manifest: Manifest,
    /// The one that sled failed with.
    pub(super) attempted: Option<Manifest>,
    /// Whether merges have been looked for since the last trouble.
    pub(super) planned: bool,
    pub(super) merges: Vec<Merge>,
    pace: Pace,
    pub(super) retry: Duration,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, dir: PathBuf, store: Arc<Store>, manifest: Manifest) -> Self {
        let pace = Pace::new(Arc::clone(&shared));
        Self {
            shared,
            dir,
            store: Some(store),
            manifest,
            attempted: None,
            planned: false,
            merges: Vec::new(),
            pace,
            retry: RETRY_FIRST,
        }
    }

    /// Until told to stop, or the index fails.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        // A panic, of sled or a defect of ours, must not leave callers waiting for this thread.
        let worked = store::guarded("background", || Ok(self.work())).flatten();
        if let Err(error) = worked {
            shared.fail(&error);
        }
        if let Err(error) = store::guarded("background", || {
            drop(self);
            Ok(())
        }) {
            shared.fail(&error);
        }
        shared.work.lock().ended = true;
        shared.stepped();
    }

    fn work(&mut self) -> Result<(), IndexError> {
        while !self.shared.work.lock().stop {
            match self.turn() {
                Ok(()) => self.written(),
                Err(IndexError::Io(why)) => self.suspend(&why),
                Err(error) => return Err(error),
            }
            self.shared.stepped();
        }
        // Snapshots are a cache: they may go without, but a clean stop keeps them.
        if self.store.is_some() && self.shared.state.read().suspended.is_none() {
            self.write_snapshots()?;
        }
        Ok(())
    }

    /// What is most urgent.
    fn turn(&mut self) -> Result<(), IndexError> {
        self.pace.begin();
        self.store()?;
        if !self.planned {
            self.sweep();
            self.plan_merges()?;
            self.planned = true;
        }
        let frozen = self.shared.state.read().frozen.front().cloned();
        if let Some(memtable) = frozen {
            let rows = self.flush(&memtable)?;
            self.merge(rows.max(MERGE_TURN_ROWS) * MERGE_ROWS_PER_FLUSHED)?;
        } else if !self.merges.is_empty() {
            self.merge(MERGE_TURN_ROWS)?;
        } else if !self.shared.snapshots.is_idle() {
            self.write_snapshots()?;
        } else {
            self.rest();
        }
        if self.shared.active_due_in().is_some_and(|due| due.is_zero()) {
            let mut state = self.shared.state.write();
            // While older sets wait, the active one may as well grow.
            if state.frozen.is_empty() {
                state.rotate();
            }
        }
        Ok(())
    }

    /// Nothing to do: waits for something, or for the active set to be due.
    fn rest(&mut self) {
        let interval = Duration::from_millis(self.shared.options.flush_interval_ms.max(1));
        let due = self.shared.active_due_in().unwrap_or(interval);
        let mut work = self.shared.work.lock();
        if !work.stop && self.shared.state.read().frozen.is_empty() && self.shared.snapshots.is_idle() {
            self.shared.wake.wait_for(&mut work, due.min(interval));
        }
    }

    /// Writes a frozen set; gives the number of its orders.
    fn flush(&mut self, memtable: &Memtable) -> Result<u64, IndexError> {
        self.space()?;
        let runs = Arc::clone(&self.shared.state.read().runs);
        let orders = memtable.sorted_orders();
        self.pace.breathe();
        let dues = due_changes(&runs, &orders, &mut self.pace)?;
        let rows = orders.len() as u64;
        let orders = orders.into_iter().map(|(key, place)| Row::order(key, place));
        let mut next = RunSets::clone(&runs);
        next.orders.extend(self.write_run(RunKind::Orders, rows, orders)?);
        next.dues.extend(self.write_run(RunKind::Dues, dues.len() as u64, dues.into_iter())?);

        let mut manifest = self.manifest.clone();
        let mut batch = sled::Batch::default();
        manifest.cursor = memtable.cursor();
        let store = self.store()?;
        manifest.controls = controls::write(&store, memtable.controls(), manifest.controls, &mut batch)?;
        if let Some(meta) = memtable.meta() {
            manifest.meta = Some(write_meta(meta, manifest.meta, &mut batch)?);
        }
        self.commit(manifest, next, batch, |state| {
            state.frozen.pop_front();
            state.flushed += 1;
            state.flushed_cursor = memtable.cursor();
            state.stats.flushes += 1;
        })?;
        self.plan_merges()?;
        Ok(rows)
    }

    fn write_run(
        &mut self,
        kind: RunKind,
        expected: u64,
        rows: impl Iterator<Item = Row>,
    ) -> Result<Option<Arc<Run>>, IndexError> {
        if expected == 0 {
            return Ok(None);
        }
        let id = self.next_id();
        let mut builder = RunBuilder::new(self.store()?.as_ref(), kind, id, expected)?;
        for (number, row) in rows.enumerate() {
            builder.push(row)?;
            if number % BREATH_ROWS == 0 {
                self.pace.breathe();
            }
        }
        builder.finish(&mut || self.pace.breathe()).map(|run| Some(Arc::new(run)))
    }

    fn next_id(&mut self) -> u64 {
        let id = self.manifest.next_run_id;
        self.manifest.next_run_id += 1;
        id
    }

    /// Stores the manifest with those runs, then shows them to readers.
    fn commit(
        &mut self,
        mut manifest: Manifest,
        runs: RunSets,
        mut batch: sled::Batch,
        also: impl FnOnce(&mut State),
    ) -> Result<(), IndexError> {
        manifest.next_run_id = self.manifest.next_run_id;
        manifest.orders = runs.orders.iter().map(|run| run.info).collect();
        manifest.dues = runs.dues.iter().map(|run| run.info).collect();
        batch.insert(MANIFEST_KEY, manifest.encode()?);
        let store = self.store()?;
        if let Err(error) = store.commit(batch) {
            self.attempted = Some(manifest);
            self.store = None;
            return Err(IndexError::Io(error.to_string()));
        }
        self.manifest = manifest;
        let disk_bytes = store.disk_bytes();
        let mut state = self.shared.state.write();
        state.runs = Arc::new(runs);
        also(&mut state);
        state.count_runs(disk_bytes);
        drop(state);
        self.shared.stepped();
        Ok(())
    }

    /// Begins what merges are due, one a kind.
    fn plan_merges(&mut self) -> Result<(), IndexError> {
        let runs = Arc::clone(&self.shared.state.read().runs);
        let dead_min = self.shared.options.flush_entries as u64;
        for (kind, runs) in [(RunKind::Orders, &runs.orders), (RunKind::Dues, &runs.dues)] {
            if self.merges.iter().any(|merge| merge.kind() == kind) {
                continue;
            }
            if let Some(range) = next_merge(kind, runs, dead_min) {
                self.space()?;
                let from_oldest = range.start == 0;
                let id = self.next_id();
                let store = self.store()?;
                self.merges.push(Merge::new(&store, kind, id, runs[range].to_vec(), from_oldest)?);
            }
        }
        Ok(())
    }

    /// Merges about so many rows, as far as there is anything to merge.
    fn merge(&mut self, mut rows: u64) -> Result<(), IndexError> {
        while rows > 0 && !self.shared.work.lock().stop {
            let Some(merge) = self.merges.first_mut() else { return Ok(()) };
            let step = rows.min(BREATH_ROWS as u64);
            rows -= step;
            if merge.step(step)? {
                let merge = self.merges.remove(0);
                self.finish_merge(merge)?;
                self.plan_merges()?;
            }
            self.pace.breathe();
        }
        Ok(())
    }

    fn finish_merge(&mut self, merge: Merge) -> Result<(), IndexError> {
        let mut runs = RunSets::clone(&self.shared.state.read().runs);
        let kind = merge.kind();
        let (inputs, merged) = merge.finish(&mut || self.pace.breathe())?;
        let of_kind = match kind {
            RunKind::Orders => &mut runs.orders,
            RunKind::Dues => &mut runs.dues,
        };
        let first = inputs.first().and_then(|first| of_kind.iter().position(|run| Arc::ptr_eq(run, first)));
        let Some(first) = first else {
            return Err(IndexError::Damaged("a merged run is no longer there: a defect of the index".into()));
        };
        let mut gone: Vec<_> = inputs.iter().map(|run| run.info.file_name()).collect();
        // A run without rows is not worth naming.
        let kept = if merged.info.rows > 0 {
            Some(Arc::new(merged))
        } else {
            gone.push(merged.info.file_name());
            None
        };
        of_kind.splice(first..first + inputs.len(), kept);
        self.commit(self.manifest.clone(), runs, sled::Batch::default(), |state| state.stats.merges += 1)?;
        let store = self.store()?;
        // Readers that still hold them go on reading.
        gone.iter().for_each(|name| store.remove_run(name));
        Ok(())
    }

    fn write_snapshots(&mut self) -> Result<(), IndexError> {
        let max_bytes = self.shared.options.snapshots_max_bytes;
        self.space()?;
        let store = self.store()?;
        let written = self.shared.snapshots.write(&store, self.manifest.snapshots, max_bytes);
        if written.is_err() {
            self.store = None;
        }
        self.manifest.snapshots = written.map_err(|error| IndexError::Io(error.to_string()))?;
        Ok(())
    }
}

/// What changes among the stored deadlines when those orders (in order of their keys) are stored.
fn due_changes(
    runs: &RunSets,
    orders: &[(OrderKey, OrderPlace)],
    pace: &mut Pace,
) -> Result<Vec<Row>, IndexError> {
    let mut lookups: Vec<_> =
        runs.orders.iter().rev().map(|run| RisingLookup::new(Arc::clone(run))).collect();
    let mut changes = Vec::with_capacity(orders.len());
    for (number, (key, place)) in orders.iter().enumerate() {
        if number % BREATH_ROWS == 0 {
            pace.breathe();
        }
        let hash = Bloom::hash(key);
        let mut former = None;
        for lookup in &mut lookups {
            former = lookup.order(*key, hash)?.map(|row| row.place());
            if former.is_some() {
                break;
            }
        }
        let former = former.and_then(|former| former.deadline_ms);
        if former != place.deadline_ms {
            changes.extend(former.map(|time| Row::due(time, *key, true)));
            changes.extend(place.deadline_ms.map(|time| Row::due(time, *key, false)));
        }
    }
    changes.sort_unstable_by_key(|row| row.rank);
    Ok(changes)
}
