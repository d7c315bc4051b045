//! The program as its users see it: the built binary, its exit codes and its words.

mod bad;
mod cli;
mod cluster;
mod console;
mod demo;
#[cfg(target_os = "linux")]
mod disk;
mod keep;
mod kill;
mod many;
mod operators;
mod schemathesis;
mod serve;
mod support;
