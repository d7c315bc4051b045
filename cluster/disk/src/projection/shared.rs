//! What the projector's threads and the readers share.
//!
//! Locks are taken in this order: `shelf`, `lists`. `ring` is taken alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::ids::CommandKey;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::{EventLog, ViewError};
use tokio::sync::{Semaphore, watch};

use super::lists::Lists;
use super::long::{self, Secret};
use super::options::ProjectionOptions;
use super::reader_permits::ReaderPermits;
use super::ring::Ring;
use super::shelf::Shelf;
use crate::event_log::{DiskLog, KnownRecords, LongOrders};
use retailflow_index::IndexError;

/// What keeps the lists from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The disk of the lists has no room.
    NoRoom,
    /// The disk of the lists fails.
    DiskFails,
    /// Something else.
    Other,
}

/// How far the lists are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewsProgress {
    /// Bytes of the log that the lists have read, about.
    pub read_bytes: u64,
    /// Bytes of the log, about.
    pub log_bytes: u64,
    /// Why the lists are not shown, if they are not.
    pub why_not: Option<ViewError>,
}

/// Whether the lists can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ViewsPhase {
    /// Not yet, or not now; why not.
    Not(Arc<str>, Cause),
    /// They read what stands in the log up to `until` before they are shown.
    CatchingUp {
        /// The last group that was in the log when they began.
        until: u64,
    },
    /// They follow the log.
    Following,
    /// Never again.
    Closed,
}

/// How far the projector is.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// The last group that it took in.
    pub(super) position: u64,
    pub(super) phase: ViewsPhase,
}

impl Progress {
    /// Why nothing can be read for now, if so; lists that catch up are read, but not shown.
    pub(super) fn trouble(&self) -> Option<String> {
        match &self.phase {
            ViewsPhase::Following | ViewsPhase::CatchingUp { .. } => None,
            ViewsPhase::Not(why, _) => Some(why.to_string()),
            ViewsPhase::Closed => Some("it is closed".into()),
        }
    }
}

/// More at a time bring nothing from a disk.
const PAGES_MAX: usize = 8;

pub(super) struct Shared {
    pub(super) log: Arc<DiskLog>,
    pub(super) log_id: [u8; 16],
    pub(super) dir: PathBuf,
    pub(super) options: ProjectionOptions,
    /// Held for writing while rows change and the lists in memory are told: a reader of both sees one position.
    pub(super) shelf: RwLock<Option<Shelf>>,
    pub(super) lists: RwLock<Lists>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) ring: Mutex<Ring>,
    /// Pages of lists, and places of readers, that are looked up at a time: each takes a thread of the runtime's.
    pub(super) pages: Arc<Semaphore>,
    /// Steps of readers of old events that are under way.
    pub(super) catching_up: Arc<ReaderPermits>,
    /// Readers that keep their orders' states between two steps.
    pub(super) keeping: Arc<ReaderPermits>,
    /// What the shelf's commands are hashed with.
    pub(super) secret: Mutex<Secret>,
    /// For tests: with what the shelf's disk fails, and whether it fails.
    #[cfg(test)]
    pub(super) fault: Mutex<Option<IndexError>>,
    stop: AtomicBool,
    /// Stop without writing anything more, as a kill would.
    killed: AtomicBool,
}

impl Shared {
    pub(super) fn new(log: Arc<DiskLog>, dir: PathBuf, options: ProjectionOptions) -> Self {
        let opening =
            Progress { position: 0, phase: ViewsPhase::Not("it is being opened".into(), Cause::Other) };
        Self {
            log_id: log.identity().log_id,
            log,
            dir,
            shelf: RwLock::new(None),
            lists: RwLock::default(),
            progress: watch::Sender::new(opening),
            ring: Mutex::new(Ring::new(options.ring_events_max, options.ring_bytes_max)),
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            catching_up: ReaderPermits::new(options.catching_up_max),
            keeping: ReaderPermits::new(options.catching_up_max),
            options,
            secret: Mutex::default(),
            #[cfg(test)]
            fault: Mutex::default(),
            stop: AtomicBool::new(false),
            killed: AtomicBool::new(false),
        }
    }

