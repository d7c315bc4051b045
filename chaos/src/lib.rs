//! What can go wrong.
mod time;
pub use time::{Dice, WorldClock};
