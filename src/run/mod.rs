//! What `retailflow run` is made of.

pub(crate) mod chaos;
pub(crate) mod outcomes;
pub(crate) mod summary;
pub(crate) mod tally;
pub(crate) mod verb;
