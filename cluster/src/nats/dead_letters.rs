//! The dead letters, in a stream of their own.
//!
//! Invariants:
//! - A letter's subject ends with its key and takes one message only: putting it again, after a crash or by two nodes at once, changes
//!   nothing however much later.
//! - Its body is the frozen note that a log on disk would hold.

use async_nats::HeaderMap;
use retailflow_engine::codec::CodecError;
use retailflow_engine::codec::control::Note;
use retailflow_engine::ports::{DeadLetter, DeadLetters, PortFuture, StoreError, StoredDeadLetter};

use super::api::{Api, Stored, Trouble};
use super::errors::WRONG_LAST_SEQUENCE;
use super::{Connections, subjects};

/// About how much one list holds, in bytes: it may end before its limit.
const LIST_MAX_BYTES: usize = 16 << 20;
/// Messages that are looked at for one list at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Dead letters of all partitions.
pub struct NatsDeadLetters {
    publish: Api,
    read: Api,
}

impl NatsDeadLetters {
    /// Those in a stream that is there ([`super::DoorStreams::provision`]).
    #[must_use]
    pub fn new(connections: &Connections) -> Self {
        let api = |client: &async_nats::Client| Api::new(client.clone(), connections.request_timeout);
        Self { publish: api(&connections.publish), read: api(&connections.read) }
    }

    async fn store(&self, letter: DeadLetter) -> Result<(), StoreError> {
        let subject = subjects::dead_letter(letter.tenant.as_deref(), &letter.key);
        let bytes =
            Note::DeadLetter(letter).encode().map_err(|error| StoreError::Damaged(error.to_string()))?;
        match self.publish.publish_after(&subject, 0, HeaderMap::new(), bytes.into()).await {
            Ok(_) => Ok(()),
            // It is there already.
            Err(Trouble::Refused(error)) if error.err_code == WRONG_LAST_SEQUENCE => Ok(()),
            Err(trouble) => Err(unavailable(&trouble)),
        }
    }

    async fn letters(&self, after: u64, limit: usize) -> Result<Vec<StoredDeadLetter>, StoreError> {
        let (mut letters, mut next, mut bytes) = (Vec::new(), after.saturating_add(1), 0);
        while letters.len() < limit && bytes < LIST_MAX_BYTES {
            let range = self.read.range(
                subjects::DEAD_LETTERS,
                subjects::DEAD_LETTERS_ALL,
                next,
                u64::MAX - 1,
                PIECE_BYTES,
            );
            let (piece, ended) = range.await.map_err(|trouble| unavailable(&trouble))?;
            for stored in piece.into_iter().take(limit - letters.len()) {
                next = stored.sequence + 1;
                bytes += stored.payload.len();
                letters.push(read(&stored)?);
            }
            if ended {
                break;
            }
        }
        Ok(letters)
    }
}

fn read(stored: &Stored) -> Result<StoredDeadLetter, StoreError> {
    let place = format!("{}, sequence {}, {}", subjects::DEAD_LETTERS, stored.sequence, stored.subject);
    match Note::decode(&stored.payload) {
        Ok(Note::DeadLetter(letter)) => Ok(StoredDeadLetter { position: stored.sequence, letter }),
        Ok(_) => Err(StoreError::Damaged(format!("{place}: no dead letter"))),
        Err(error @ CodecError::Corrupt(_)) => Err(StoreError::Damaged(format!("{place}: {error}"))),
        Err(error) => Err(StoreError::Unavailable(format!("{place}: {error}"))),
    }
}

fn unavailable(trouble: &Trouble) -> StoreError {
    StoreError::Unavailable(trouble.to_string())
}

impl DeadLetters for NatsDeadLetters {
    fn put(&self, letter: DeadLetter) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(self.store(letter))
    }

    fn list(&self, after: u64, limit: usize) -> PortFuture<'_, Result<Vec<StoredDeadLetter>, StoreError>> {
        Box::pin(self.letters(after, limit))
    }
}
