//! RetailFlow on one machine: the segment log, and what is shown of it. Its rebuildable index is a crate of its own.

#[cfg(test)]
mod contract_tests;

pub mod event_log;
pub mod follow;
pub mod inbox;
pub mod links;
pub mod log;
pub mod projection;
pub mod secret;
