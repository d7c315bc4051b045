//! `retailflow export`: records as lines, to keep and to restore.

pub(crate) mod archive;
pub(crate) mod verb;
