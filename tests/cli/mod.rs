//! The command line.

mod config;
mod generate;
mod help;
mod import;
mod parked;
