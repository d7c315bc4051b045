//! The saga of an order: what follows from where it stands, and what its participants are asked for.
//!
//! Invariant: pure. [`advance`] says which events follow from a state by themselves, [`folded`] which follow from a
//! step's outcome, [`next`] which effect the state asks for. Actors perform effects; nothing here does (commanded's
//! process managers, `docs/order-life.md` shows the whole).
//!
//! - [`steps`]: the table of steps (all that a step is, in one row), and which one comes next
//! - [`flow`]: the order of the steps forward, by the tenant's flow
//! - `progress`: [`advance`], [`folded`], the deadline of a state
//! - `generation`: how a key gives way to the next one
//! - `short`: what becomes of what the inventory has not
//! - `effect`: [`next`]

mod effect;
pub mod flow;
mod generation;
mod progress;
mod short;
pub(crate) mod step_table;
pub mod steps;

pub(crate) use effect::request;
pub use effect::{Effect, Mode, key, next};
pub(crate) use progress::is_settling;
pub use progress::{advance, deadline, folded, has_gone, upcoming};
pub use short::canceled_as_short;
