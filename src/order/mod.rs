//! `retailflow order`: one order, looked at, commanded and watched.

pub(crate) mod name;
pub(crate) mod operate;
pub(crate) mod scan;
pub(crate) mod send;
pub(crate) mod verb;
pub(crate) mod watch;
