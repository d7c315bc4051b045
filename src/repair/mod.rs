//! What a damaged log still holds, and what a repair or a salvage does with it.

mod lost;
mod salvage;
pub(crate) mod verb;

pub(crate) use lost::{Compared, Sums, Wanted, compare, write_lost};
pub(crate) use salvage::{Salvaged, salvage};
