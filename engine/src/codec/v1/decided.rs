//! Who asked for what, and what was decided, of version 1, frozen.

use serde::{Deserialize, Serialize};

/// Command types by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as the public command types are")]
pub enum CommandKindV1 {
    Place,
    Cancel,
    Return,
    Report,
    Resume,
    ResolveStep,
    Compensate,
    Archive,
    Restore,
    /// 9: the engine's own: a step's outcome comes back.
    StepOutcome,
    /// 10: the engine's own: a deadline has passed.
    DeadlinePassed,
    /// 11: the engine's own: somebody should look at what two sides say.
    Contradiction,
    /// 12 to 18: what shops do beside.
    Refund,
    Hold,
    ReleaseHold,
    Pay,
    Amend,
    Exchange,
    Record,
}

/// Who gave a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorV1 {
    /// 0: the tenant's systems.
    Tenant,
    /// 1: an operator, by name.
    Operator(String),
    /// 2: a participant, by name.
    Participant(String),
    /// 3: the engine itself.
    Engine,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerdictV1 {
    /// 0: applied; the order's version after it.
    Applied {
        /// The order's version after it.
        version: u64,
    },
    /// 1: rejected; the order's version as it stayed.
    Rejected {
        /// The order's version as it stayed.
        version: u64,
        /// The public code, by its frozen name.
        code: String,
        /// The public message as it was given.
        message: String,
    },
    /// 2: rejected, for what stands at one place of the command.
    RejectedAt {
        /// The order's version as it stayed.
        version: u64,
        /// The public code, by its frozen name.
        code: String,
        /// The public message as it was given.
        message: String,
        /// Which part of the command, as its outcome names it.
        path: String,
    },
    /// 3: applied, and not quite as it was asked for.
    AppliedWith {
        /// The order's version after it.
        version: u64,
        /// The public message as it was given.
        message: String,
    },
}

impl VerdictV1 {
    /// The order's version after the decision.
    #[must_use]
    pub const fn version(&self) -> u64 {
        match self {
            Self::Applied { version }
            | Self::Rejected { version, .. }
            | Self::RejectedAt { version, .. }
            | Self::AppliedWith { version, .. } => *version,
        }
    }

    /// Did the command change the order?
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied { .. } | Self::AppliedWith { .. })
    }
}

/// What becomes of the order's deadline with a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadlineV1 {
    /// 0: stays as it was.
    Keep,
    /// 1: is now this time, milliseconds since 1970.
    Set(i64),
    /// 2: nothing is waited for.
    Clear,
}
