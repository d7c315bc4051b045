//! What the engine needs from the world, one small trait a file.
//!
//! MUST lines in their docs are held by the suites in `contract`, run on every adapter. Errors are shaped by what the
//! caller does next. Futures are boxed so that adapters can be chosen at run time; one box a *group*, not a command,
//! is paid on the commit path.

use std::future::Future;
use std::pin::Pin;

mod backup;
mod clock;
mod command_door;
mod command_inbox;
mod dead_letters;
mod deadlines;
mod event_log;
mod event_relay;
mod ownership;
mod parked_numbers;
mod participants;
mod role;
mod snapshots;
mod tenants;
mod views;

pub use backup::{BackupError, BackupSource};
pub use clock::{Clock, Rng};
pub use command_door::{CommandDoor, EndParkingError};
pub use command_inbox::{Body, CommandInbox, Delivery, InboxError, InboxId};
pub use dead_letters::{DeadLetter, DeadLetterCause, DeadLetters, StoredDeadLetter};
pub use deadlines::{Deadlines, DueOrder};
pub use event_log::{
    Commit, CommitError, ControlEntry, DeadlineChange, EventLog, Group, LogIdentity, LogPosition,
    LoggedEntry, LoggedGroup, OrderEntry, ParkedOrder, PartitionHead, ReadError, StoredRecord,
};
pub use event_relay::{EventReader, EventRelay, ReadFrom, RelayError, RelayedEvent};
pub use ownership::{Ownership, OwnershipEvent};
pub use parked_numbers::number_taken;
pub use participants::{
    KeyStanding, LineUnits, Participant, Participants, Performed, Settlement, StepAnswer, StepRequest,
};
pub use role::Role;
pub use snapshots::Snapshots;
pub use tenants::{TenantSetting, TenantStatus, Tenants};
pub use views::{OrderCounts, OrderPage, OrderQuery, ViewError, Views};

/// A boxed future, as every asynchronous port method returns it.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A store could not serve: nothing is known to have changed unless the method says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Passing trouble: try again later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored can't be believed; the text names the place.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}
