//! The index of the log on one machine: which order stands where, what is due when, and a few control entries.
//!
//! **Invariant: it is a cache of the log and never a truth.** It either answers as the log up to its cursor says, or
//! says [`IndexError::Damaged`]; then it is deleted and built again. It never answers wrongly.
//!
//! **Invariant: no commit waits for its disk.** `apply` is memory alone, however full or slow the disk is; what is written
//! is written beside it, in small steps. While nothing can be written, changes wait in memory up to a bound, and
//! [`Index::room`] says when that is reached.
//!
//! Why sorted runs and not one key of sled an order: a million orders as plain keys cost 16.6 s, 185 MB of disk and
//! 3.8 GB of memory (measured); as sorted runs, deadlines and merges included, 1.0 s, 61 MB and 50 to 100 MB. Why
//! checksums over all of it: sled's `flush` is no fsync, and after damage sled may come back with holes, or empty, or
//! older, without a word.
//!
//! Blocking: `lookup` and `meta` only touch memory. `apply`, `put_control`, `remove_control` and `save_snapshot` too,
//! and so do `room` and `stats`. Everything else may read or write the disk: never call it from async code.

mod block;
mod bloom;
mod build;
mod controls;
mod deadlines;
#[cfg(any(test, feature = "faulty"))]
pub mod faults;
mod files;
mod manifest;
mod memtable;
mod merge;
mod open;
mod pace;
mod recover;
mod run;
mod shared;
pub mod snapshot_cache;
mod snapshots;
pub mod store;
#[cfg(test)]
mod tests;
mod types;
mod writer;

use std::{path::Path, sync::Arc, thread};

use parking_lot::{Condvar, Mutex, RwLock};

use self::{
    memtable::Memtable, shared::Shared, shared::State, snapshots::SnapshotShelf, store::Store, writer::Writer,
};

pub use types::{
    ControlPair, Cursor, DueOrder, IndexError, IndexOptions, IndexStats, Lookup, OrderKey, OrderPlace,
    OrderUpdate,
};

