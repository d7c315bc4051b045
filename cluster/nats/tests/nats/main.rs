//! The log and the doors on a real NATS server.

#[path = "../../../../tests/support/nats.rs"]
mod nats;
#[path = "../../../../tests/support/poll.rs"]
mod poll;
#[path = "../../../../tests/support/ports.rs"]
mod ports;
#[path = "../../../../tests/support/skipped.rs"]
mod skipped;

mod abuse;
mod ask;
mod contract;
mod crash;
mod doors;
mod events;
mod full;
mod inbox;
mod inbox_replicas;
mod intake;
mod lossy;
mod meta;
mod owners;
mod permissions;
mod publisher;
mod raw;
mod refusals;
mod relay;
mod replicas;
mod starts;
mod stopped;
mod topology;
mod unreadable;
mod world;
