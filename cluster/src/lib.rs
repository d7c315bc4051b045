//! RetailFlow.

pub mod disk;
pub mod etcd;
pub mod participants;
