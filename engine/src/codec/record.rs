//! An order's record, as far as the log itself must understand it.

use serde::Deserialize;

use super::control::order_ref;
use super::envelope::{self, CodecError, Schema};
use super::v1::{self, BodyV1, DeadlineV1, RecordV1};
use crate::ids::{OrderRef, TimestampMs};
use crate::keys::Hash;
use crate::ports::DeadlineChange;

/// What an index needs to know of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSummary {
    /// Whose record.
    pub order: OrderRef,
    /// How many decisions stand before it.
    pub expected_revision: u64,
    /// How many stand after it.
    pub next_revision: u64,
    /// The chain hash of the order's previous record.
    pub previous: Hash,
    /// What became of the deadline.
    pub deadline: DeadlineChange,
}

/// Reads what an index needs from a stored record.
///
/// # Errors
/// [`CodecError`].
pub fn summary(bytes: &[u8]) -> Result<RecordSummary, CodecError> {
    summary_of(&v1::decode(bytes)?)
}

/// What an index needs from a record that was read.
///
/// # Errors
/// [`CodecError::Corrupt`] when its names are none.
pub(crate) fn summary_of(record: &RecordV1) -> Result<RecordSummary, CodecError> {
    let deadline = match &record.body {
        BodyV1::Decisions(decisions) => {
            let mut changes = decisions.iter().rev().map(|decision| deadline_change(decision.deadline));
            changes.find(|change| *change != DeadlineChange::Keep).unwrap_or(DeadlineChange::Keep)
        }
        BodyV1::Checkpoint(checkpoint) => deadline_change(checkpoint.deadline),
        BodyV1::Closed(_) => DeadlineChange::Clear,
    };
    Ok(RecordSummary {
        order: order_ref(&record.tenant, &record.order)?,
        expected_revision: record.expected_revision,
        next_revision: record.next_revision(),
        previous: record.previous,
        deadline,
    })
}

const fn deadline_change(stored: DeadlineV1) -> DeadlineChange {
    match stored {
        DeadlineV1::Keep => DeadlineChange::Keep,
        DeadlineV1::Set(at_ms) => DeadlineChange::Set(TimestampMs(at_ms)),
        DeadlineV1::Clear => DeadlineChange::Clear,
    }
}

/// How a record of any version begins.
#[derive(Deserialize)]
struct Head {
    tenant: String,
    order: String,
}

/// Whose record it is, without reading the rest of it.
///
/// # Errors
/// [`CodecError`].
pub fn order_of(bytes: &[u8]) -> Result<OrderRef, CodecError> {
    let (_, payload) = envelope::open(Schema::Record, v1::VERSION, bytes)?;
    let head: Head = envelope::prefix(payload)?;
    order_ref(&head.tenant, &head.order)
}
