//! Intake: from an inbox, by position, into the actors; outcomes come out in the order of the commands.
//!
//! - Commands of one order go in one after another: a lost answer is asked for again before the next goes in, so
//!   that no crash can turn their order round.
//! - What can't be decoded is dead-lettered and blocks nobody.
//! - At most `in_flight_max` commands are open that were read. A tenant at its limit does not keep those that others published
//!   behind it from being read, where the inbox can be read again (`window`).
//!
//! An inbox that holds one partition's commands is one whose callers have gone: nobody is there to be refused. Of such a
//! one nothing is given up ([`Intake::of_partition`]): what can be tried again is tried for as long as the partition is
//! run here; a command of an order that is not known waits a moment, and lets those that came after it go first, because
//! its order may be on its way; and what is refused for good becomes a dead letter. Outcomes come out as they come.

mod decide;
mod event;
mod progress;
mod reader;
mod window;

pub use self::event::{IntakeEvent, IntakeSummary};
pub use self::reader::Intake;

#[cfg(test)]
mod tests;
