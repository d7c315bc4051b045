//! Dry runs at any time, of commands that nobody sends: what is told is marked and agrees with itself, and nothing of it is in
//! the log at the end, where every command that stands in it must have been answered to somebody.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use retailflow_actors::NodeHandle;
use retailflow_engine::ids::CommandId;
use retailflow_engine::order::Actor;
use retailflow_engine::ports::CommandDoor;
use retailflow_engine::wire::{CommandEvent, Outcome};
use retailflow_invariants::{InvariantId, Violation};

use crate::time::Dice;
use crate::trace::Trace;

const PATIENCE: Duration = Duration::from_millis(300);

/// Whoever only wants to see what would come of a command.
pub(crate) struct DryRuns {
    permille: u32,
    dice: Dice,
    number: AtomicU32,
}

impl DryRuns {
    pub(crate) const fn new(permille: u32, dice: Dice) -> Self {
        Self { permille, dice, number: AtomicU32::new(0) }
    }

    /// Looks at times what would come of `event`, under an id of its own or, as a retry, under the same. Says what was wrong.
    pub(crate) async fn perhaps_dry_run(
        &self,
        trace: &Trace,
        node: &NodeHandle,
        event: &CommandEvent,
    ) -> Option<Violation> {
        if self.permille == 0 || !self.dice.chance(self.permille) {
            return None;
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let mut dry = event.clone();
        if self.dice.chance(700)
            && let Ok(id) = CommandId::parse(&format!("dry-{number}"))
        {
            dry.key.id = id;
        }
        let is_new = dry.key.id != event.key.id;
        let outcome = node.dry_run(dry, Actor::Tenant, PATIENCE).await;
        trace.note(format!("dry run {number}: {} {} {}", event.order, event.key, outcome.code));
        let what = wrong(&outcome, is_new)?;
        let text = format!("{} {}: {what} in {outcome:?}", event.order, event.key);
        Some(Violation::new(InvariantId::OneOutcome, text))
    }
}

fn wrong(outcome: &Outcome, is_new: bool) -> Option<&'static str> {
    if !outcome.dry_run {
        return Some("a dry run is not marked");
    }
    if !outcome.is_consistent() {
        return Some("a dry run contradicts itself");
    }
    (is_new && outcome.replayed).then_some("an id that was never sent is known")
}
