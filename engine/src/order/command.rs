//! A command on its way to an order.

use std::sync::Arc;

use crate::ids::{CommandKey, OrderRef, TimestampMs};
use crate::keys::Hash;
use crate::wire::{CommandData, CommandEvent};

/// Who gave a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The tenant's systems.
    Tenant,
    /// An operator, by name.
    Operator(Arc<str>),
}

/// A decoded command, addressed to one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Whose command.
    pub order: OrderRef,
    /// Its identity.
    pub key: CommandKey,
    /// Who gave it.
    pub actor: Actor,
    /// Its own time, if it said one.
    pub time: Option<TimestampMs>,
    /// W3C trace id, if it came with one.
    pub trace_id: Option<[u8; 16]>,
    /// The content hash of its type and data: same id and other content is `id_reused`.
    pub content_hash: Hash,
    /// What it asks for.
    pub data: Arc<CommandData>,
}

impl Command {
    /// The command that an event on the wire asks for, given by `actor`.
    #[must_use]
    pub fn from_event(event: CommandEvent, actor: Actor) -> Self {
        Self {
            content_hash: event.content_hash(),
            trace_id: event.trace.trace_id(),
            order: event.order,
            key: event.key,
            actor,
            time: event.time,
            data: Arc::new(event.data),
        }
    }

    /// An upper guess of what its decision takes in a record, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let text = match &*self.data {
            CommandData::Place(place) => {
                let sealed = place.sealed.as_ref().map_or(0, |sealed| sealed.ciphertext_base64.len());
                let attributes: usize = place.attributes.iter().map(|(name, text)| name.len() + text.len() + 4).sum();
                place.lines.len() * 320 + place.components.len() * 16 + attributes + sealed + 512
            }
            CommandData::Return(data) => data.lines.len() * 160 + 640,
            _ => 1024,
        };
        text + self.key.id.as_str().len() + self.key.source.as_str().len() + 160
    }
}
