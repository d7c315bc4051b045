//! RetailFlow: what tests of all crates share: one suite per port, random orders, simulated participants.
//!
//! A suite says what a port's MUST lines mean, and runs on every adapter.
//!
//! Each check is a function of its own whose doc names the line it holds; `suite` runs them all, each on a fresh
//! subject. They know no runtime: an adapter's tests call them from theirs. They panic with what they found; a suite
//! that returns has passed.

pub mod command_door;
pub mod command_inbox;
pub mod dead_letters;
pub mod deadlines;
pub mod event_log;
pub mod event_relay;
pub mod participants;
pub mod random_orders;
pub mod rng;
pub mod simulated;
pub mod snapshots;
pub mod tenants;
pub mod views;

#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;

pub use retailflow_engine::samples::{attributes, author};

use retailflow_engine::ports::PortFuture;

/// What a suite runs on.
pub trait Subject: Send {
    /// The port, or ports that must agree.
    type Port: Send;

    /// A new and empty one. Earlier ones are no longer used.
    fn fresh(&mut self) -> PortFuture<'_, Self::Port>;

    /// The same one after its process ended and another began: everything that was acknowledged must be there. All
    /// other handles of `port` have been dropped. An adapter that does not outlive its process gives `port` back.
    fn reopen(&mut self, port: Self::Port) -> PortFuture<'_, Self::Port>;
}
