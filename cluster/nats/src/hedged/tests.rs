//! Copies of requests, on virtual time.

mod commands;
mod reads;
