//! An order's record, as far as the log itself must understand it.

use serde::Deserialize;

use super::control::order_ref;
use super::envelope::{self, CodecError, Schema};
use super::v1;
use crate::ids::OrderRef;
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
    v1::decode(bytes)?.summary()
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
