//! The ask door: core NATS requests, answered with outcomes.
//!
//! Invariants:
//! - An answer goes only to `_INBOX.…`, to the tenant's own `rf.v1.reply.<tenant>.…`, or back into the account that the request came
//!   from (`_R_.…`, which the server alone can name as a reply). Whoever asks chooses where the answer goes, and
//!   could name the log's subjects or JetStream's own. A request with another reply, or none, is dropped unread and counted.
//! - At most `in_flight_max` requests are worked on, half as many of one tenant; one beyond them is answered `overloaded` or
//!   `throttled` at once.
//! - Each request has a deadline, and every one that was begun is answered.
//! - One task owns all others: [`AskDoor::close`] takes nothing more, answers what was begun, and joins it.
//!
//! Callers' messages come over a connection of its own, with a filter before it (ADR 29): headers that no client reads are refused, and
//! cost nobody else an answer.

mod answer;
mod client;
mod discovery;
mod door;
mod shares;
mod state;

pub use self::client::{AskClient, AskError};
pub use self::door::AskDoor;
pub use self::state::{AskCounts, AskOptions};
