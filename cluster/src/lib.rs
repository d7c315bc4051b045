//! RetailFlow: what it runs on. Every socket and disk is here.

mod bloom;

pub mod disk;
pub mod etcd;
pub mod nats;
pub mod participants;
pub mod repeated;
