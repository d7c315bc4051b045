//! Ownership over a real etcd.

#[path = "../../../tests/support/etcd.rs"]
mod etcd;
#[path = "../../../tests/support/poll.rs"]
mod poll;

mod members;
