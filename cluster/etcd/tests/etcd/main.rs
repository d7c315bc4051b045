//! Ownership over a real etcd.

#[path = "../../../../tests/support/etcd.rs"]
mod etcd;
#[path = "../../../../tests/support/poll.rs"]
mod poll;
#[path = "../../../../tests/support/ports.rs"]
mod ports;
#[path = "../../../../tests/support/proxy.rs"]
mod proxy;
#[path = "../../../../tests/support/skipped.rs"]
mod skipped;

mod coming_back;
mod members;
