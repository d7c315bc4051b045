//! The command line.

mod config;
mod events;
mod generate;
mod help;
mod import;
mod parked;
