//! Draws the faults of a world from its seed, and counts them.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::plan::Faults;
use crate::time::Dice;

/// A fault below a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Appended, answered `Unknown`.
    LostAnswer,
    /// Appended, never answered.
    Silent,
    /// Answered `Unknown`, appended later.
    LateUnknown,
    /// Never answered, appended later.
    LateSilent,
    /// Answered `Unknown`, never appended.
    NeverDone,
    /// Refused for want of room.
    NoRoom,
    /// Another owner comes in between.
    CompetingWriter,
    /// A read fails.
    Read,
    /// A store fails before its work.
    Before,
    /// A store fails after its work.
    After,
    /// A step is done, and its answer lost: `Unknown`.
    StepLost,
    /// A step is done, and never answered.
    StepSilent,
    /// A request is given up, and carried out later.
    StepLate,
    /// A request is given up, and never carried out.
    StepNever,
    /// A request fails, and did nothing.
    StepFailed,
    /// A request is delivered twice.
    StepTwice,
    /// A participant decides against a step.
    StepDeclined,
    /// A participant takes a step on, and reports it later, or never.
    StepPending,
}

/// The deck that the faults of a world are drawn from.
#[derive(Debug)]
pub(crate) struct FaultDeck {
    faults: Faults,
    dice: Dice,
    drawn: Mutex<BTreeMap<Fault, u32>>,
    calm: std::sync::atomic::AtomicBool,
}

impl FaultDeck {
    pub(crate) fn new(faults: Faults, dice: Dice) -> Self {
        Self { faults, dice, drawn: Mutex::default(), calm: false.into() }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calm(&self) {
        self.calm.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// What was drawn, and how often.
    pub(crate) fn drawn(&self) -> BTreeMap<Fault, u32> {
        self.drawn.lock().clone()
    }

    pub(crate) fn dice(&self) -> &Dice {
        &self.dice
    }

    /// The next delay to or from the log.
    pub(crate) fn latency_ms(&self) -> u64 {
        self.dice.below(self.faults.latency_max_ms + 1)
    }

    /// What befalls an append.
    pub(crate) fn append(&self) -> Option<Fault> {
        let faults = &self.faults;
        let half = self.dice.below(3);
        let lost = [Fault::LostAnswer, Fault::LostAnswer, Fault::Silent];
        let unknown = [Fault::LateUnknown, Fault::LateSilent, Fault::NeverDone];
        let pick = |from: [Fault; 3]| from[usize::try_from(half).unwrap_or(0)];
        self.draw(&[
            (faults.lost_answer_permille, pick(lost)),
            (faults.unknown_permille, pick(unknown)),
            (faults.unavailable_permille, Fault::NoRoom),
            (faults.rival_permille, Fault::CompetingWriter),
        ])
    }

    /// Does a read fail?
    pub(crate) fn read(&self) -> bool {
        self.draw(&[(self.faults.read_permille, Fault::Read)]).is_some()
    }

    /// What befalls a small store.
    pub(crate) fn store(&self) -> Option<Fault> {
        let half = self.faults.store_permille / 2;
        self.draw(&[(half, Fault::Before), (half, Fault::After)])
    }

    /// What befalls a call of a participant.
    pub(crate) fn step(&self, forward: bool) -> Option<Fault> {
        let share = self.faults.step_permille / 8;
        let faults = [
            Fault::StepLost,
            Fault::StepSilent,
            Fault::StepLate,
            Fault::StepNever,
            Fault::StepFailed,
            Fault::StepTwice,
            Fault::StepDeclined,
            Fault::StepPending,
        ];
        let kinds = if forward { faults.len() } else { faults.len() - 2 };
        let weights: Vec<(u32, Fault)> = faults[..kinds].iter().map(|fault| (share, *fault)).collect();
        self.draw(&weights)
    }

    fn draw(&self, weights: &[(u32, Fault)]) -> Option<Fault> {
        let mut number = self.dice.below(1000);
        if self.calm.load(std::sync::atomic::Ordering::Relaxed) {
            return None;
        }
        let mut drawn = self.drawn.lock();
        if drawn.values().sum::<u32>() >= self.faults.count_max {
            return None;
        }
        for (permille, fault) in weights {
            if number < u64::from(*permille) {
                *drawn.entry(*fault).or_default() += 1;
                return Some(*fault);
            }
            number -= u64::from(*permille);
        }
        None
    }
}
