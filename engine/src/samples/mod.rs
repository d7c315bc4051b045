//! Orders, records and envelopes for tests, of this crate and of others (through `retailflow-testkit`).

pub mod attributes;
pub mod author;
