//! Public events to readers, out of their stream.
//!
//! Invariants:
//! - Each event of the tenant that the stream holds behind a reader's place is given once, in the stream's order: so those of one order
//!   come in the order of their versions. Events of different orders stand in the order in which they were published.
//! - A reader's place is a sequence of `RF_EVT`; its token says of which stream, and which event stood there. A place in another stream,
//!   one that was trimmed away, and one where another event stands now are told ([`RelayError::Gone`](retailflow_engine::ports::RelayError::Gone)).
//! - A message that is no event of ours stops the readers of its tenant before it. It is never left out without a word.
//! - A reader keeps its place and nothing else: one that takes nothing costs nothing. At most `reads_max` read at a time.
//!
//! How it waits: a reader that has had all waits for one task of the relay's, which asks for the stream's end while anybody waits. When
//! that has moved, the reader asks for its own next event; there mostly is none, as it was another tenant's.

mod event;
mod nats_relay;
mod reader;
mod state;

pub use self::nats_relay::NatsRelay;
pub use self::state::RelayOptions;
