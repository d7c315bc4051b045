//! A key and the one after it.
//!
//! Invariant: no key lives on behind a new one, whoever wants the step again. A generation rises here and nowhere else,
//! and only with the proof that the key before it was settled as not done: from that on no request under it does
//! anything. An operator's word is no such proof, nor is a participant's report: both have the key settled first.

use crate::order::{Active, StepAt, StepOutcome};

/// Proof that an asking was settled: it was not done, and never will be.
#[derive(Debug)]
pub(super) struct SettledKey<'a> {
    at: &'a StepAt,
}

impl<'a> SettledKey<'a> {
    /// The proof, if `outcome` of the asking `ended` is one.
    pub(super) const fn of(ended: &'a Active, outcome: &StepOutcome) -> Option<Self> {
        match outcome {
            StepOutcome::Settled { done: false, .. } | StepOutcome::NotDone { .. } => {
                Some(Self { at: &ended.at })
            }
            _ => None,
        }
    }

    /// The same step under the next generation.
    pub(super) fn next_generation(self) -> StepAt {
        StepAt { generation: self.at.generation.saturating_add(1), ..self.at.clone() }
    }
}
