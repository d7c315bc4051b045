//! The promises as predicates: the same ones serve unit tests, chaos checkers, `verify` and the run's report.

mod book;
mod compare;
mod holds;
mod ledger;
mod life;
mod log;
mod lone;
mod money;
mod name_set;
mod names;
mod order;
mod result;
mod sides;
mod table;
#[cfg(test)]
mod tests;
mod violation;

pub use book::OutcomeBook;
pub use compare::{BookState, Comparison, SidesCheck, SidesDifference};
pub use ledger::{Ledger, TenantLedger};
pub use life::Effects;
pub use log::{LogChecker, check_log};
pub use lone::{LoneDecision, LoneRecord, MoneyStep, lone_record};
pub use names::CheckKey;
pub use order::OrderCheck;
pub use result::{EffectSums, LogCheck};
pub use sides::sides;
pub use violation::{InvariantId, Violation};
