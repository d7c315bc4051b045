//! The command line.

mod config;
mod help;
mod import;
