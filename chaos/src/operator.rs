//! An operator who says at any time, of any step, how it ended.
//!
//! "Done" is said only of what its participant has in its book: an operator may believe what they have seen. "Not done" is
//! said of anything, and is often wrong: the engine has to find that out.

use retailflow_books::reference;
use retailflow_engine::ids::{CommandId, CommandKey, Source};
use retailflow_engine::ports::Role;
use retailflow_engine::wire::command::{ResolveStepData, ResolvedAs, ResumeData, Step};
use retailflow_engine::wire::{CommandData, CommandEvent};
use retailflow_testkit::simulated::SimParticipants;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::faulty_participants::Asked;
use crate::time::Dice;

/// How often there is something to be said, in thousandths of the looks.
const SAYS_PERMILLE: u32 = 120;
/// Commands of one operator in one world, at most.
const SAYS_MAX: u32 = 60;

pub(crate) struct Operator {
    dice: Dice,
    said: AtomicU32,
}

impl Operator {
    pub(crate) const fn new(dice: Dice) -> Self {
        Self { dice, said: AtomicU32::new(0) }
    }

    /// What the operator has to say now of one of the steps that were `asked` for, if anything.
    pub(crate) fn says(&self, asked: &[Asked], sim: &SimParticipants) -> Option<CommandEvent> {
        let number = self.said.load(Ordering::Relaxed);
        if asked.is_empty() || number >= SAYS_MAX || !self.dice.chance(SAYS_PERMILLE) {
            return None;
        }
        let at = usize::try_from(self.dice.below(asked.len() as u64)).ok()?;
        let Asked { order, step, key, payment } = asked.get(at)?;
        // Of which payment they know; of which return or refund, nobody has told them.
        let part = payment.filter(|_| *step != Step::Refund).map(|number| format!("p{}", number + 1));
        let was_done = sim.runs(Role::of(*step), key) > 0;
        let resolve = |resolved_as, evidence: &str| {
            CommandData::ResolveStep(ResolveStepData {
                step: *step,
                resolved_as,
                evidence: evidence.into(),
                part: part.clone(),
                expected_version: None,
            })
        };
        let data = match self.dice.below(5) {
            0 => CommandData::Resume(ResumeData::default()),
            1 if was_done => resolve(ResolvedAs::Done, &reference(*step, key)),
            _ => resolve(ResolvedAs::NotDone, "nothing to be seen on the account"),
        };
        let id = CommandId::parse(&format!("op{number}")).ok()?;
        let key = CommandKey { source: Source::parse("/ops").ok()?, id };
        self.said.store(number + 1, Ordering::Relaxed);
        Some(CommandEvent::new(order.clone(), key, data))
    }
}
