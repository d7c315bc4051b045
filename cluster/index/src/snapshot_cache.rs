//! Snapshots on this machine's disk, for a node whose log is elsewhere.
//!
//! Invariant: it is a cache and never a truth. It gives bytes that were saved under that order, checked by a sum, or nothing; the log
//! decides whether a snapshot is believed. What is damaged, of another log or of another form is thrown away and begun anew.
//!
//! All writing is done by one thread, behind; what it cannot keep up with is dropped. sled syncs nothing, and nothing here has to be.
//! After a failure while it is open it keeps nothing more, until it is opened anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::order_key;
use retailflow_engine::ports::{PortFuture, Snapshots};
use tokio::sync::Semaphore;

use super::open::within;
use super::snapshots::SnapshotShelf;
use super::store::{self, Store};
use super::types::IndexError;

/// Of the form of what is stored. Another one is no trouble: all is begun anew.
const VERSION: u8 = 1;
/// Reads at a time: each takes a thread of the runtime's.
const READS_MAX: usize = 8;
const META_KEY: &[u8] = b"m";
const META_BYTES: usize = 30;
/// Between two times that what was written is handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// For the thread to end. sled may be stuck; then it is left behind.
const END_WITHIN: Duration = Duration::from_secs(30);
/// sled's files take more than what is in them.
const FOLDER_FACTOR: u64 = 3;
/// What an empty database may take.
const FOLDER_MIN_BYTES: u64 = 16 << 20;

/// Limits of a cache.
#[derive(Debug, Clone)]
pub struct SnapshotCacheOptions {
    /// About the most bytes of snapshots kept on disk; the older half goes when they are reached. sled's files take
    /// more; when they take three times as much, and over 48 MB, all is thrown away at the next opening.
    pub max_bytes: u64,
    /// Snapshots that may wait for the disk, of 8 MB in all; further ones are dropped.
    pub queue_max: usize,
    /// Page cache of sled, in bytes.
    pub cache_bytes: u64,
    /// Opening that takes longer than this, in milliseconds, plus what the folder's size explains, counts as damage.
    pub open_timeout_ms: u64,
}

impl Default for SnapshotCacheOptions {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, queue_max: 256, cache_bytes: 32 << 20, open_timeout_ms: 30_000 }
    }
}

/// An open cache. Dropping it closes it.
pub struct SnapshotCache {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Shared {
    dir: PathBuf,
    max_bytes: u64,
    shelf: SnapshotShelf,
    /// Neither closed nor failed.
    open: AtomicBool,
    turns: Arc<Semaphore>,
    work: Mutex<Work>,
    wake: Condvar,
    end: Condvar,
}

#[derive(Default)]
struct Work {
    stop: bool,
    ended: bool,
}

/// What is stored of the cache as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meta {
    log_id: [u8; 16],
    /// Which of the shelf's trees is written to, and about how many bytes are in it.
    turn: (u8, u64),
}

impl Meta {
    fn encode(self) -> [u8; META_BYTES] {
        let mut bytes = [VERSION; META_BYTES];
        bytes[1..17].copy_from_slice(&self.log_id);
        bytes[17] = self.turn.0;
        bytes[18..26].copy_from_slice(&self.turn.1.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..26]);
        bytes[26..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; META_BYTES] = bytes.try_into().ok()?;
        let (log_id, taken) = (bytes[1..17].try_into().ok()?, bytes[18..26].try_into().ok()?);
        let meta = Self { log_id, turn: (bytes[17], u64::from_le_bytes(taken)) };
        (meta.encode() == *bytes).then_some(meta)
    }
}

