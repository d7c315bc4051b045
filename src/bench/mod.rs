//! What `retailflow bench` is made of: a load generator, the raw limits beside it, and their report.

pub(crate) mod cluster;
pub(crate) mod cluster_verb;
pub(crate) mod isolation;
pub(crate) mod isolation_verb;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod raw;
mod raw_limit;
pub(crate) mod report;
pub(crate) mod take_over;
pub(crate) mod take_over_verb;
pub(crate) mod verb;
