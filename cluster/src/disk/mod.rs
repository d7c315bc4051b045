//! One machine: the segment log and its rebuildable index.

pub mod event_log;
pub mod files;
pub mod index;
pub mod log;
