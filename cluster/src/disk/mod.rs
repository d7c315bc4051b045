//! One machine: the segment log and its rebuildable index.

#[cfg(test)]
mod contract_tests;
pub mod event_log;
pub mod files;
pub mod follow;
pub mod inbox;
pub mod index;
pub mod links;
pub mod log;
pub mod projection;
pub mod secret;
pub mod snapshot_cache;
