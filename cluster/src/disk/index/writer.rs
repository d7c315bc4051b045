//! The background thread: writes frozen sets as runs, merges runs, writes snapshots. All writing to sled is here.
//!
//! A flush goes before a merge, but each flush is followed by merging several times its rows: so under any load the
//! number of runs stays bounded, at the price of `apply` waiting.

use std::{sync::Arc, time::Duration};

use super::{
    block::Row,
    build::RunBuilder,
    controls,
    manifest::{MANIFEST_KEY, Manifest},
    memtable::Memtable,
    merge::{Merge, next_merge},
    open::write_meta,
    run::{RisingLookup, Run, RunKind},
    shared::{RunSets, Shared},
    store::{self, Store},
    types::{IndexError, OrderKey, OrderPlace},
};
use crate::bloom::Bloom;

/// Rows merged between two looks at what else there is to do: about 10 ms.
const MERGE_STEP_ROWS: u64 = 65_536;
/// Rows merged for each row flushed while more flushes wait; a row is merged about once a tier.
const MERGE_ROWS_PER_FLUSHED: u64 = 6;

/// The thread's own state.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    store: Arc<Store>,
    /// As stored.
    manifest: Manifest,
    merges: Vec<Merge>,
    /// Runs merged away; readers may still hold them.
    retired: Vec<Arc<Run>>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, store: Arc<Store>, manifest: Manifest) -> Self {
        Self { shared, store, manifest, merges: Vec::new(), retired: Vec::new() }
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
        self.plan_merges()?;
        while !self.shared.work.lock().stop {
            let frozen = self.shared.state.read().frozen.front().cloned();
            if let Some(memtable) = frozen {
                let rows = self.flush(&memtable)?;
                self.merge(rows.max(MERGE_STEP_ROWS) * MERGE_ROWS_PER_FLUSHED)?;
            } else if !self.merges.is_empty() {
                self.merge(MERGE_STEP_ROWS)?;
            } else if !self.shared.snapshots.is_idle() {
                self.write_snapshots()?;
            } else {
                self.rest()?;
            }
            if self.shared.active_due_in().is_some_and(|due| due.is_zero()) {
                self.shared.state.write().rotate();
            }
            self.shared.stepped();
        }
        // Snapshots are a cache: they may go without, but a clean stop keeps them.
        self.write_snapshots()?;
        self.drop_retired()
    }

    /// Nothing to do: tidies up, then waits for something, or for the active set to be due.
    fn rest(&mut self) -> Result<(), IndexError> {
        self.drop_retired()?;
        let interval = Duration::from_millis(self.shared.options.flush_interval_ms.max(1));
        let due = self.shared.active_due_in().unwrap_or(interval);
        let mut work = self.shared.work.lock();
        if !work.stop && self.shared.state.read().frozen.is_empty() && self.shared.snapshots.is_idle() {
            self.shared.wake.wait_for(&mut work, due.min(interval));
        }
        Ok(())
    }

    /// Writes a frozen set; gives the number of its orders.
    fn flush(&mut self, memtable: &Memtable) -> Result<u64, IndexError> {
        let runs = Arc::clone(&self.shared.state.read().runs);
        let orders = memtable.sorted_orders();
        let dues = due_changes(&runs, &orders)?;
        let rows = orders.len() as u64;
        let orders = orders.into_iter().map(|(key, place)| Row::order(key, place));
        let mut next = RunSets::clone(&runs);
        next.orders.extend(self.write_run(RunKind::Orders, rows, orders)?);
        next.dues.extend(self.write_run(RunKind::Dues, dues.len() as u64, dues.into_iter())?);

        let mut manifest = self.manifest.clone();
        let mut batch = sled::Batch::default();
        manifest.cursor = memtable.cursor();
        manifest.controls = controls::write(&self.store, memtable.controls(), manifest.controls, &mut batch)?;
        if let Some(meta) = memtable.meta() {
            manifest.meta = Some(write_meta(meta, manifest.meta, &mut batch)?);
        }
        self.commit(manifest, next, batch, |state| {
            state.frozen.pop_front();
            state.flushed += 1;
            state.stats.flushes += 1;
        })?;
        self.plan_merges()?;
        Ok(rows)
    }

    fn write_run(
        &mut self,
        kind: RunKind,
        expected: u64,
        mut rows: impl Iterator<Item = Row>,
    ) -> Result<Option<Arc<Run>>, IndexError> {
        if expected == 0 {
            return Ok(None);
        }
        let id = self.next_id();
        let mut builder = RunBuilder::new(&self.store, kind, id, expected)?;
        rows.try_for_each(|row| builder.push(row))?;
        builder.finish().map(|run| Some(Arc::new(run)))
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
        also: impl FnOnce(&mut super::shared::State),
    ) -> Result<(), IndexError> {
        manifest.next_run_id = self.manifest.next_run_id;
        manifest.orders = runs.orders.iter().map(|run| run.info).collect();
        manifest.dues = runs.dues.iter().map(|run| run.info).collect();
        batch.insert(MANIFEST_KEY, manifest.encode()?);
        store::write(self.store.main(), batch)?;
        self.store.flush()?;
        self.manifest = manifest;
        let disk_bytes = self.store.disk_bytes();
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
                let from_oldest = range.start == 0;
                let id = self.next_id();
                self.merges.push(Merge::new(&self.store, kind, id, runs[range].to_vec(), from_oldest)?);
            }
        }
        Ok(())
    }

    /// Merges about so many rows, as far as there is anything to merge.
    fn merge(&mut self, mut rows: u64) -> Result<(), IndexError> {
        while rows > 0 && !self.shared.work.lock().stop {
            let Some(merge) = self.merges.first_mut() else { return Ok(()) };
            let step = rows.min(MERGE_STEP_ROWS);
            rows -= step;
            if merge.step(step)? {
                let merge = self.merges.remove(0);
                self.finish_merge(merge)?;
                self.plan_merges()?;
            }
            self.shared.stepped();
        }
        Ok(())
    }

    fn finish_merge(&mut self, merge: Merge) -> Result<(), IndexError> {
        let mut runs = RunSets::clone(&self.shared.state.read().runs);
        let kind = merge.kind();
        let (inputs, merged) = merge.finish()?;
        let of_kind = match kind {
            RunKind::Orders => &mut runs.orders,
            RunKind::Dues => &mut runs.dues,
        };
        let first = inputs.first().and_then(|first| of_kind.iter().position(|run| Arc::ptr_eq(run, first)));
        let Some(first) = first else {
            return Err(IndexError::Damaged("a merged run is no longer there: a defect of the index".into()));
        };
        let merged = Arc::new(merged);
        // A run without rows is not worth naming.
        let kept = (merged.info.rows > 0).then(|| Arc::clone(&merged));
        of_kind.splice(first..first + inputs.len(), kept);
        self.commit(self.manifest.clone(), runs, sled::Batch::default(), |state| state.stats.merges += 1)?;
        self.retired.extend(inputs);
        if merged.info.rows == 0 {
            self.retired.push(merged);
        }
        self.drop_retired()
    }

    /// Drops the runs that no reader holds any more.
    fn drop_retired(&mut self) -> Result<(), IndexError> {
        let (free, held) =
            std::mem::take(&mut self.retired).into_iter().partition(|run| Arc::strong_count(run) == 1);
        self.retired = held;
        let free: Vec<Arc<Run>> = free;
        for run in &free {
            self.store.drop_tree(&run.info.tree_name())?;
        }
        if free.is_empty() { Ok(()) } else { self.store.flush() }
    }

    fn write_snapshots(&mut self) -> Result<(), IndexError> {
        let max_bytes = self.shared.options.snapshots_max_bytes;
        self.manifest.snapshots =
            self.shared.snapshots.write(&self.store, self.manifest.snapshots, max_bytes)?;
        Ok(())
    }
}

/// What changes among the stored deadlines when those orders (in order of their keys) are stored.
fn due_changes(runs: &RunSets, orders: &[(OrderKey, OrderPlace)]) -> Result<Vec<Row>, IndexError> {
    let mut lookups: Vec<_> =
        runs.orders.iter().rev().map(|run| RisingLookup::new(Arc::clone(run))).collect();
    let mut changes = Vec::with_capacity(orders.len());
    for (key, place) in orders {
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
