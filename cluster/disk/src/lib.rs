//! RetailFlow on one machine: the segment log, its rebuildable index, and what is shown of it.

mod bloom;
#[cfg(test)]
mod contract_tests;

pub mod event_log;
pub mod follow;
pub mod inbox;
pub mod index;
pub mod links;
pub mod log;
pub mod projection;
pub mod secret;
pub mod snapshot_cache;
