//! What `retailflow events` has beside the relay itself, which is the cluster's.

pub(crate) mod cursor;
