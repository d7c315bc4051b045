//! The last group that can be read, and waiting for the next one: what the process's own readers of the log go by.
//!
//! Invariant: it moves when a batch is durable and visible, and before any of it is answered. So it is never behind
//! what was acknowledged, and what stands up to it is found by every read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::{LogPosition, LoggedGroup, ReadError, StoredRecord};

use super::{DiskLog, Inner, Trouble};
use crate::log::{FrameKind, Hash, Position, group};

/// How far the log can be read.
pub(crate) struct Tail {
    /// 0 for a log without groups.
    last: AtomicU64,
    waiting: Mutex<()>,
    moved: Condvar,
}

impl Tail {
    pub(super) fn new(last: u64) -> Self {
        Self { last: AtomicU64::new(last), waiting: Mutex::new(()), moved: Condvar::new() }
    }

    /// The position of the last group.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    pub(super) fn moved(&self, last: u64) {
        self.last.store(last, Ordering::Release);
        self.wake();
    }

    /// Has those who wait look whether they still want to.
    pub(crate) fn wake(&self) {
        // Under the lock, so that nobody can miss it between the look and the wait.
        let _waiting = self.waiting.lock();
        self.moved.notify_all();
    }

    /// Waits while there is nothing after `after` and `go_on` holds, at most so long. Blocks.
    pub(crate) fn wait(&self, after: u64, at_most: Duration, go_on: impl Fn() -> bool) {
        let mut waiting = self.waiting.lock();
        if self.last() <= after && go_on() {
            self.moved.wait_for(&mut waiting, at_most);
        }
    }
}

/// For the process's own readers, on threads that may block.
impl DiskLog {
    pub(crate) fn tail(&self) -> &std::sync::Arc<Tail> {
        &self.inner.tail
    }

    /// Groups after `after`, about `limit_bytes` of them; none that [`Tail::last`] does not cover.
    pub(crate) fn scan_blocking(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> Result<Vec<LoggedGroup>, ReadError> {
        let last = self.inner.tail.last();
        if after.0 >= last {
            return Ok(Vec::new());
        }
        let mut groups = self.inner.told(self.inner.scan(after, limit_bytes))?;
        groups.retain(|group| group.position.0 <= last);
        Ok(groups)
    }

    /// As [`EventLog::read_order`](retailflow_engine::ports::EventLog::read_order).
    pub(crate) fn read_order_blocking(&self, order: &OrderRef) -> Result<Vec<StoredRecord>, ReadError> {
        self.inner.told(self.inner.read_order(order, 0))
    }

    /// How many bytes of the log stand before `position`, about.
    pub(crate) fn bytes_before(&self, position: u64) -> u64 {
        self.inner.reader.bytes_before(Position(position))
    }

    /// The hash of the group at `position`, which tells all that stands before it; `None` when none stands there.
    pub(crate) fn group_hash_blocking(&self, position: u64) -> Result<Option<Hash>, ReadError> {
        match self.inner.reader.frame(Position(position)).map_err(Trouble::from) {
            Err(Trouble::Damaged(_)) => Ok(None),
            frame => Ok(Some(frame?).filter(|frame| frame.kind == FrameKind::Group).map(|frame| frame.hash)),
        }
    }

    /// The group at `position`; `None` when none stands there.
    pub(crate) fn group_blocking(&self, position: u64) -> Result<Option<LoggedGroup>, ReadError> {
        let frame = match self.inner.reader.frame(Position(position)).map_err(Trouble::from) {
            Err(Trouble::Damaged(_)) => return Ok(None),
            frame => frame?,
        };
        Ok(Some(frame)
            .filter(|frame| frame.kind == FrameKind::Group)
            .and_then(|frame| group::logged(&frame).ok()))
    }
}

impl Inner {
    pub(super) fn told<T>(&self, done: Result<T, Trouble>) -> Result<T, ReadError> {
        if let Err(Trouble::Lost(why)) = &done {
            // The index is a cache: its damage is no order's fault. The process ends, and builds it again.
            self.fail(why);
        }
        Ok(done?)
    }
}
