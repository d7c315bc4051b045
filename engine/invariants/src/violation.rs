//! The invariants by number, and what breaks one.

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
