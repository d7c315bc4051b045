//! The last group that can be read, and waiting for the next one: what the process's own readers of the log go by.
//!
//! Invariant: it moves when a batch is durable and visible, and before any of it is answered. So it is never behind
//! what was acknowledged, and what stands up to it is found by every read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
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
