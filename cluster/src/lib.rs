//! RetailFlow.

pub mod disk;
pub mod nats;
pub mod participants;
