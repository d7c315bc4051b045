//! Runs effects: asks participants for what committed states ask for, and brings the outcomes back.
//!
//! Invariants:
//! - An effect begins only from committed state, and ends with a definite outcome, or when another one takes its place.
//! - One effect an order. The same one asked for twice runs once; another one replaces it ([`crate::running_effects`]).
//! - Nothing here is durable, and nothing needs to be: whatever is lost is asked for again under the same key, found in
//!   the index of deadlines.
//! - A participant that does not answer keeps its own orders waiting, and nobody else's: what waits for it counts not against
//!   the backlog that holds new orders back.

mod attempt;
mod drive;
mod runner;

pub use self::runner::EffectCounts;
pub(crate) use self::runner::Effects;

#[cfg(test)]
mod tests;
