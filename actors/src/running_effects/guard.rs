//! Outcomes of effects on their way to their orders.
//!
//! Invariants:
//! - Until its outcome stands in a record, or turns out to be no news, an effect counts as running. So its order does
//!   not leave memory with the outcome in its mailbox, and nobody is asked twice.
//! - What is dropped on the way leaves a mark: a mailbox of an order that ended, a queue that is full, a tenant that
//!   parks the order. Somebody then looks who drives it.

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
    /// Its turn among those of its partition whose orders may have to be read first.
    turn: Option<OwnedSemaphorePermit>,
}

impl EffectGuard {
    /// The guard of effect `number`, which counts against the backlog.
    pub(crate) fn new(
        running: Arc<RunningEffects>,
        (order, role): (OrderRef, Role),
        number: u64,
        task: Arc<EffectTask>,
    ) -> Self {
        Self { running, order, role, number, task, counted: true, received: false, turn: None }
    }

    /// It waits for a retry from now on, and holds nobody back.
    pub(crate) fn slow_down(&mut self) {
        self.task.slow_down();
        self.ease();
    }

    /// Whether its outcome goes through the order's tenant.
    pub(crate) fn is_slow(&self) -> bool {
        self.task.is_slow()
    }

    /// It has an outcome, and holds no new order back any more.
    pub(crate) fn ease(&mut self) {
        if std::mem::replace(&mut self.counted, false) {
            self.running.backlog.end(self.role);
        }
    }

    /// Holds its turn until its outcome is recorded.
    pub(crate) fn take_turn(&mut self, turn: Option<OwnedSemaphorePermit>) {
        self.turn = turn;
    }

    /// Its order has the outcome.
    pub(crate) fn received(&mut self) {
        self.received = true;
    }
}

impl Drop for EffectGuard {
    fn drop(&mut self) {
        self.ease();
        let was_listed = self.running.ended(&self.order, self.number);
        if was_listed && !self.received {
            self.running.leave_behind();
        }
    }
}
