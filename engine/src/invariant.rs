//! The promises as predicates: the same ones serve unit tests, chaos checkers, `verify` and the run's report.

use std::collections::BTreeMap;

use crate::ids::{CommandKey, OrderRef, TenantId};
use crate::wire::{Outcome, Status};

/// A numbered invariant. Append-only: reports and runbooks name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvariantId {
    /// Every outcome ever given for a command is the same but for `replayed`.
    OneOutcome,
    /// Every recorded outcome given stands in the log.
    Durable,
    /// Each order's records form one chain without gap, repetition or foreign record.
    Chain,
    /// Each partition's groups form one chain; epochs never fall; floors never fall.
    Fence,
    /// No command id is recorded twice in an order.
    OnceRecorded,
    /// An order's history is a legal life: placed once, versions counting the applied commands.
    Transitions,
    /// Lines and components add up to the order's total.
    Amounts,
    /// Received = applied + rejected + replayed + refused + parked + dead-lettered.
    Ledger,
}

impl InvariantId {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OneOutcome,
        Self::Durable,
        Self::Chain,
        Self::Fence,
        Self::OnceRecorded,
        Self::Transitions,
        Self::Amounts,
        Self::Ledger,
    ];

    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneOutcome => "one_outcome",
            Self::Durable => "durable",
            Self::Chain => "chain",
            Self::Fence => "fence",
            Self::OnceRecorded => "once_recorded",
            Self::Transitions => "transitions",
            Self::Amounts => "amounts",
            Self::Ledger => "ledger",
        }
    }
}

/// An invariant that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", id.as_str())]
pub struct Violation {
    /// Which.
    pub id: InvariantId,
    /// Where and how.
    pub detail: String,
}

impl Violation {
    /// A violation of `id`.
    #[must_use]
    pub fn new(id: InvariantId, detail: impl Into<String>) -> Self {
        Self { id, detail: detail.into() }
    }
}

/// Watches the outcomes given, over all crashes and retries of a test or run.
#[derive(Debug, Default)]
pub struct OutcomeBook {
    first: BTreeMap<(OrderRef, CommandKey), Outcome>,
}

impl OutcomeBook {
    /// Notes an outcome that was given to a caller.
    ///
    /// # Errors
    /// [`InvariantId::OneOutcome`] when an earlier one was different.
    pub fn given(&mut self, order: &OrderRef, key: &CommandKey, outcome: &Outcome) -> Result<(), Violation> {
        if outcome.status == Status::Refused || outcome.status == Status::Parked {
            return Ok(());
        }
        let plain = Outcome { replayed: false, ..outcome.clone() };
        match self.first.get(&(order.clone(), key.clone())) {
            Some(first) if *first != plain => Err(Violation::new(
                InvariantId::OneOutcome,
                format!("{order} {key}: first {first:?}, then {outcome:?}"),
            )),
            Some(_) => Ok(()),
            None => {
                self.first.insert((order.clone(), key.clone()), plain);
                Ok(())
            }
        }
    }

    /// The first outcome of each command that got a recorded one.
    pub fn recorded(&self) -> impl Iterator<Item = (&OrderRef, &CommandKey, &Outcome)> {
        self.first.iter().map(|((order, key), outcome)| (order, key, outcome))
    }
}

/// What was recorded for one tenant, as an auditor counts it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantLedger {
    /// Distinct commands recorded as applied.
    pub applied: u64,
    /// Distinct commands recorded as rejected.
    pub rejected: u64,
    /// Commands waiting behind park marks.
    pub parked: u64,
}

/// Counts by tenant.
pub type Ledger = BTreeMap<TenantId, TenantLedger>;
