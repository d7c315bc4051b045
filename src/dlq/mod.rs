//! `retailflow dlq`: dead letters, looked at and ended.

mod at;
mod end;
mod letters;
pub(crate) mod verb;
