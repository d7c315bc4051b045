//! One machine: the segment log and its rebuildable index.

pub mod index;
