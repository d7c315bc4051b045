//! Callers at the ask door. Each asks the same id again until it has an answer for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_actors::NodeHandle;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::wire::{Code, CommandEvent, Outcome};
use retailflow_invariants::{InvariantId, OutcomeBook, Violation};

use crate::dry_runs::DryRuns;
use crate::script::AskClient;
use crate::time::WorldClock;
use crate::trace::Trace;

/// A caller who has not got an answer for good after so many tries never will.
const ATTEMPTS_MAX: u32 = 1000;

/// What everyone in a world shares.
pub(crate) struct Shared {
    pub(crate) clock: WorldClock,
    pub(crate) trace: Arc<Trace>,
    pub(crate) book: Mutex<OutcomeBook>,
    pub(crate) violations: Mutex<Vec<Violation>>,
    /// The node that is up, if one is.
    pub(crate) node: Mutex<Option<NodeHandle>>,
    /// Who only looks.
    pub(crate) dry_runs: DryRuns,
    /// Outcomes given again before the audit and in it.
    pub(crate) replays: AtomicU64,
}

impl Shared {
    pub(crate) fn violated(&self, violation: Violation) {
        self.trace.note(format!("VIOLATION {violation}"));
        self.violations.lock().push(violation);
    }

    /// Notes an outcome that someone got.
    pub(crate) fn record_answer(&self, who: &str, event: &CommandEvent, outcome: &Outcome) {
        self.trace.note(format!(
            "{who}: {} {} {}{} version {:?}",
            event.order,
            event.key,
            outcome.code,
            if outcome.replayed { " again" } else { "" },
            outcome.version
        ));
        self.replays.fetch_add(u64::from(outcome.replayed), Ordering::Relaxed);
        if !outcome.is_consistent() {
            let text = format!("{} {}: {outcome:?} contradicts itself", event.order, event.key);
            self.violated(Violation::new(InvariantId::OneOutcome, text));
        }
        let mut book = self.book.lock();
        if outcome.code == Code::IdReused {
            book.refused_as_reused(&event.order, &event.key, event.content_hash());
        }
        if let Err(violation) = book.given(&event.order, &event.key, outcome) {
            drop(book);
            self.violated(violation);
        }
    }
}

/// Will asking again give nothing else?
pub(crate) fn is_final(outcome: &Outcome) -> bool {
    !outcome.code.retry_helps() || outcome.code == Code::OrderNotFound
}

/// Caller `index` of `count`. No two callers ever send in the same millisecond: when many lose their answers at once,
/// the order in which they hear of it (a matter of addresses in memory) must not decide what happens next.
pub(crate) async fn call(shared: Arc<Shared>, caller: AskClient, index: u64, count: u64) {
    let who = format!("caller {index}");
    let command = Command::from_event(caller.event.clone(), Actor::Tenant);
    let mut next_ms = caller.first_ms;
    let mut lost = None;
    for _ in 0..ATTEMPTS_MAX {
        own_slot(&shared.clock, next_ms, index, count).await;
        next_ms = 0;
        if let Some(outcome) = lost.take() {
            shared.record_answer(&who, &caller.event, &outcome);
        }
        let Some(node) = shared.node.lock().clone() else { continue };
        if let Some(violation) = shared.dry_runs.perhaps_dry_run(&shared.trace, &node, &caller.event).await {
            shared.violated(violation);
        }
        shared.trace.note(format!("{who} asks: {} {}", caller.event.order, caller.event.key));
        let patience = Duration::from_millis(caller.patience_ms);
        let Ok(outcome) = tokio::time::timeout(patience, node.ask(command.clone())).await else { continue };
        if outcome.code == Code::OutcomeUnknown {
            lost = Some(outcome);
            continue;
        }
        shared.record_answer(&who, &caller.event, &outcome);
        if is_final(&outcome) {
            return;
        }
    }
    let text =
        format!("{} {} has no answer after {ATTEMPTS_MAX} tries", caller.event.order, caller.event.key);
    shared.violated(Violation::new(InvariantId::Progress, text));
}

/// Waits for the next millisecond, not before `from_ms`, that is this caller's.
async fn own_slot(clock: &WorldClock, from_ms: u64, index: u64, count: u64) {
    let now_ms = clock.elapsed_ms();
    let from_ms = from_ms.max(now_ms + 1);
    let slot_ms = from_ms + (index + count - from_ms % count) % count;
    tokio::time::sleep(Duration::from_millis(slot_ms - now_ms)).await;
}
