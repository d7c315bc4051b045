//! The command line.

mod config;
mod documented;
mod events;
mod generate;
mod help;
mod import;
mod orders;
mod parked;
mod presets;
mod run;
