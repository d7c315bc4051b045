//! What is decided, and what is needed for it: no clock, no I/O, no runtime, no driver.
//!
//! - [`wire`]: the public contract, the only types with a JSON form; with it [`ids`], [`money`] and [`metric`], every metric
//! - [`keys`]: frozen derivations
//! - [`order`]: the aggregate: `decide`, `evolve`, combining
//! - [`fulfillment`]: the saga: what follows, and what participants are asked for
//! - [`codec`]: what is stored, frozen by version
//! - [`ports`]: what the engine needs from the world; [`memory`]: reference adapters

pub mod codec;
pub mod fulfillment;
pub mod keys;
pub mod memory;
pub mod order;
pub mod ports;
#[cfg(any(test, feature = "samples"))]
pub mod samples;

pub use retailflow_wire as wire;
pub use retailflow_wire::{ids, metric, money};
