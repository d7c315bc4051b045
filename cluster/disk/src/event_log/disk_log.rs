//! The log of one machine as a whole: its parts, and their end in order.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::committer::Request;
use super::scrub::Scrubber;
use super::state::Inner;
use crate::log::writer::QueueError;
use crate::log::{LogOptions, Writer};
use retailflow_index::IndexOptions;

/// How a [`DiskLog`] is set up.
#[derive(Debug, Clone)]
pub struct DiskLogOptions {
    /// Sizes of the segment log.
    pub log: LogOptions,
    /// Sizes of the index.
    pub index: IndexOptions,
    /// Groups and notes that may wait for the writer; over it, a commit answers `Unavailable`. One group a partition
    /// is in flight, so P and a few is enough.
    pub queue_max: usize,
    /// Places of orders kept in memory beside the index.
    pub places_max: usize,
    /// A log of up to so many bytes is read as a whole before it is opened, so that damage anywhere is refused (0.3 s
    /// for 240 MB, measured). In a larger one only the end is, and the scrubber reads the rest.
    pub check_max_bytes: u64,
}

impl Default for DiskLogOptions {
    fn default() -> Self {
        Self {
            log: LogOptions::default(),
            index: IndexOptions::default(),
            queue_max: 1024,
            places_max: 65_536,
            check_max_bytes: 512 << 20,
        }
    }
}

/// The durable log of one machine. Close it with [`DiskLog::close`]; dropping it drains the queue and marks the clean
/// stop too, but leaves the index behind.
pub struct DiskLog {
    pub(super) inner: Arc<Inner>,
    pub(super) writer: Arc<RwLock<Writer<Request>>>,
    pub(super) scrubber: Mutex<Option<Scrubber>>,
    pub(super) lock: Mutex<Option<Box<dyn retailflow_os::files::LockGuard>>>,
}

impl DiskLog {
    /// Holds the reason once the log has failed for good; the process must then end.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.inner.failed.subscribe()
    }

    /// What tokens that strangers are shown can be sealed with, after a derivation of their own. Shown to nobody.
    #[must_use]
    pub fn secret(&self) -> [u8; 16] {
        self.inner.reader.secret()
    }

    /// The first damage that a read of this process came upon, if any.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        self.inner.damage.lock().clone()
    }

    /// Sizes of the index, for gauges.
    #[must_use]
    pub fn index_stats(&self) -> retailflow_index::IndexStats {
        self.inner.index.stats()
    }

    /// Hands the writer a request, or gives it back.
    pub(super) fn send(&self, request: Request) -> Result<(), QueueError<Request>> {
        self.writer.read().send(request)
    }

    /// Takes no more, makes durable what waits, marks the clean stop, writes the index, gives up the lock. Blocks.
    pub fn close(&self) {
        self.writer.write().close();
        drop(self.scrubber.lock().take());
        if let Err(error) = self.inner.index.close() {
            tracing::warn!(%error, "the index was not written; it is caught up at the next start");
        }
        *self.lock.lock() = None;
    }
}

impl Drop for DiskLog {
    fn drop(&mut self) {
        // Not left to the writer's own end: a read of places that is under way may hold it for a moment longer.
        self.writer.write().close();
    }
}

/// The folders of a log under its data folder.
pub(super) fn folders(data: &std::path::Path) -> (PathBuf, PathBuf) {
    (data.join("log"), data.join("index"))
}
