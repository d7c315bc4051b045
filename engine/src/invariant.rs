//! The promises as predicates: the same ones serve unit tests, chaos checkers, `verify` and the run's report.

use std::collections::BTreeMap;

use crate::ids::TenantId;

mod book;
mod compare;
mod life;
mod log;
mod name_set;
mod names;
mod order;
mod result;
mod sides;
mod table;
#[cfg(test)]
mod tests;

pub use book::OutcomeBook;
pub use compare::{BookState, Comparison, SidesCheck, SidesDifference};
pub use life::Effects;
pub use log::{LogChecker, check_log};
pub use names::CheckKey;
pub use result::{EffectSums, LogCheck};
pub use sides::sides;

/// One order's records checked as they come, for tests that have no groups.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct OrderCheck(order::OrderTail);

#[cfg(test)]
impl OrderCheck {
    /// What is wrong with the next record.
    pub(crate) fn record(&mut self, bytes: &[u8]) -> Vec<Violation> {
        let mut found = Vec::new();
        let record = crate::codec::v1::decode(bytes).unwrap();
        self.0.record(&record, bytes, &CheckKey::FIXED, &mut |violation| found.push(violation));
        found
    }

    /// What the order did to goods and money, as its records say.
    pub(crate) fn effects(&self) -> Effects {
        self.0.life.effects
    }
}

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
    /// Every command is answered for good after a bounded number of tries; only a poisoned order is parked.
    Progress,
    /// What is captured, authorized and paid back agrees with the order, to the cent.
    Money,
    /// What is reserved, booked and taken back agrees with the order, to the unit.
    Goods,
    /// An order that waits for something has a deadline, set in the same commit.
    Deadline,
    /// The participants' own books say what the orders say, and no key was run twice.
    Sides,
}

impl InvariantId {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::OneOutcome,
        Self::Durable,
        Self::Chain,
        Self::Fence,
        Self::OnceRecorded,
        Self::Transitions,
        Self::Amounts,
        Self::Ledger,
        Self::Progress,
        Self::Money,
        Self::Goods,
        Self::Deadline,
        Self::Sides,
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
            Self::Progress => "progress",
            Self::Money => "money",
            Self::Goods => "goods",
            Self::Deadline => "deadline",
            Self::Sides => "sides",
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
