//! The log on one machine: [`EventLog`](retailflow_engine::ports::EventLog) and its neighbours over the segment log and its index.
//!
//! Invariants:
//! - The log is the truth. The index is built from it, is never ahead of it, and is thrown away when in doubt.
//! - One thread checks every condition and writes, so a condition that held when it was checked holds when the group
//!   is durable.
//! - What was written is made visible (index, heads, parks, tenants) after it is durable and before it is
//!   acknowledged: a read after the acknowledgement sees it, and no read sees what is not durable.

mod backup;
mod blocking;
mod committer;
mod controls;
mod disk_log;
mod failure;
mod long;
mod long_orders;
mod open;
mod own_readers;
mod places;
mod port;
mod read_permits;
pub mod scrub;
mod state;
mod stores;
mod tail;
#[cfg(test)]
mod tests;

pub use backup::DiskBackup;
pub use disk_log::{DiskLog, DiskLogOptions};
pub(super) use long_orders::{KnownRecords, LONG_MIN, LongOrders};
pub use open::{CatchUp, OpenError, OpenReport};
