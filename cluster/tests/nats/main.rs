//! The log on a real NATS server.

#[path = "../../../tests/support/nats.rs"]
mod nats;
#[path = "../../../tests/support/poll.rs"]
mod poll;

mod contract;
mod crash;
mod lossy;
mod owners;
mod raw;
mod refusals;
mod replicas;
mod topology;
mod world;
