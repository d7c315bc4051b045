//! A group's entries, read once for all who follow.

use retailflow_engine::codec::control::Control;
use retailflow_engine::order::Incoming;
use retailflow_engine::ports::{LoggedEntry, LoggedGroup};

use crate::log::group;

/// What an entry says.
pub(super) enum Parsed<'a> {
    Record(Incoming<'a>),
    Control(Control),
    /// Of an order that a later build has written, or that is broken: it stops alone.
    Unreadable,
}

/// An entry of a group.
pub(super) struct Entry<'a> {
    /// The group's position.
    pub(super) group: u64,
    /// Its own, as [`StoredRecord::position`](retailflow_engine::ports::StoredRecord) has it.
    pub(super) position: u64,
    pub(super) parsed: Parsed<'a>,
}

/// Reads the entries of groups.
pub(super) fn entries(groups: &[LoggedGroup]) -> Vec<Entry<'_>> {
    let mut entries = Vec::with_capacity(groups.iter().map(|group| group.entries.len()).sum());
    for logged in groups {
        for (entry, position) in logged.entries.iter().zip(group::entry_positions(logged)) {
            let read = match entry {
                LoggedEntry::Record(bytes) => Incoming::read(bytes).map(Parsed::Record),
                LoggedEntry::Control(bytes) => Control::decode(bytes).map(Parsed::Control),
            };
            let parsed = read.unwrap_or_else(|error| {
                tracing::error!(event = "entry_unreadable", %position, %error, "an entry of the log cannot be read; lists and events go on without it");
                Parsed::Unreadable
            });
            entries.push(Entry { group: logged.position.0, position: position.0, parsed });
        }
    }
    entries
}
