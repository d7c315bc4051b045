//! Outcomes of effects on their way to their orders.
//!
//! Invariants:
//! - Until its outcome stands in a record, or turns out to be no news, an effect counts as running. So its order does
//!   not leave memory with the outcome in its mailbox, and no participant is asked twice.
//! - What is dropped on the way leaves a mark: a mailbox of an order that ended, a queue that is full, a tenant that
//!   parks the order. The sweeper then scans for undriven orders.

use std::sync::Arc;

use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::Role;
use tokio::sync::OwnedSemaphorePermit;

use super::list::RunningEffects;
use super::task::EffectTask;

/// What an effect holds until its outcome is recorded; dropped before its order has it, it leaves a mark.
pub(crate) struct EffectGuard {
    running: Arc<RunningEffects>,
    order: OrderRef,
    role: Role,
    number: u64,
    task: Arc<EffectTask>,
    counted: bool,
    received: bool,
    /// Its permit among those of its partition whose orders may have to be read first.
    permit: Option<OwnedSemaphorePermit>,
}

impl EffectGuard {
    /// The guard of effect `number`, which counts against the backlog.
    pub(crate) fn new(
        running: Arc<RunningEffects>,
        (order, role): (OrderRef, Role),
        number: u64,
        task: Arc<EffectTask>,
    ) -> Self {
        Self { running, order, role, number, task, counted: true, received: false, permit: None }
    }

    /// It waits for a retry from now on, and holds no new order back.
    pub(crate) fn slow_down(&mut self) {
        self.task.slow_down();
        self.release_backlog_slot();
    }

    /// A call is made.
    pub(crate) fn count_call(&self) {
        self.task.count_call();
    }

    /// A call brought no answer, for this reason.
    pub(crate) fn note(&self, reason: impl Into<Arc<str>>) {
        self.task.note(reason.into());
    }

    /// What was said last, and after how many calls.
    pub(crate) fn last_words(&self) -> (Option<Arc<str>>, u32) {
        self.task.last_words()
    }

    /// Whether its outcome goes through the order's tenant.
    pub(crate) fn is_slow(&self) -> bool {
        self.task.is_slow()
    }

    /// It has an outcome, and holds no new order back any more.
    pub(crate) fn release_backlog_slot(&mut self) {
        if std::mem::replace(&mut self.counted, false) {
            self.running.backlog.end(self.role);
        }
    }

    /// Holds its permit until its outcome is recorded.
    pub(crate) fn hold_permit(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    /// Its order has the outcome.
    pub(crate) fn mark_received(&mut self) {
        self.received = true;
    }
}

impl Drop for EffectGuard {
    fn drop(&mut self) {
        self.release_backlog_slot();
        let was_listed = self.running.remove(&self.order, self.number);
        if was_listed && !self.received {
            self.running.request_rescan();
        }
    }
}
