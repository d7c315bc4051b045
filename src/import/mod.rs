//! `retailflow import`: a file of orders becomes commands.

pub(crate) mod verb;
