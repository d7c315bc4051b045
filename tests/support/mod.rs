//! What the tests of the program share.

pub(crate) mod cli;
pub(crate) mod etcd;
pub(crate) mod http;
pub(crate) mod nats;
pub(crate) mod parked;
pub(crate) mod poll;
pub(crate) mod ports;
pub(crate) mod samples;
pub(crate) mod server;
pub(crate) mod serving;
pub(crate) mod shop;
pub(crate) mod skipped;
pub(crate) mod smtp;
pub(crate) mod world;
