//! A record of version 1, or of an earlier one, to and from its bytes.

use super::shapes::RecordV1;
use crate::codec::envelope::{self, CodecError, Schema};
use crate::codec::v0;

/// The newest version of the record.
pub const VERSION: u16 = 1;

/// The stored form of a record.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode(record: &RecordV1) -> Result<Vec<u8>, CodecError> {
    envelope::seal(Schema::Record, VERSION, record)
}

/// Reads a stored record of this or an earlier version.
///
/// # Errors
/// [`CodecError`].
pub fn decode(bytes: &[u8]) -> Result<RecordV1, CodecError> {
    match envelope::open(Schema::Record, VERSION, bytes)? {
        (0, payload) => Ok(envelope::payload::<v0::RecordV0>(payload)?.upcast()),
        (_, payload) => envelope::payload(payload),
    }
}
