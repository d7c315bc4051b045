//! A command on its way to an order.

use std::sync::Arc;

use super::convert::placed::place_weight_bytes;
use crate::ids::{CommandKey, OrderRef, TimestampMs};
use crate::keys::Hash;
use crate::wire::command::{AmendData, Line, Payment};
use crate::wire::limits::{COMPONENTS_MAX, NAME_MAX_CHARS, PAYMENTS_OF_ORDER_MAX, REASON_MAX_CHARS};
use crate::wire::{CommandData, CommandEvent};

/// The limits of the contract are in characters, of up to four bytes.
const NAME_MAX_BYTES: usize = 4 * NAME_MAX_CHARS;
const REASON_MAX_BYTES: usize = 4 * REASON_MAX_CHARS;
/// What the change of a line takes beside its id, in bytes.
const LINE_CHANGE_BYTES: usize = COMPONENTS_MAX * 12 + 64;
/// What a decision takes beside the caller's own texts: hashes, times, verdict and its message, and a share of the
/// record that it stands in, in bytes.
const DECISION_BYTES: usize = 768;

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
            CommandData::Place(place) => place_weight_bytes(place),
            CommandData::Return(data) => data.lines.len() * (3 * NAME_MAX_BYTES + 64) + REASON_MAX_BYTES,
            CommandData::Refund(data) => {
                let lines = data.lines.iter().map(|line| line.line_id.len() + 24).sum::<usize>();
                lines + data.components.len() * 16 + NAME_MAX_BYTES + REASON_MAX_BYTES
            }
            CommandData::Pay(data) => {
                let texts = |payment: &Payment| payment.payment_id.len() + payment.token_ref.len() + 32;
                data.payments.iter().map(texts).sum::<usize>() + REASON_MAX_BYTES
            }
            CommandData::Record(data) => {
                let names = data.reference.len() + 2 * NAME_MAX_BYTES;
                names + REASON_MAX_BYTES + 64
            }
            CommandData::Hold(data) => data.name.len() + data.reason.len() + 64,
            CommandData::ReleaseHold(data) => data.name.len() + REASON_MAX_BYTES,
            CommandData::Cancel(data) => {
                let lines = data.lines.iter().map(|line| line.line_id.len() + LINE_CHANGE_BYTES);
                lines.sum::<usize>() + PAYMENTS_OF_ORDER_MAX * 12 + 2 * REASON_MAX_BYTES
            }
            CommandData::Amend(data) => amend_weight_bytes(data),
            _ => 2 * REASON_MAX_BYTES,
        };
        let actor = match &self.actor {
            Actor::Tenant => 0,
            Actor::Operator(name) => name.len(),
        };
        text + actor + self.key.id.as_str().len() + self.key.source.as_str().len() + DECISION_BYTES
    }
}

/// What the change of an order takes in a record, with a payment that the engine adds, in bytes.
fn amend_weight_bytes(data: &AmendData) -> usize {
    let line = |line: &Line| line.line_id.len() + line.sku.len() + line.components.len() * 12 + 48;
    let payment = |payment: &Payment| payment.payment_id.len() + payment.token_ref.len() + 32;
    let lines: usize = data.lines.iter().map(|line| line.line_id.len() + LINE_CHANGE_BYTES).sum::<usize>()
        + data.add_lines.iter().map(line).sum::<usize>();
    let attributes: usize = data.attributes.iter().map(|(name, text)| name.len() + text.len() + 16).sum();
    let payments: usize = data.payments.iter().map(payment).sum::<usize>() + PAYMENTS_OF_ORDER_MAX * 12;
    lines + attributes + payments + 4 * NAME_MAX_BYTES + 3 * REASON_MAX_BYTES
}
