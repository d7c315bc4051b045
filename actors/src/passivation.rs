//! Passivation: which orders leave memory, what they keep, and how they come back.
//!
//! - A tenant asks an order to leave that was idle for `orders.idle_ms`, or when more than `orders.live_max` are in memory: which
//!   tenant's order goes first, [`Residents`] knows, and each tenant's orders by their last use, [`OrderSlots`].
//! - An order leaves only with nothing to do, and says so otherwise ([`answer_request`]). What comes meanwhile waits at its tenant.
//! - It keeps nothing but what is durable: the log, and a snapshot every `orders.snapshot_every` decisions
//!   ([`save_snapshot_if_due`]; what stands in one is `engine/src/order/snapshot.rs`). [`hydrate`] rebuilds it of the two.

mod answer;
mod hydrate;
mod residents;
mod slots;
mod snapshot;

pub(crate) use self::answer::{PASSIVATED, answer_request};
pub(crate) use self::hydrate::{HydrateError, LogLookup, find, hydrate, recall};
pub(crate) use self::residents::Residents;
pub(crate) use self::slots::{OrderSlots, Transition};
pub(crate) use self::snapshot::save_snapshot_if_due;
