//! Group commit: many orders' records, one durable append, fenced.
//!
//! One group is in flight a partition. While it is, proposals gather in the mailbox (bounded by the permits that their
//! commands hold) and make the next group. What the log answers decides what the orders are told; an answer that is
//! not known is asked for again with the identical group, and nothing else is proposed before it is resolved.

mod actor;
mod append;
mod end;
mod gather;
mod probe;
mod refused;
mod state;

pub(crate) use self::actor::Committer;
pub(crate) use self::end::{is_fenced, is_regressed};
pub(crate) use self::state::CommitterArgs;
