//! `retailflow bench`: measurements. What they are made of is the package `measure`.

pub(crate) mod cluster;
mod isolation;
mod take_over;
pub(crate) mod verb;
