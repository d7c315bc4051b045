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
//! dealt with; [`ask`] answers requests with outcomes; [`between`] takes them to the node that runs their partition; [`events`] tells the
//! public, and [`relay`] reads that to it; [`publisher`] is a caller itself. What nodes tell each other: [`tenants`], [`cursors`].
//!
//! - Every wait has a bound, every task is joined by `close`, every cache has a limit.

mod answers;
mod api;
pub mod ask;
mod batch;
pub mod between;
mod command;
pub mod connect;
mod connect_options;
pub mod cursors;
pub mod dead_letters;
mod edge;
pub mod errors;
pub mod event_log;
pub mod events;
mod fill;
mod filter;
mod hedged;
mod identity;
pub mod inbox;
mod login;
mod overview;
mod probe;
pub mod publisher;
pub mod raw_limit;
mod recover;
pub mod relay;
mod secret;
pub mod stand_ins;
mod stream_watch;
pub mod streams;
pub mod subjects;
mod survey;
mod synced;
pub mod tenants;
pub mod topology;
mod trim;
mod twice;

pub use answers::ApiFailure;
pub use ask::{AskClient, AskCounts, AskDoor, AskError, AskOptions};
pub use batch::GROUP_MESSAGES_MAX;
pub use between::{CallError, Caller, Post, PostOptions};
pub use connect::{Connections, EdgeConnection};
pub use connect_options::{ConnectError, NatsOptions, SERVER_MIN};
pub use cursors::{CursorError, Cursors};
pub use dead_letters::{Did, LetterMark, NatsDeadLetters};
pub use event_log::{NatsLog, NatsLogOptions, OpenError, Unwritten};
pub use events::{EventOptions, EventPublisher, EventPump, PublishError, Published};
pub use fill::{Fill, FillLevel};
pub use identity::{IdentityError, fits_log, found_identity};
pub use inbox::{InboxFault, InboxOptions, NatsInbox, Replies, Strays};
pub use overview::{Progress, progress};
pub use probe::{ServerProbe, probe_account, probe_publishing, probe_server, server_time};
pub use publisher::{CommandPublisher, OutgoingCommand, PublisherOptions, Receipt, Sent};
pub use recover::{CommandRecovery, CommandsState, RecoverError, Undecided};
pub use relay::{NatsRelay, RelayOptions};
pub use secret::{SecretError, token_secret};
pub use stand_ins::StandIns;
pub use stream_watch::{StreamFault, StreamTrouble, StreamWatch};
pub use streams::DoorStreams;
pub use survey::{Copies, survey};
pub use synced::{Synced, SyncedServers};
pub use tenants::{NatsTenants, TenantsOptions};
pub use topology::{Compared, Drift, Topology, TopologyError};
pub use trim::{TrimError, Trimmed, inbox_ids, trim};

/// An address as it may be told: without who connects, and their password.
#[must_use]
pub fn address_told(address: &str) -> String {
    login::told(address)
}
