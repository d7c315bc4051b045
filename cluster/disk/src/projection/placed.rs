//! Events, each with its place in the log.

use retailflow_engine::ports::RelayedEvent;

/// Where an event stands: its group's position, and its number in the group.
pub(super) type At = (u64, u32);

pub(super) use retailflow_engine::codec::cursor::BEHIND;

/// An event with its place.
#[derive(Debug, Clone)]
pub(super) struct PlacedEvent {
    pub(super) at: At,
    pub(super) event: RelayedEvent,
}
