//! A reader's position: where in which log an event stands, for a reader that comes again.
//!
//! A reader keeps it as text that means nothing to it (a token), and may keep it for years: so it is stored like
//! everything else, in its envelope, whose checksum tells a token that was cut off from one of another log.

use serde::{Deserialize, Serialize};

use super::envelope::{self, CodecError, Schema};
use crate::wire::base64;

/// The index of the place behind all events of a group.
pub const BEHIND: u32 = u32::MAX;

/// The newest version written and read.
pub const VERSION: u16 = 1;

/// The longest text that is looked at, in characters. Those of version 1 have at most 52; a newer one may be longer, and
/// is to be told from a damaged one.
const TOKEN_MAX_CHARS: usize = 1024;

/// The place of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Which log: a position means nothing in another one.
    pub log_id: [u8; 16],
    /// The position of the event's group.
    pub position: u64,
    /// Which event of the group, from 0, counted through all of its records. Where each position has one event only, a mark that
    /// tells it from another that could stand there.
    pub index: u32,
}

#[derive(Serialize, Deserialize)]
struct CursorV1 {
    log_id: [u8; 16],
    position: u64,
    index: u32,
}

impl Cursor {
    /// The stored form.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`], which does not happen to a cursor.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let Self { log_id, position, index } = *self;
        envelope::seal(Schema::Cursor, VERSION, &CursorV1 { log_id, position, index })
    }

    /// Reads a cursor.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let payload = envelope::open_only(Schema::Cursor, VERSION, bytes)?;
        let CursorV1 { log_id, position, index } = envelope::payload(payload)?;
        Ok(Self { log_id, position, index })
    }

    /// The stored form as text: base64 as RFC 4648 section 5 has it (for URLs and file names), without padding.
    ///
    /// # Errors
    /// As [`Cursor::encode`].
    pub fn to_token(&self) -> Result<String, CodecError> {
        Ok(base64::encode_url(&self.encode()?))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`CodecError`]; `Corrupt` also for text that is no token, or one in another spelling.
    pub fn from_token(token: &str) -> Result<Self, CodecError> {
        let corrupt = || CodecError::Corrupt("this is not a cursor".into());
        if token.len() > TOKEN_MAX_CHARS {
            return Err(corrupt());
        }
        Self::decode(&base64::decode_url(token).ok_or_else(corrupt)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_short_plain_and_one_spelling_only() {
        for index in 0..300 {
            let cursor = Cursor { log_id: [index as u8; 16], position: u64::from(index) << 32 | 96, index };
            let token = cursor.to_token().unwrap();
            assert_eq!(Cursor::from_token(&token), Ok(cursor));
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')), "{token}");
        }
        let largest = Cursor { log_id: [0xff; 16], position: u64::MAX, index: u32::MAX };
        let token = largest.to_token().unwrap();
        assert!(token.len() <= 52, "{token}");
        for at in 0..token.len() {
            assert!(Cursor::from_token(&token[..at]).is_err(), "cut at {at}");
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert!(Cursor::from_token(&String::from_utf8(other).unwrap()).is_err(), "changed at {at}");
        }
        for bad in
            ["", "=", "not a token", "é", &format!("{token}="), &format!("{token}\n"), &"A".repeat(5000)]
        {
            assert!(matches!(Cursor::from_token(bad), Err(CodecError::Corrupt(_))), "{bad}");
        }
    }

    #[test]
    fn a_newer_token_is_told_from_a_damaged_one() {
        let bytes = envelope::seal(Schema::Cursor, 2, &[7u8; 200].as_slice()).unwrap();
        let token = base64::encode(&bytes).replace('+', "-").replace('/', "_");
        let answer = Cursor::from_token(token.trim_end_matches('='));
        assert!(matches!(answer, Err(CodecError::Unsupported { found: 2, known: 1, .. })), "{answer:?}");
    }
}
