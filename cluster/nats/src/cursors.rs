//! How far somebody has got with a partition: one small message each, the newest only.
//!
//! A cursor is a hint. Whoever reads one that is too low does something again, which has to do no harm; so writes carry no condition, an
//! older one may come last, and one that was lost is written by the next.

use async_nats::HeaderMap;
use retailflow_engine::codec::cursor::{BEHIND, Cursor};
use retailflow_engine::ids::PartitionId;

use super::answers::ApiFailure;
use super::api::Api;
use super::{Connections, subjects};

/// Longest name, in bytes.
const NAME_MAX_BYTES: usize = 32;

/// Why there is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Such a name cannot stand in a subject.
    #[error("{0:?} names no cursor: 1 to {NAME_MAX_BYTES} of a-z, 0-9 and - are expected")]
    Name(String),
    /// It was written for another log: its position means nothing here.
    #[error("{subject} is a cursor of another log; to begin anew, purge it from {}", subjects::META)]
    OtherLog {
        /// Where it stands.
        subject: String,
    },
    /// The stream cannot be read or written now, or what stands there cannot be read.
    #[error(transparent)]
    Api(#[from] ApiFailure),
}

/// The cursors of one log, in a stream that is there ([`super::DoorStreams::provision`]).
pub struct Cursors {
    publish: Api,
    read: Api,
    log_id: [u8; 16],
}

impl Cursors {
    /// Those of the log `log_id`.
    #[must_use]
    pub fn new(connections: &Connections, log_id: [u8; 16]) -> Self {
        let api = |client: &async_nats::Client| Api::new(client.clone(), connections.request_timeout);
        Self { publish: api(&connections.publish), read: api(&connections.read), log_id }
    }

    /// The position last written under `name` for a partition, from the stream's leader; 0 for none.
    ///
    /// # Errors
    /// [`CursorError`].
    pub async fn read(&self, name: &str, partition: PartitionId) -> Result<u64, CursorError> {
        let subject = subject(name, partition)?;
        let Some(stored) = self.read.last(subjects::META, &subject).await? else { return Ok(0) };
        let cursor = Cursor::decode(&stored.payload);
        let cursor = cursor.map_err(|error| stored.unreadable(subjects::META, &error))?;
        if cursor.log_id != self.log_id {
            return Err(CursorError::OtherLog { subject });
        }
        Ok(cursor.position)
    }

    /// Writes a position; it is as durable as a committed record when this returns.
    ///
    /// # Errors
    /// [`CursorError`]: it may or may not be written.
    pub async fn write(&self, name: &str, partition: PartitionId, position: u64) -> Result<(), CursorError> {
        let subject = subject(name, partition)?;
        let cursor = Cursor { log_id: self.log_id, position, index: BEHIND };
        let bytes = cursor.encode().map_err(|error| ApiFailure::unreadable(&subject, &error))?;
        self.publish.publish(&subject, HeaderMap::new(), bytes.into()).await?;
        Ok(())
    }
}

fn subject(name: &str, partition: PartitionId) -> Result<String, CursorError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > NAME_MAX_BYTES || !name.bytes().all(plain) {
        return Err(CursorError::Name(name.to_owned()));
    }
    Ok(subjects::cursor(name, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_token() {
        assert_eq!(subject("events-1", PartitionId(7)), Ok("rf.meta.cursor.events-1.7".into()));
        for bad in ["", "a.b", "*", ">", "a b", "A", &"a".repeat(33)] {
            assert_eq!(subject(bad, PartitionId(7)), Err(CursorError::Name(bad.into())));
        }
    }
}
