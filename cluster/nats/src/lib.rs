//! Many machines: the log on JetStream, and the doors beside it.
//!
//! Invariants of the log:
//! - The log decides who may write: every group is one atomic batch (a lone fence: one message) whose first message, the
//!   fence, is stored only behind the fence that the writer knows. Nothing else writes into a log but the first message of each stream.
//! - What safety hangs on is read from a stream's leader.
//! - What is in memory can be thrown away: it is read again when another writer was seen.
//! - Nothing that a caller wrote comes over its connections.
//!
//! The doors: [`inbox`] reads what callers published, by position; [`dead_letters`] takes what is no command; [`trim()`] drops what all have
//! dealt with; [`ask`] answers requests with outcomes; [`forwarding`] takes them to the node that runs their partition; [`events`] tells the
//! public, and [`relay`] reads that to it; [`publisher`] is a caller itself. What nodes tell each other: [`tenants`], [`cursors`].
//!
//! - Every wait has a bound, every task is joined by `close`, every cache has a limit.

mod answers;
mod api;
pub mod ask;
mod batch;
mod command;
pub mod connect;
mod connect_options;
pub mod cursors;
pub mod dead_letters;
mod direct;
pub mod errors;
pub mod event_log;
pub mod events;
mod fill;
mod filter;
mod foreign;
pub mod forwarding;
mod hedged;
mod identity;
pub mod inbox;
mod jetstream;
mod login;
mod overview;
mod probe;
pub mod publisher;
mod recover;
pub mod relay;
pub mod remote_participants;
mod replica_status;
mod secret;
mod service;
mod stream_watch;
pub mod streams;
pub mod subjects;
mod sync_state;
pub mod tenants;
pub mod topology;
mod trim;

pub use answers::ApiFailure;
pub use ask::{AskClient, AskCounts, AskDoor, AskError, AskOptions};
pub use batch::{BatchMessage, GROUP_MESSAGES_MAX};
pub use connect::{Connections, EdgeConnection};
pub use connect_options::{ConnectError, NatsOptions, SERVER_MIN};
pub use cursors::{CursorError, Cursors};
pub use dead_letters::{LetterAction, LetterMark, NatsDeadLetters};
pub use event_log::{NatsLog, NatsLogOptions, OpenError, WriteOutage};
pub use events::{EventOptions, EventPublisher, EventPump, PublishCounts, PublishError};
pub use fill::{Fill, FillLevel};
pub use forwarding::{ForwardClient, ForwardError, ForwardOptions, ForwardServer};
pub use identity::{IdentityError, fits_log, found_identity};
pub use inbox::{InboxFault, InboxOptions, MisroutedCommands, NatsInbox, ReplyAddresses};
pub use jetstream::JetStream;
pub use overview::{Progress, progress};
pub use probe::{ServerProbe, probe_account, probe_publishing, probe_server, server_time};
pub use publisher::{CommandPublisher, OutgoingCommand, PublishOutcome, PublisherOptions, Receipt};
pub use recover::{CommandRecovery, CommandsState, RecoverError, UndecidedCommands};
pub use relay::{NatsRelay, RelayOptions};
pub use remote_participants::RemoteParticipants;
pub use replica_status::{ReplicaStatus, replica_status};
pub use secret::{SecretError, token_secret};
pub use stream_watch::{FaultyStream, StreamFault, StreamWatch};
pub use streams::DoorStreams;
pub use sync_state::{SyncStatement, SyncedServers};
pub use tenants::{NatsTenants, TenantsOptions};
pub use topology::{Drift, Topology, TopologyDiff, TopologyError};
pub use trim::{TrimError, TrimReport, inbox_ids, trim};

/// An address as it may be told: without who connects, and their password.
#[must_use]
pub fn redacted_address(address: &str) -> String {
    login::redacted(address)
}
