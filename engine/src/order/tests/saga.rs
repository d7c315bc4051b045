//! The saga: given an order somewhere on its way, when an answer or a command comes, then it goes on like this.

mod attention;
mod back;
mod flow;
mod forward;
mod keys;
mod late;
mod operators;
mod paying;
mod payments;
mod pending;
mod refunds;
mod reports;
mod return_shares;
mod returns;
mod shipments;
mod shown;
mod waits;
pub(super) mod world;

use world::*;
