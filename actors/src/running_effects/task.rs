//! The task of an effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

/// The task of an effect, as its list and the task itself see it.
#[derive(Default)]
pub(crate) struct EffectTask {
    /// It has waited for a retry: its order may leave memory, and hears of the outcome through its tenant.
    slow: AtomicBool,
    canceled: AtomicBool,
    abort: Mutex<Option<AbortHandle>>,
    /// Calls made so far.
    calls: AtomicU32,
    /// What the participant said last, or what kept it from answering; nothing while all goes well.
    last: Mutex<Option<Arc<str>>>,
}

impl EffectTask {
    /// Does its outcome go through the order's tenant?
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Acquire)
    }

    /// It waits for a retry from now on.
    pub(crate) fn slow_down(&self) {
        self.slow.store(true, Ordering::Release);
    }

    /// A call is made.
    pub(crate) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// A call brought no answer, for this reason.
    pub(crate) fn note(&self, reason: Arc<str>) {
        *self.last.lock() = Some(reason);
    }

    /// What was said last, and after how many calls.
    pub(crate) fn last_words(&self) -> (Option<Arc<str>>, u32) {
        (self.last.lock().clone(), self.calls.load(Ordering::Relaxed))
    }

    /// It runs, unless it has been canceled since it was asked for.
    pub(crate) fn set_abort(&self, abort: AbortHandle) {
        *self.abort.lock() = Some(abort);
        if self.canceled.load(Ordering::SeqCst) {
            self.cancel();
        }
    }

    /// Cancels it. Never under a lock that its guard takes: a runtime that shuts down drops it at once.
    pub(crate) fn cancel(&self) {
        self.canceled.store(true, Ordering::SeqCst);
        let abort = self.abort.lock().take();
        if let Some(abort) = abort {
            abort.abort();
        }
    }
}
