//! The report of a run: what came in, what became of it, how fast, and whether the promises held.

use super::outcome::Durability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

super::schema_tag! {
    /// The name and version of the shape of [`RunReport`].
    ReportSchema, "retailflow.report.v1"
}

/// How many commands came in, and how they came out. Each received one is in exactly one of the others, except
/// that a replay counts only as `replayed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandCounts {
    /// Came in, whether readable or not.
    pub received: u64,
    /// Carried out now.
    pub applied: u64,
    /// Decided against, and recorded, now.
    pub rejected: u64,
    /// Answered with the outcome recorded before.
    pub replayed: u64,
    /// Not recorded.
    pub refused: u64,
    /// Waiting behind a parked order.
    pub parked: u64,
    /// Kept as belonging to no order.
    pub dead_lettered: u64,
}

impl CommandCounts {
    /// Does every received command have exactly one fate?
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let fates =
            [self.applied, self.rejected, self.replayed, self.refused, self.parked, self.dead_lettered];
        fates.iter().try_fold(0u64, |sum, n| sum.checked_add(*n)) == Some(self.received)
    }
}

/// How many orders there are, by what they show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCounts {
    /// By `status`.
    pub by_status: BTreeMap<String, u64>,
    /// By `attention`.
    pub by_attention: BTreeMap<String, u64>,
}

/// How long outcomes took, in milliseconds, from a command's coming in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Half of them were faster.
    pub p50: f64,
    /// 95 of 100 were faster.
    pub p95: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// Whether one invariant held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvariantResult {
    /// Which one.
    pub id: String,
    /// Did it hold? Never of what was not looked at in full.
    pub held: bool,
    /// Not all of it was looked at; `detail` says what. Nothing of what was looked at was broken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_compared: bool,
    /// What was looked at, and what broke it.
    pub detail: String,
}

impl InvariantResult {
    /// Whether something was found that must not be.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        !self.held && !self.not_compared
    }
}

/// The report of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// Name and version of this shape.
    pub schema: ReportSchema,
    /// The version of the program.
    pub version: String,
    /// What came in and what became of it.
    pub commands: CommandCounts,
    /// The orders after it.
    pub orders: OrderCounts,
    /// Outcomes a second, over the whole run.
    pub throughput_per_second: f64,
    /// How long outcomes took.
    pub outcome_latency_ms: Latency,
    /// Whether the promises held.
    pub invariants: Vec<InvariantResult>,
    /// How durable the records are.
    pub durability: Durability,
    /// Goods and money on both sides' books, where participants keep some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub books: Option<BooksReport>,
}

/// Sums over all orders. Money is by currency, in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookSums {
    /// Captured.
    pub captured_minor: BTreeMap<String, i64>,
    /// Paid back.
    pub refunded_minor: BTreeMap<String, i64>,
    /// Set aside in stock, or gone.
    pub reserved_units: u64,
    /// In shipments.
    pub booked_units: u64,
    /// Taken back into stock after returns.
    pub restocked_units: u64,
    /// Orders for which no payment was ever asked for.
    pub orders_without_payment: u64,
}

/// A participant's book that is behind the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookBehind {
    /// Whose: inventory, payments or shipping.
    pub participant: String,
    /// Orders of which it lacks steps.
    pub orders: u64,
    /// When its last line was written; nothing where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line_at: Option<String>,
}

impl BookSums {
    /// Whether goods or money differ. A currency of which nothing moved is as good as one that is not named.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> bool {
        let differ = |ours: &BTreeMap<String, i64>, theirs: &BTreeMap<String, i64>| {
            let of = |sums: &BTreeMap<String, i64>, currency| sums.get(currency).copied().unwrap_or(0);
            ours.keys().chain(theirs.keys()).any(|currency| of(ours, currency) != of(theirs, currency))
        };
        differ(&self.captured_minor, &other.captured_minor)
            || differ(&self.refunded_minor, &other.refunded_minor)
            || (self.reserved_units, self.booked_units, self.restocked_units)
                != (other.reserved_units, other.booked_units, other.restocked_units)
    }
}

/// Both sides of the books: what the orders say, and what the participants wrote down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BooksReport {
    /// What the orders say.
    pub ours: BookSums,
    /// What the participants wrote down.
    pub theirs: BookSums,
    /// Do they agree, order by order, as far as they were compared?
    pub agree: bool,
    /// Orders that were compared in full.
    #[serde(default)]
    pub compared: u64,
    /// Orders that were compared but for the step that runs: their participant may have done it and not said so yet.
    #[serde(default)]
    pub under_way: u64,
    /// The sums differ, by what the running steps of orders on their way may have done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sums_differ: bool,
    /// Orders that differ.
    #[serde(default)]
    pub differing: u64,
    /// Orders that stand in the participants' books alone.
    #[serde(default)]
    pub in_books_only: u64,
    /// Books that lack what their participants said they had done: older copies, or their ends are lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<BookBehind>,
    /// The first differences, each with its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// Calls of participants in this run.
    pub calls: u64,
    /// Calls that had to be repeated.
    pub retries: u64,
    /// Doubts that were settled.
    pub settled: u64,
    /// Steps of cancellations that were done, since the first order: shipments canceled, payments voided or refunded,
    /// stock released.
    #[serde(default)]
    pub compensations: u64,
}
