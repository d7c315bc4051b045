//! The envelope of everything stored: `format u8, schema u16, version u16, crc32c u32, payload`, little-endian.
//!
//! The checksum covers the first five bytes and the payload. bincode is not self-describing, so the envelope is
//! what tells an old record from a damaged one, and a newer one from both.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The envelope's own format.
const FORMAT: u8 = 1;
/// Length of what stands before the payload, in bytes.
const HEADER_BYTES: usize = 9;
/// The longest payload that is written or believed, in bytes.
pub const PAYLOAD_MAX_BYTES: usize = 4 << 20;

/// What a stored value is. Append-only; the numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Schema {
    /// One order's decisions.
    Record = 1,
    /// An order's state at a revision.
    Snapshot = 2,
    /// The first entry of a commit group.
    Fence = 3,
    /// A deadline, where it is stored by itself.
    Deadline = 4,
    /// A reader's position.
    Cursor = 5,
    /// A value in etcd.
    EtcdValue = 6,
    /// The first record of a log.
    LogIdentity = 7,
    /// A park mark or a parked command.
    Control = 8,
    /// A dead letter or a tenant's setting.
    Note = 9,
}

/// Why stored bytes were not turned into a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// These are not the bytes that were written.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// A newer version wrote this. It is whole; upgrade this node.
    #[error("{schema} version {found} needs a newer RetailFlow: this one reads up to version {known}")]
    Unsupported {
        /// What it is, or its number.
        schema: String,
        /// The version found.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// Too large to be written.
    #[error("too large to store: {bytes} bytes, at most {max}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
}

fn corrupt(why: impl Into<String>) -> CodecError {
    CodecError::Corrupt(why.into())
}

/// Most payloads are no longer than this, in bytes.
const SMALL_BYTES: usize = 64 << 10;

/// A configuration that counts up to `LIMIT` bytes. bincode counts a field as wide as its type, however few bytes it
/// takes: a 64-bit one of one byte counts as eight. With a limit below eight times ours, what was written could
/// not be read. The limit is what a declared length can ask memory for, so a small payload has a small one.
fn config<const LIMIT: usize>() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<LIMIT>()
}

/// Encodes `value` in its envelope.
///
/// # Errors
/// [`CodecError::TooLarge`] over the payload limit.
pub(crate) fn seal<T: Serialize>(schema: Schema, version: u16, value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(FORMAT);
    bytes.extend_from_slice(&(schema as u16).to_le_bytes());
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let written = bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .map_err(|_| CodecError::TooLarge { bytes: usize::MAX, max: PAYLOAD_MAX_BYTES })?;
    if written > PAYLOAD_MAX_BYTES {
        return Err(CodecError::TooLarge { bytes: written, max: PAYLOAD_MAX_BYTES });
    }
    let crc = checksum(&bytes);
    bytes[5..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// The version and payload of an envelope of the wanted schema, checked.
///
/// # Errors
/// [`CodecError::Corrupt`]; [`CodecError::Unsupported`] when the format or version is newer than known here.
pub(crate) fn open(schema: Schema, known: u16, bytes: &[u8]) -> Result<(u16, &[u8]), CodecError> {
    let (found_schema, version) = peek(bytes)?;
    if found_schema != schema as u16 {
        return Err(corrupt(format!("schema {found_schema} where {schema:?} should be")));
    }
    if version > known {
        return Err(CodecError::Unsupported { schema: format!("{schema:?}"), found: version, known });
    }
    Ok((version, &bytes[HEADER_BYTES..]))
}

/// The payload of an envelope of the wanted schema in its one and only version.
///
/// # Errors
/// As [`open`]; an older version is `Corrupt`, because there was none.
pub(crate) fn open_only(schema: Schema, version: u16, bytes: &[u8]) -> Result<&[u8], CodecError> {
    match open(schema, version, bytes)? {
        (found, payload) if found == version => Ok(payload),
        (found, _) => Err(corrupt(format!("{schema:?} version {found}, which never was"))),
    }
}

/// Schema number and version of stored bytes, after their checksum was found right.
///
/// # Errors
/// As for reading the value.
pub fn peek(bytes: &[u8]) -> Result<(u16, u16), CodecError> {
    if bytes.len() < HEADER_BYTES {
        return Err(corrupt(format!("{} bytes are too few for an envelope", bytes.len())));
    }
    let stored = u32::from_le_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
    if stored != checksum(bytes) {
        return Err(corrupt("checksum mismatch"));
    }
    if bytes[0] != FORMAT {
        return Err(CodecError::Unsupported {
            schema: "envelope format".into(),
            found: u16::from(bytes[0]),
            known: u16::from(FORMAT),
        });
    }
    Ok((u16::from_le_bytes([bytes[1], bytes[2]]), u16::from_le_bytes([bytes[3], bytes[4]])))
}

/// Decodes what a payload begins with.
pub(crate) fn prefix<T: DeserializeOwned>(payload: &[u8]) -> Result<T, CodecError> {
    let decoded = bincode::serde::decode_from_slice(payload, config::<{ 8 * SMALL_BYTES }>());
    decoded.map(|(value, _)| value).map_err(|error| corrupt(error.to_string()))
}

/// Decodes a payload; bytes left over are refused.
pub(crate) fn payload<T: DeserializeOwned>(payload: &[u8]) -> Result<T, CodecError> {
    if payload.len() > PAYLOAD_MAX_BYTES {
        return Err(corrupt(format!("a payload of {} bytes, at most {PAYLOAD_MAX_BYTES}", payload.len())));
    }
    let decoded = if payload.len() <= SMALL_BYTES {
        bincode::serde::decode_from_slice(payload, config::<{ 8 * SMALL_BYTES }>())
    } else {
        bincode::serde::decode_from_slice(payload, config::<{ 8 * PAYLOAD_MAX_BYTES }>())
    };
    let (value, read) = decoded.map_err(|error| corrupt(error.to_string()))?;
    if read != payload.len() {
        return Err(corrupt(format!("{} bytes left over", payload.len() - read)));
    }
    Ok(value)
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..5]), &bytes[HEADER_BYTES..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_is_unsupported_and_never_corrupt() {
        let bytes = seal(Schema::Record, 7, &42u64).unwrap();
        assert!(matches!(
            open(Schema::Record, 1, &bytes),
            Err(CodecError::Unsupported { found: 7, known: 1, .. })
        ));
        let mut newer_format = bytes;
        newer_format[0] = 9;
        let crc = checksum(&newer_format);
        newer_format[5..9].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(peek(&newer_format), Err(CodecError::Unsupported { found: 9, .. })));
    }

    #[test]
    fn every_flipped_bit_and_every_trailing_byte_is_noticed() {
        let bytes = seal(Schema::Fence, 1, &(1u64, "text")).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(Schema::Fence, 1, &flipped).is_err(), "bit {bit}");
        }
        let mut longer = seal(Schema::Fence, 1, &1u64).unwrap();
        longer.push(0);
        let crc = checksum(&longer);
        longer[5..9].copy_from_slice(&crc.to_le_bytes());
        let (_, rest) = open(Schema::Fence, 1, &longer).unwrap();
        assert!(payload::<u64>(rest).is_err());
    }
}