/// An open index. Share it in an `Arc`; all methods take `&self`.
///
/// Dropping it without [`Index::close`] is a crash as far as the disk is concerned: the next `open` comes back with
/// the cursor of the last flush.
#[derive(Debug)]
pub struct Index {
    shared: Arc<Shared>,
    /// `None` once closed.
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Index {
    /// Opens the index in `dir`, creating it if there is none, and says how far it has followed the log `log_id`.
    /// Blocking.
    ///
    /// # Errors
    /// `Damaged` when it is of another log, unreadable or inconsistent; `InUse` when someone else has it open; `Io`.
    pub fn open(dir: &Path, options: IndexOptions, log_id: [u8; 16]) -> Result<(Self, Cursor), IndexError> {
        let opened = open::open(dir, &options, log_id)?;
        let cursor = opened.manifest.cursor;
        let store = Arc::new(opened.store);
        let snapshots = SnapshotShelf::new(&store, opened.manifest.snapshots.0, options.snapshot_queue)?;
        let mut state = State {
            active: Memtable::after(cursor),
            frozen: Default::default(),
            runs: Arc::new(opened.runs),
            meta: opened.meta,
            rotations: 0,
            flushed: 0,
            flushed_cursor: cursor,
            stats: IndexStats::default(),
            store: Some(Arc::clone(&store)),
            closed: false,
            suspended: None,
            failed: None,
        };
        state.count_runs(store.disk_bytes());
        let shared = Arc::new(Shared {
            options,
            state: RwLock::new(state),
            work: Mutex::default(),
            wake: Condvar::new(),
            progress: Condvar::new(),
            snapshots,
        });
        let writer = Writer::new(Arc::clone(&shared), dir.to_owned(), store, opened.manifest);
        let thread = thread::Builder::new()
            .name("rf-index".into())
            .spawn(move || writer.run())
            .map_err(|error| IndexError::Io(format!("no thread to write with: {error}")))?;
        Ok((Self { shared, thread: Mutex::new(Some(thread)) }, cursor))
    }

    /// Deletes an index. The folder may be absent. Must not be open. Blocking.
    ///
    /// # Errors
    /// `Io`.
    pub fn destroy(dir: &Path) -> Result<(), IndexError> {
        Store::destroy(dir).map_err(|error| IndexError::Io(format!("{}: {error}", dir.display())))
    }

    /// The newest place of an order, from memory alone (changes not yet on disk, then bloom filters).
    /// `AskDisk` also when the index has failed or is closed.
    pub fn lookup(&self, key: &OrderKey) -> Lookup {
        self.shared.lookup(key)
    }

    /// The newest place of an order, from memory and disk. Blocking.
    ///
    /// # Errors
    /// `Damaged`, `Io`, `Closed`.
    pub fn lookup_blocking(&self, key: &OrderKey) -> Result<Option<OrderPlace>, IndexError> {
        self.note_outcome(self.shared.place(key))
    }

    /// Takes in what one or more log frames changed, in the order of the log; `cursor` is the last of those frames.
    /// `meta` replaces the opaque blob that is stored with the cursor (the heads of the partitions); `None` keeps it.
    /// Memory only. One caller at a time, who asks [`Index::room`] or [`Index::wait_for_room`] before.
    ///
    /// # Errors
    /// The error with which the index failed (`Damaged`), or `Closed`; the changes are then not in the index,
    /// and no later call will bring them in: open it anew.
    pub fn apply(
        &self,
        updates: &[OrderUpdate],
        cursor: Cursor,
        meta: Option<Vec<u8>>,
    ) -> Result<(), IndexError> {
        self.shared.apply(updates, cursor, meta.map(Into::into))
    }

    /// Whether more changes may come. Memory only.
    ///
    /// # Errors
    /// `Io` when as many wait for the disk as memory is given to (nine sets); ask again later. `Damaged`, `Closed`.
    pub fn room(&self) -> Result<(), IndexError> {
        self.shared.room()
    }

    /// Whether control entries can be read and set without waiting: not while sled is opened anew after a failed write.
    pub fn takes_controls(&self) -> bool {
        self.shared.has_store()
    }

    /// Waits while two sets of changes wait for the disk: for who brings more than it takes, as a replay of the log does.
    /// Blocking.
    ///
    /// # Errors
    /// `Io` when nothing can be written. `Damaged`, `Closed`.
    pub fn wait_for_room(&self) -> Result<(), IndexError> {
        self.shared.wait_until(|state| state.frozen.len() < shared::FROZEN_BUSY)
    }

    /// The cursor up to which all is on disk: of a frame that was durable in the log before. Memory only.
    pub fn flushed_cursor(&self) -> Cursor {
        self.shared.state.read().flushed_cursor
    }

    /// How often a set of changes has gone from memory to the disk. Memory only.
    pub fn flushes(&self) -> u64 {
        self.shared.state.read().stats.flushes
    }

    /// The blob given to the last `apply` that had one, or the one stored.
    pub fn meta(&self) -> Option<Vec<u8>> {
        self.shared.state.read().meta.as_ref().map(|meta| meta.to_vec())
    }

    /// The cursor of the last `apply`, or the one stored.
    pub fn cursor(&self) -> Cursor {
        self.shared.state.read().active.cursor()
    }

    /// Up to `limit` orders that are due at `until_ms` or before, in order of (time, key), strictly after `after`.
    /// Blocking.
    ///
    /// # Errors
    /// `Damaged`, `Io`, `Closed`.
    pub fn deadlines(
        &self,
        until_ms: i64,
        after: Option<(i64, OrderKey)>,
        limit: usize,
    ) -> Result<Vec<DueOrder>, IndexError> {
        self.note_outcome(self.shared.due(until_ms, after, limit))
    }

    /// Sets a control entry. Call it *before* the `apply` whose frame it comes from: then the stored cursor never
    /// covers a control entry that is not stored. The other way round happens (an entry stored ahead of its frame);
    /// replaying the frame sets it again.
    ///
    /// # Errors
    /// `TooLarge` for a key over 512 bytes or a value over 4,096; the error with which the index failed; `Closed`.
    pub fn put_control(&self, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        if value.len() > controls::VALUE_MAX_BYTES {
            return Err(IndexError::TooLarge(format!("a control value of {} bytes", value.len())));
        }
        self.set_control(key, Some(value))
    }

    /// Removes a control entry, if it is there. As [`Index::put_control`].
    ///
    /// # Errors
    /// As [`Index::put_control`].
    pub fn remove_control(&self, key: &[u8]) -> Result<(), IndexError> {
        self.set_control(key, None)
    }

    /// A control entry. Blocking.
    ///
    /// # Errors
    /// `Damaged`, `Io`, `Closed`.
    pub fn get_control(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.note_outcome(self.shared.control(key))
    }

    /// Up to `limit` control entries whose key begins with `prefix`, in order of their keys, strictly after `after` (a
    /// whole key). Blocking.
    ///
    /// # Errors
    /// `Damaged`, `Io`, `Closed`.
    pub fn list_controls(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ControlPair>, IndexError> {
        self.note_outcome(self.shared.controls(prefix, after, limit))
    }

    /// Offers a snapshot for keeping. Dropped (and counted) when the queue is full or it is over 1 MB.
    pub fn save_snapshot(&self, key: OrderKey, bytes: Vec<u8>) {
        self.shared.snapshots.save(key, bytes);
        self.shared.wake();
    }

    /// The newest snapshot saved under `key`, if it survived; trouble counts as none. Blocking.
    pub fn load_snapshot(&self, key: &OrderKey) -> Option<Vec<u8>> {
        self.shared.snapshots.load(key)
    }

    /// Writes everything applied so far. Blocking.
    ///
    /// # Errors
    /// `Io` when nothing can be written at the moment. `Damaged`, `Closed`.
    pub fn flush_blocking(&self) -> Result<(), IndexError> {
        self.shared.flush_blocking()
    }

    /// Writes everything applied so far and ends the background thread. Again: does nothing. Blocking.
    ///
    /// # Errors
    /// `Damaged`, `Io`. The index is closed even so.
    pub fn close(&self) -> Result<(), IndexError> {
        let mut thread = self.thread.lock();
        let Some(handle) = thread.take() else { return Ok(()) };
        let flushed = self.flush_blocking();
        self.end(handle);
        flushed
    }

    /// Sizes, for gauges. Memory only.
    pub fn stats(&self) -> IndexStats {
        let state = self.shared.state.read();
        let sets = state.frozen.iter().map(AsRef::as_ref).chain([&state.active]);
        IndexStats {
            unflushed: sets.map(|set| set.len() as u64).sum(),
            suspended: state.suspended.is_some(),
            snapshots_dropped: self.shared.snapshots.dropped(),
            ..state.stats
        }
    }

    fn set_control(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), IndexError> {
        if key.len() > controls::KEY_MAX_BYTES {
            return Err(IndexError::TooLarge(format!("a control key of {} bytes", key.len())));
        }
        self.shared.set_control(key, value)
    }

    /// Damage found while reading ends the use of the index: what else is wrong no one knows.
    fn note_outcome<T>(&self, result: Result<T, IndexError>) -> Result<T, IndexError> {
        if let Err(error @ IndexError::Damaged(_)) = &result {
            self.shared.fail(error);
        }
        result
    }

    /// Ends the background thread and closes sled.
    fn end(&self, handle: thread::JoinHandle<()>) {
        self.shared.work.lock().stop = true;
        self.shared.wake();
        if self.shared.wait_ended() {
            // It catches its panics itself; there is nothing to learn here.
            drop(handle.join());
        }
        self.shared.release();
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if let Some(handle) = self.thread.lock().take() {
            self.end(handle);
        }
    }
}