impl SnapshotCache {
    /// Opens the cache of the log `log_id` in `dir`, begun anew if what is there is no good. Blocking.
    ///
    /// # Errors
    /// `InUse` when someone else has it open; `Io`.
    pub fn open(dir: &Path, options: &SnapshotCacheOptions, log_id: [u8; 16]) -> Result<Self, IndexError> {
        let opened = match load(dir, options, log_id) {
            Err(IndexError::Damaged(why)) => {
                tracing::warn!(why, "the snapshots on disk are thrown away");
                destroy(dir)?;
                load(dir, options, log_id)
            }
            opened => opened,
        };
        let (store, shelf, meta) = opened?;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            max_bytes: options.max_bytes,
            shelf,
            open: AtomicBool::new(true),
            turns: Arc::new(Semaphore::new(READS_MAX)),
            work: Mutex::default(),
            wake: Condvar::new(),
            end: Condvar::new(),
        });
        let writer = Writer { shared: Arc::clone(&shared), store, meta, unflushed: None };
        let thread = thread::Builder::new().name("rf-snapshots".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| IndexError::Io(format!("no thread to write with: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Snapshots that were dropped because there were too many, or too large ones.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.shelf.dropped()
    }

    /// Writes what waits, ends the thread and lets go of the files. Again: does nothing. Blocking.
    pub fn close(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        let mut work = self.shared.work.lock();
        work.stop = true;
        self.shared.wake.notify_one();
        let until = Instant::now() + END_WITHIN;
        while !work.ended && !self.shared.end.wait_until(&mut work, until).timed_out() {}
        let ended = work.ended;
        drop(work);
        if ended {
            // It catches its panics itself; there is nothing to learn here.
            drop(thread.join());
        } else {
            tracing::warn!("the thread that writes snapshots has not ended and is left behind");
        }
    }
}

impl Drop for SnapshotCache {
    fn drop(&mut self) {
        self.close();
    }
}

fn destroy(dir: &Path) -> Result<(), IndexError> {
    Store::destroy(dir).map_err(|error| IndexError::Io(format!("{}: {error}", dir.display())))
}

type Opened = (Store, SnapshotShelf, Meta);

fn load(dir: &Path, options: &SnapshotCacheOptions, log_id: [u8; 16]) -> Result<Opened, IndexError> {
    let damaged = |why: &str| IndexError::Damaged(why.into());
    let (folder, cache_bytes, queue_max) = (dir.to_owned(), options.cache_bytes, options.queue_max);
    let folder_max = options.max_bytes.max(FOLDER_MIN_BYTES).saturating_mul(FOLDER_FACTOR);
    within(dir, options.open_timeout_ms, move || {
        let store = Store::open(&folder, cache_bytes)?;
        // Only now: nobody else has it open.
        if store.disk_bytes() > folder_max {
            return Err(damaged("they take more than they may"));
        }
        let meta = match store::get(store.main(), META_KEY)? {
            Some(bytes) => Meta::decode(&bytes).ok_or_else(|| damaged("what they are cannot be read"))?,
            None => Meta { log_id, turn: (0, 0) },
        };
        if meta.log_id != log_id {
            return Err(damaged("they are of another log"));
        }
        write_meta(&store, meta)?;
        store.flush()?;
        let shelf = SnapshotShelf::new(&store, meta.turn.0, queue_max)?;
        Ok((store, shelf, meta))
    })
}

fn write_meta(store: &Store, meta: Meta) -> Result<(), IndexError> {
    let mut batch = sled::Batch::default();
    batch.insert(META_KEY, &meta.encode());
    store::write(store.main(), batch)
}

/// The thread's own state.
struct Writer {
    shared: Arc<Shared>,
    store: Store,
    /// As stored.
    meta: Meta,
    /// Since when something was written that the operating system does not have.
    unflushed: Option<Instant>,
}

impl Writer {
    /// Until told to stop, or it fails.
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let worked = store::guarded("snapshots", || Ok(self.work())).flatten();
        shared.open.store(false, Ordering::Release);
        // sled writes what it still has, and may panic over it if it has failed before.
        let closed = store::guarded("close", || {
            shared.shelf.close();
            drop(self);
            Ok(())
        });
        if let Err(error) = worked.and(closed) {
            tracing::warn!(%error, "no more snapshots are kept on disk");
            if matches!(error, IndexError::Damaged(_))
                && let Err(error) = destroy(&shared.dir)
            {
                tracing::warn!(%error, "the snapshots on disk stay as they are");
            }
        }
        shared.work.lock().ended = true;
        shared.end.notify_all();
    }

    fn work(&mut self) -> Result<(), IndexError> {
        loop {
            let stop = self.rest();
            if !self.shared.shelf.is_idle() {
                let max_bytes = self.shared.max_bytes;
                self.meta.turn = self.shared.shelf.write(&self.store, self.meta.turn, max_bytes)?;
                write_meta(&self.store, self.meta)?;
                self.unflushed.get_or_insert_with(Instant::now);
            }
            if self.unflushed.is_some_and(|since| stop || since.elapsed() >= FLUSH_EVERY) {
                self.store.flush()?;
                self.unflushed = None;
            }
            if stop {
                return Ok(());
            }
        }
    }

    /// Waits for something to do; says whether it is to stop.
    fn rest(&self) -> bool {
        let mut work = self.shared.work.lock();
        while !work.stop && self.shared.shelf.is_idle() {
            match self.unflushed {
                None => self.shared.wake.wait(&mut work),
                Some(since) => {
                    if self.shared.wake.wait_until(&mut work, since + FLUSH_EVERY).timed_out() {
                        break;
                    }
                }
            }
        }
        work.stop
    }
}

impl Snapshots for SnapshotCache {
    fn load<'a>(&'a self, order: &'a OrderRef) -> PortFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            if !self.shared.open.load(Ordering::Acquire) {
                return None;
            }
            let (shared, key) = (Arc::clone(&self.shared), order_key(order));
            let turn = Arc::clone(&shared.turns).acquire_owned().await.ok()?;
            let load = move || {
                let _turn = turn;
                shared.shelf.load(&key)
            };
            tokio::task::spawn_blocking(load).await.ok().flatten()
        })
    }

    fn save(&self, order: &OrderRef, bytes: Vec<u8>) {
        if self.shared.open.load(Ordering::Acquire) {
            self.shared.shelf.save(order_key(order), bytes);
            // Under the lock, so that the thread can't miss it between its look at the queue and its wait.
            let _work = self.shared.work.lock();
            self.shared.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
