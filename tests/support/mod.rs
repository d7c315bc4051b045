//! What the tests of the program share.

pub(crate) mod cli;
pub(crate) mod poll;
pub(crate) mod serving;
pub(crate) mod world;
