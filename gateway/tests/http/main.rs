//! The edge over real sockets, on fakes of the ports.

mod admin;
mod bodies;
mod commands;
mod console;
mod documents;
mod drain;
mod dry_runs;
mod events;
mod fakes;
mod heads;
mod limits;
mod long;
mod numbers;
mod reads;
mod settings;
mod shares;
mod world;
