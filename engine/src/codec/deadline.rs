//! A deadline where it is stored by itself: beside the record that set it, in logs that keep an index of their own.
//!
//! It says what the record's commit did to the order's deadline. It names its order, so that one which was filed under
//! another's name is noticed.

use serde::{Deserialize, Serialize};

use super::control::order_ref;
use super::envelope::{self, CodecError, Schema};
use crate::ids::{OrderRef, TimestampMs};

/// The newest version written and read.
pub const VERSION: u16 = 1;

/// What became of an order's deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// Which order.
    pub order: OrderRef,
    /// How many decisions the order's log held after the record that did this.
    pub revision: u64,
    /// When it is due; nothing is waited for any more when it is `None`.
    pub at: Option<TimestampMs>,
}

#[derive(Serialize, Deserialize)]
struct DeadlineV1 {
    tenant: String,
    order: String,
    revision: u64,
    at_ms: Option<i64>,
}

impl Deadline {
    /// The stored form.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let stored = DeadlineV1 {
            tenant: self.order.tenant.to_string(),
            order: self.order.order.to_string(),
            revision: self.revision,
            at_ms: self.at.map(|at| at.0),
        };
        envelope::seal(Schema::Deadline, VERSION, &stored)
    }

    /// Reads a stored deadline.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let payload = envelope::open_only(Schema::Deadline, VERSION, bytes)?;
        let stored: DeadlineV1 = envelope::payload(payload)?;
        Ok(Self {
            order: order_ref(&stored.tenant, &stored.order)?,
            revision: stored.revision,
            at: stored.at_ms.map(TimestampMs),
        })
    }
}
