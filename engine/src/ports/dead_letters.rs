//! What belongs to no order: undecodable, unaddressable.

use super::{PortFuture, StoreError};
use crate::ids::TimestampMs;
use crate::keys::sha256;
use crate::wire::DecodeError;

/// A message that could not be given to any order, with the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it: the same message from the same place is stored once.
    pub key: [u8; 16],
    /// The tenant, where it could be told.
    pub tenant: Option<String>,
    /// Where it came from, for people: `commands.jsonl, line 7`.
    pub origin: String,
    /// The code of the refusal.
    pub code: String,
    /// What was wrong, for people.
    pub reason: String,
    /// The message, cut to the limit for dead letters.
    pub body: Vec<u8>,
    /// How long the message was, in bytes.
    pub length_bytes: u64,
    /// When it was put away.
    pub at: TimestampMs,
}

/// Why a message is a dead letter, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterCause {
    /// The tenant, where it could be told.
    pub tenant: Option<String>,
    /// Where it came from, for people.
    pub origin: String,
    /// The code of the refusal.
    pub code: String,
    /// What was wrong, for people.
    pub reason: String,
}

impl DeadLetterCause {
    /// The cause of a message that is no command.
    #[must_use]
    pub fn undecodable(origin: String, error: &DecodeError) -> Self {
        Self {
            tenant: error.address.tenant.as_ref().map(ToString::to_string),
            origin,
            code: error.code.as_str().to_owned(),
            reason: error.to_string(),
        }
    }
}

impl DeadLetter {
    /// Of a message so much is kept, in bytes.
    pub const BODY_MAX_BYTES: usize = 16 * 1024;

    /// A letter with the first [`Self::BODY_MAX_BYTES`] of `body`, which is of a message of `length_bytes`. `name` is
    /// what tells it from all others, whenever and however often it is made: its key is the hash of it.
    #[must_use]
    pub fn of(
        name: &[u8],
        cause: DeadLetterCause,
        (mut body, length_bytes): (Vec<u8>, u64),
        at: TimestampMs,
    ) -> Self {
        body.truncate(Self::BODY_MAX_BYTES);
        let mut key = [0; 16];
        key.copy_from_slice(&sha256(name)[..16]);
        let DeadLetterCause { tenant, origin, code, reason } = cause;
        Self { key, tenant, origin, code, reason, body, length_bytes, at }
    }
}

/// A dead letter as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// Opaque; rises with each letter.
    pub position: u64,
    /// What was stored.
    pub letter: DeadLetter,
}

/// The durable store of dead letters.
///
/// - `put` MUST return only when the letter is as durable as a committed record.
/// - A second `put` of the same key MUST change nothing and succeed.
/// - `list` MUST give letters in the order in which they were put.
pub trait DeadLetters: Send + Sync {
    /// Stores a letter.
    ///
    /// # Errors
    /// [`StoreError`]: it may or may not be stored; put it again.
    fn put(&self, letter: DeadLetter) -> PortFuture<'_, Result<(), StoreError>>;

    /// Letters after `after` (0 for the beginning), at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list(&self, after: u64, limit: usize) -> PortFuture<'_, Result<Vec<StoredDeadLetter>, StoreError>>;
}
