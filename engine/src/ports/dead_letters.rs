//! What belongs to no order: undecodable, unaddressable.

use super::{PortFuture, StoreError};
use crate::ids::TimestampMs;

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
