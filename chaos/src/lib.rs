//! What can go wrong: a seeded world around the real actors, its faults, its workload and its checkers.
//!
//! - [`run`]: a whole world from one seed and one [`Plan`]; the same seed gives the same [`Report`], trace and all
//! - `faulty_log`, `faulty_stores`, `faulty_participants`, `competing_writer`: the reference adapters behind everything a network and other nodes do
//! - `probe`: crashes of actors and of the node at any point of a command's way
//! - `script`, `callers`: who sends what, when, how often, by which door
//! - [`crowd`](crowd()): hundreds of orders beside one part that is sick, and checkers that judge time
//! - `watch`, `checker`: what must hold while it runs, and when it has come to rest

mod callers;
mod checker;
mod competing_writer;
mod crowd;
mod dry_runs;
mod faults;
mod faulty_log;
mod faulty_participants;
mod faulty_stores;
mod operator;
mod plan;
mod probe;
mod report;
mod script;
mod time;
mod trace;
mod watch;
mod world;

pub use crowd::{CrowdPlan, CrowdReport, Felt, Finding, Sickness, crowd, crowd_on_threads};
pub use faults::Fault;
pub use plan::{Crashes, Faults, Plan};
pub use report::Report;
pub use time::{Dice, WorldClock};
pub use trace::{Trace, trace_hash};
pub use world::{run, run_with};
