//! RetailFlow.

pub mod disk;
pub mod participants;
