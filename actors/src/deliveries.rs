//! Outcomes of effects on their way to their orders.
//!
//! Invariants:
//! - Until its outcome stands in a record, or turns out to be no news, an effect counts as running. So its order does
//!   not leave memory with the outcome in its mailbox, and nobody is asked twice.
//! - What is dropped on the way leaves a mark: a mailbox of an order that ended, a queue that is full, a tenant that
//!   parks the order. Somebody then looks who drives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use ractor::ActorRef;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::order::{EngineCommand, StepAt, StepOutcome};
use retailflow_engine::ports::Role;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use crate::effects::Effects;
use crate::mutant::Mutant;
use crate::order::OrderMsg;
use crate::sweeper::Found;

/// The task of an effect, as its list and the task itself see it.
#[derive(Default)]
pub(crate) struct Task {
    /// It has waited for a retry: its order may leave memory, and hears of the outcome through its tenant.
    slow: AtomicBool,
    canceled: AtomicBool,
    abort: Mutex<Option<AbortHandle>>,
}

impl Task {
    /// Does its outcome go through the order's tenant?
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Acquire)
    }

    /// It runs, unless it has been canceled since it was asked for.
    pub(crate) fn spawned(&self, abort: AbortHandle) {
        *self.abort.lock() = Some(abort);
        if self.canceled.load(Ordering::SeqCst) {
            self.cancel();
        }
    }

    /// Ends it. Never under a lock that its end takes: a runtime that closes ends it here and now.
    pub(crate) fn cancel(&self) {
        self.canceled.store(true, Ordering::SeqCst);
        let abort = self.abort.lock().take();
        if let Some(abort) = abort {
            abort.abort();
        }
    }
}

/// What an effect holds until its outcome is recorded; dropped before its order has it, it leaves a mark.
pub(crate) struct Guard {
    pub(crate) effects: Arc<Effects>,
    order: OrderRef,
    role: Role,
    number: u64,
    task: Arc<Task>,
    counted: bool,
    received: bool,
    /// Its turn among those of its partition whose orders may have to be read first.
    turn: Option<OwnedSemaphorePermit>,
}

impl Guard {
    /// The guard of effect `number`, which counts against the backlog.
    pub(crate) fn new(
        effects: Arc<Effects>,
        (order, role): (OrderRef, Role),
        number: u64,
        task: Arc<Task>,
    ) -> Self {
        Self { effects, order, role, number, task, counted: true, received: false, turn: None }
    }

    /// It waits for a retry from now on, and holds nobody back.
    pub(crate) fn slow_down(&mut self) {
        self.task.slow.store(true, Ordering::Release);
        self.ease();
    }

    fn ease(&mut self) {
        if std::mem::replace(&mut self.counted, false) {
            self.effects.backlog.end(self.role);
        }
    }

    /// Sends the outcome to `order`, or to its tenant where it may have left memory: then it waits for its turn, so that callers do not
    /// wait in their tenant's mailbox behind all that came back at once.
    pub(crate) async fn deliver(mut self, at: StepAt, outcome: StepOutcome, order: &ActorRef<OrderMsg>) {
        self.ease();
        let (effects, reference) = (self.effects.clone(), self.order.clone());
        if self.task.is_slow() {
            self.turn = effects.turn(&reference).await;
        }
        let command = EngineCommand::StepOutcome { at, outcome };
        let is_slow = self.task.is_slow();
        let mut news = EngineNews { command, guard: Some(self) };
        if effects.settings.is(Mutant::ForgetsOutcomes) {
            news.received();
            news.guard = None;
        }
        if is_slow {
            effects.to_order(reference, ToOrder::Engine(news));
        } else if let Err(ractor::MessagingErr::SendErr(OrderMsg::Engine(news))) =
            order.cast(OrderMsg::Engine(news))
        {
            effects.to_order(reference, ToOrder::Engine(news));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.ease();
        let was_listed = self.effects.ended(&self.order, self.number);
        if was_listed && !self.received {
            self.effects.leave_behind();
        }
    }
}

/// A command of the engine's own on its way to an order.
pub(crate) struct EngineNews {
    pub(crate) command: EngineCommand,
    /// Of the effect whose outcome it is; a deadline comes again by itself.
    guard: Option<Guard>,
}

impl EngineNews {
    /// The order's deadline may have passed.
    pub(crate) fn deadline_passed() -> Self {
        Self { command: EngineCommand::DeadlinePassed, guard: None }
    }

    /// Its order has it: whatever becomes of the order, it asks again for what it still needs.
    pub(crate) fn received(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.received = true;
        }
    }
}

/// What the engine itself tells an order.
pub(crate) enum ToOrder {
    /// Decide this.
    Engine(EngineNews),
    /// See to it that what the order asks for is driven.
    Wake,
    /// The same for an order that was found by looking through those that are open, or are due.
    Found(Found),
}

impl From<ToOrder> for OrderMsg {
    fn from(message: ToOrder) -> Self {
        match message {
            ToOrder::Engine(news) => Self::Engine(news),
            ToOrder::Wake => Self::Wake,
            ToOrder::Found(found) => Self::Found(found),
        }
    }
}
