//! Many machines: the log on JetStream.
//!
//! Invariants:
//! - The log decides who may write: every group is one atomic batch (a lone fence: one message) whose first message, the
//!   fence, is stored only behind the fence that the writer knows. Nothing else writes into a log but the first message of each stream.
//! - What safety hangs on is read from a stream's leader.
//! - What is in memory can be thrown away: it is read again when another writer was seen.
//! - Every wait has a bound, every task is joined by `close`, every cache has a limit.

mod api;
mod batch;
pub mod connect;
pub mod errors;
pub mod event_log;
mod identity;
pub mod subjects;
pub mod topology;

pub use api::Trouble;
pub use batch::GROUP_MESSAGES_MAX;
pub use connect::{ConnectError, Connections, NatsOptions};
pub use event_log::{NatsLog, NatsLogOptions, OpenError};
pub use identity::IdentityError;
pub use topology::{Drift, Topology, TopologyError};
