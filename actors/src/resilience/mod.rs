//! What a call to someone who may fail is wrapped in: when to try again ([`retry`]), and when not to try at all
//! ([`breaker`]).
//!
//! Invariants:
//! - Nothing here sleeps or spawns: the caller is told how long to wait, and waits itself.
//! - Time is tokio's and chance comes from the port, so that a seeded world decides both.
//! - The crates `backoff` and `failsafe` are named in this folder alone.

pub(crate) mod breaker;
pub(crate) mod retry;
