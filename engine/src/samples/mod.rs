//! Orders, records and envelopes for tests, of this crate and of others (through `retailflow-testkit`).

pub mod author;

pub use retailflow_wire::samples as attributes;
