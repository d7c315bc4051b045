//! One asking for a step, and how it ended.

use std::sync::Arc;

use crate::ids::TimestampMs;
use crate::ports::LineUnits;
use crate::wire::command::Step;

/// One asking for a step: what its idempotency key is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StepAt {
    /// Which step.
    pub step: Step,
    /// How often the order has entered the step, this time included.
    pub instance: u32,
    /// Rises after a settlement only: `fulfillment::generation` (promise 4).
    pub generation: u32,
    /// The return that it is for, if any.
    pub part: Option<Arc<str>>,
}

/// A step is asked for from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepStarted {
    /// Which asking.
    pub at: StepAt,
    /// How much, in minor units; 0 where no money moves.
    pub amount_minor: i64,
    /// Which units; `None` means all of the order's.
    pub units: Option<Arc<[LineUnits]>>,
    /// When its participant must not carry it out any more.
    pub expires: TimestampMs,
}

impl StepOutcome {
    /// Does it say that the step was done?
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(
            self,
            Self::Done { .. } | Self::Settled { done: true, .. } | Self::Resolved { done: true, .. }
        )
    }

    /// Which units were done, where those are fewer than were asked for.
    #[must_use]
    pub const fn part(&self) -> Option<&Arc<[LineUnits]>> {
        match self {
            Self::Done { units, .. } => units.as_ref(),
            _ => None,
        }
    }

    /// What the participant calls what was done, if it was and it said so.
    #[must_use]
    pub const fn reference(&self) -> Option<&Arc<str>> {
        match self {
            Self::Done { reference, .. } => Some(reference),
            Self::Settled { done: true, reference } => reference.as_ref(),
            _ => None,
        }
    }
}

/// How a step ended or where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Done.
    Done {
        /// The participant's reference.
        reference: Arc<str>,
        /// How much, where that differs from what was asked.
        amount_minor: Option<i64>,
        /// Until when it stands by itself.
        expires: Option<TimestampMs>,
        /// Which units, where those are fewer than were asked for.
        units: Option<Arc<[LineUnits]>>,
    },
    /// Decided against.
    Declined {
        /// Why, for programs.
        code: Arc<str>,
        /// Why, for people.
        reason: Arc<str>,
        /// The lines that it is about.
        lines: Vec<LineUnits>,
    },
    /// Not done, as its participant says. Builds before the first release took it for the end of the key; since then
    /// the key is settled first ([`Event::SettleRequested`](super::Event::SettleRequested)).
    Failed {
        /// Why, for people.
        reason: Arc<str>,
    },
    /// Nobody knows.
    Unknown {
        /// Why, for people.
        reason: Arc<str>,
    },
    /// Taken on, and not decided yet.
    Pending {
        /// The participant's reference.
        reference: Arc<str>,
        /// When to look again.
        until: Option<TimestampMs>,
    },
    /// The doubt was ended.
    Settled {
        /// Was it done?
        done: bool,
        /// The participant's reference, if it was.
        reference: Option<Arc<str>>,
    },
    /// What should be undone cannot be.
    Refused {
        /// Why, for programs.
        code: Arc<str>,
        /// Why, for people.
        reason: Arc<str>,
    },
    /// There was nothing to do.
    Skipped {
        /// Why.
        reason: Arc<str>,
    },
    /// The doubt was ended: it was not done, and never will be.
    NotDone {
        /// What was said of it last, before it was settled.
        reason: Option<Arc<str>>,
        /// After how many calls, those that settled it included.
        calls: u32,
    },
    /// An operator said how it ended.
    Resolved {
        /// Was it done?
        done: bool,
        /// Who said so.
        operator: Arc<str>,
        /// How they know.
        evidence: Arc<str>,
    },
}
