//! `retailflow verify` and `reconcile`: is all in order, and do both sides agree?

pub(crate) mod books;
mod found;
pub(crate) mod reconcile;
mod text;
pub(crate) mod verb;