    /// How far the lists are.
    pub(super) fn views_progress(&self) -> ViewsProgress {
        let Progress { position, phase } = self.progress.borrow().clone();
        let read_bytes = self.log.bytes_before(position);
        let why_not = match phase {
            ViewsPhase::Following => None,
            ViewsPhase::CatchingUp { until } => {
                Some(ViewError::Building { read_bytes, of_bytes: self.log.bytes_before(until) })
            }
            ViewsPhase::Not(_, Cause::NoRoom) => Some(ViewError::Disk { full: true }),
            ViewsPhase::Not(_, Cause::DiskFails) => Some(ViewError::Disk { full: false }),
            ViewsPhase::Not(why, Cause::Other) => Some(ViewError::Unavailable(why.to_string())),
            ViewsPhase::Closed => Some(ViewError::Unavailable("it is closed".into())),
        };
        ViewsProgress { read_bytes, log_bytes: self.log.bytes_before(self.log.tail().last()), why_not }
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.log.tail().wake();
    }

    /// The failure of the shelf's disk, in tests.
    pub(super) fn disk(&self) -> Result<(), IndexError> {
        #[cfg(test)]
        if let Some(error) = self.fault.lock().clone() {
            return Err(error);
        }
        Ok(())
    }

    /// For tests: stops without writing anything more.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.stop();
    }

    pub(super) fn killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// A position of the log as callers have it.
    pub(super) fn token(&self, position: u64) -> String {
        self.token_at(position, 0)
    }

    /// The same with the number of an event.
    pub(super) fn token_at(&self, position: u64, index: u32) -> String {
        let cursor = Cursor { log_id: self.log_id, position, index };
        // A cursor is never too large.
        cursor.to_token().unwrap_or_default()
    }

    /// The place that a token names; an error in words when it names none of this log.
    pub(super) fn place(&self, token: &str) -> Result<Cursor, String> {
        let cursor = Cursor::from_token(token).map_err(|error| error.to_string())?;
        match cursor.log_id == self.log_id {
            true => Ok(cursor),
            false => Err("it belongs to another log".into()),
        }
    }

    /// The number of a park mark among those of its order that told something, from 0; `None` for one that did not. The
    /// projector must have passed it.
    pub(super) fn mark_number(&self, order: &OrderRef, position: u64) -> Result<Option<u32>, String> {
        self.of_marks(order, |marks| marks.iter().position(|mark| *mark == position))
    }

    /// Which of an order's parkings (from 0) stood before the entry at `position`.
    pub(super) fn parking_before(&self, order: &OrderRef, position: u64) -> Result<Option<u32>, String> {
        self.of_marks(order, |marks| marks.partition_point(|mark| *mark < position).checked_sub(1))
    }

    fn of_marks(
        &self,
        order: &OrderRef,
        find: impl FnOnce(&[u64]) -> Option<usize>,
    ) -> Result<Option<u32>, String> {
        let number = |marks: &[u64]| find(marks).and_then(|at| u32::try_from(at).ok());
        let shelf = self.shelf.read();
        if let Some(tracked) = self.lists.read().get(order) {
            return Ok(number(&tracked.marks));
        }
        let shelf = shelf.as_ref().ok_or("the lists are not open")?;
        Ok(number(&shelf.marks(order).map_err(|error| error.to_string())?))
    }
}

impl LongOrders for Shared {
    fn records(&self, order: &OrderRef, after: u64, decisions: u64) -> Option<KnownRecords> {
        self.known(|shelf| long::records(shelf.store(), order, after, decisions))
    }

    fn with_command(&self, order: &OrderRef, command: &CommandKey) -> Option<KnownRecords> {
        let secret = *self.secret.lock();
        self.known(|shelf| long::with_command(shelf.store(), order, command, &secret))
    }
}

impl Shared {
    /// `None` when the shelf is not open, knows nothing of the order or cannot be read.
    fn known(&self, read: impl FnOnce(&Shelf) -> Result<KnownRecords, IndexError>) -> Option<KnownRecords> {
        let shelf = self.shelf.read();
        let known = read(shelf.as_ref()?);
        known.inspect_err(|error| tracing::warn!(%error, "long orders are read as a whole")).ok()
    }
}
