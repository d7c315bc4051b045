//! `retailflow parked`: parked orders, looked at and ended.

mod at;
mod end;
pub(crate) mod ending;
mod found;
pub(crate) mod verb;
