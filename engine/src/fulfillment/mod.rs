//! The saga of an order: what follows from where it stands, and what its participants are asked for.
//!
//! Invariant: pure. [`advance`] says which events follow from a state by themselves, [`folded`] which follow from a
//! step's outcome, [`next`] which effect the state asks for. Actors perform effects; nothing here does (commanded's
//! process managers, `docs/order-life.md` shows the whole).
//!
//! - [`steps`]: the steps, each with its compensation or marked irreversible in its type
//! - `progress`: [`advance`], [`folded`], the deadline of a state
//! - `effect`: [`next`]

mod effect;
mod progress;
pub mod steps;

pub(crate) use effect::request;
pub use effect::{Effect, Mode, key, next};
pub(crate) use progress::turned_back;
pub use progress::{advance, deadline, folded, upcoming};
