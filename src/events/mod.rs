//! What `retailflow events` has beside the relay itself, which is the cluster's.

pub(crate) mod args;
pub(crate) mod at;
pub(crate) mod cursor;
pub(crate) mod verb;
