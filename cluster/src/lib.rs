//! RetailFlow.

pub mod disk;
