//! Reference adapters: deterministic, in memory, for tests and the simulator. They survive a crash of the actors, not
//! of the process.

mod check;
mod log;
mod stores;

pub use log::{MemoryLog, next_fence};
pub use stores::{MemoryDeadLetters, MemoryInbox, MemorySnapshots, MemoryTenants};
