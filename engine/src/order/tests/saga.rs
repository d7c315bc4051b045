//! The saga: given an order somewhere on its way, when an answer or a command comes, then it goes on like this.

mod amends;
mod attention;
mod back;
mod commands;
mod exchange;
mod facts;
mod flow;
mod forward;
mod holds;
mod keys;
mod late;
mod operators;
mod parts;
mod paying;
mod payments;
mod pending;
mod refunds;
mod reports;
mod return_shares;
mod return_terms;
mod returns;
mod review;
mod shipments;
mod shown;
mod waits;
pub(super) mod world;

use world::*;
