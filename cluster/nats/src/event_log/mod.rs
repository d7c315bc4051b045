//! [`EventLog`](retailflow_engine::ports::EventLog) and [`Deadlines`](retailflow_engine::ports::Deadlines) on JetStream.
//!
//! Invariants:
//! - A partition has one group in flight from here. Its outcome is `Unknown` only where the server did not answer; the
//!   same group proposed again begins with reading the last fence from the leader.
//! - No refusal is answered from memory: before `Fenced`, `Conflict` and `LogRegressed` the leader was asked.
//! - Of an order only its last sequence and revision are remembered, so that its next record's condition need not be looked up,
//!   and whether it surely has none. A wrong memory is refused by the server, and then read anew.

mod changelog;
mod commit;
mod deadlines;
mod list_orders;
mod nats_log;
mod new_orders;
mod outage;
mod parks;
mod places;
mod port;
mod prepared;
mod read;
mod read_deadlines;
mod read_parks;
mod refresh;
mod scan;
mod state;

pub use self::nats_log::{NatsLog, NatsLogOptions, OpenError};
pub use self::outage::WriteOutage;
pub use self::prepared::{GROUP_RECORDS_MAX, group_messages};
pub(crate) use self::scan::{LoggedAt, parts};
