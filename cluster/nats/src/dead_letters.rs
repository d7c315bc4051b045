//! The dead letters, in a stream of their own.
//!
//! Invariants:
//! - A letter's subject ends with its key and takes one message only: putting it again, after a crash or by two nodes at once, changes
//!   nothing however much later.
//! - Its body is the frozen note that a log on disk would hold.
//! - What operators do with it stands beside it, each thing once and for ever: no letter is changed or taken away.

use async_nats::HeaderMap;
use retailflow_engine::codec::CodecError;
use retailflow_engine::codec::control::Note;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::{DeadLetter, DeadLetters, PortFuture, StoreError, StoredDeadLetter};

use serde::{Deserialize, Serialize};

use super::answers::ApiFailure;
use super::api::{Api, END, StoredMessage};
use super::{Connections, subjects};

/// About how much one list holds, in bytes: it may end before its limit.
const LIST_MAX_BYTES: usize = 16 << 20;
/// Messages that are looked at for one list at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Things that are done with one letter, at most.
const MARKS_MAX: u16 = 1_000;
/// The version of a mark.
const MARK_VERSION: u16 = 1;

/// What an operator did with a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterAction {
    /// It was published again, as a command.
    Redriven,
    /// It is nobody's concern any more.
    Discarded,
}

/// What was done with a letter. StoredMessage as JSON, so that operators can read it with NATS's own tools; frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterMark {
    v: u16,
    /// What.
    pub did: LetterAction,
    /// Who did it.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Where the command stands in its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

impl LetterMark {
    /// That `by` did this.
    #[must_use]
    pub fn new(did: LetterAction, by: &str, at: TimestampMs, position: Option<u64>) -> Self {
        Self { v: MARK_VERSION, did, by: by.to_owned(), at_ms: at.0, position }
    }
}

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

    /// What was done with a letter, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn marks(&self, letter: &DeadLetter) -> Result<Vec<LetterMark>, StoreError> {
        let mut marks = Vec::new();
        for number in 1..=MARKS_MAX {
            let subject = subjects::dead_letter_mark(letter.tenant.as_deref(), &letter.key, number);
            let last = self.read.last(subjects::DEAD_LETTERS, &subject).await;
            let Some(stored) = last.map_err(|failure| unavailable(&failure))? else { break };
            marks.push(read_mark(&stored)?);
        }
        Ok(marks)
    }

    /// Says beside a letter what was done with it.
    ///
    /// # Errors
    /// [`StoreError`]: it may or may not stand there.
    pub async fn mark(&self, letter: &DeadLetter, mark: &LetterMark) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(mark).map_err(|error| StoreError::Damaged(error.to_string()))?;
        let first = u16::try_from(self.marks(letter).await?.len()).unwrap_or(MARKS_MAX).saturating_add(1);
        for number in first..=MARKS_MAX {
            let subject = subjects::dead_letter_mark(letter.tenant.as_deref(), &letter.key, number);
            match self.publish.publish_after(&subject, 0, HeaderMap::new(), bytes.clone().into()).await {
                Ok(_) => return Ok(()),
                // Another operator was faster: theirs stands before ours.
                Err(ApiFailure::Refused(error)) if error.was_slower() => {}
                Err(failure) => return Err(unavailable(&failure)),
            }
        }
        Err(StoreError::Unavailable(format!(
            "{MARKS_MAX} things were done with this letter: no more are kept"
        )))
    }

    async fn store(&self, letter: DeadLetter) -> Result<(), StoreError> {
        let subject = subjects::dead_letter(letter.tenant.as_deref(), &letter.key);
        let bytes =
            Note::DeadLetter(letter).encode().map_err(|error| StoreError::Damaged(error.to_string()))?;
        match self.publish.publish_after(&subject, 0, HeaderMap::new(), bytes.into()).await {
            Ok(_) => Ok(()),
            // It is there already.
            Err(ApiFailure::Refused(error)) if error.was_slower() => Ok(()),
            Err(failure) => Err(unavailable(&failure)),
        }
    }

    async fn letters(&self, after: u64, limit: usize) -> Result<Vec<StoredDeadLetter>, StoreError> {
        let (mut letters, mut next, mut bytes) = (Vec::new(), after.saturating_add(1), 0);
        while letters.len() < limit && bytes < LIST_MAX_BYTES {
            let range =
                self.read.range(subjects::DEAD_LETTERS, subjects::DEAD_LETTERS_ALL, next, END, PIECE_BYTES);
            let (piece, ended) = range.await.map_err(|failure| unavailable(&failure))?;
            for stored in piece {
                if letters.len() == limit {
                    return Ok(letters);
                }
                next = stored.sequence + 1;
                if !subjects::is_dead_letter_mark(&stored.subject) {
                    bytes += stored.payload.len();
                    letters.push(read(&stored)?);
                }
            }
            if ended {
                break;
            }
        }
        Ok(letters)
    }
}

fn read(stored: &StoredMessage) -> Result<StoredDeadLetter, StoreError> {
    let place = format!("{}, sequence {}, {}", subjects::DEAD_LETTERS, stored.sequence, stored.subject);
    match Note::decode(&stored.payload) {
        Ok(Note::DeadLetter(letter)) => Ok(StoredDeadLetter { position: stored.sequence, letter }),
        Ok(_) => Err(StoreError::Damaged(format!("{place}: no dead letter"))),
        Err(error @ CodecError::Corrupt(_)) => Err(StoreError::Damaged(format!("{place}: {error}"))),
        Err(error) => Err(StoreError::Unavailable(format!("{place}: {error}"))),
    }
}

fn read_mark(stored: &StoredMessage) -> Result<LetterMark, StoreError> {
    let place = format!("{}, sequence {}, {}", subjects::DEAD_LETTERS, stored.sequence, stored.subject);
    let damaged = |error: serde_json::Error| StoreError::Damaged(format!("{place}: {error}"));
    let value: serde_json::Value = serde_json::from_slice(&stored.payload).map_err(damaged)?;
    match value["v"].as_u64() {
        Some(found) if found != u64::from(MARK_VERSION) => Err(StoreError::Unavailable(format!(
            "{place} is of version {found}, and this build knows {MARK_VERSION}: upgrade it"
        ))),
        _ => serde_json::from_value(value).map_err(damaged),
    }
}

fn unavailable(failure: &ApiFailure) -> StoreError {
    StoreError::Unavailable(failure.to_string())
}

impl DeadLetters for NatsDeadLetters {
    fn put(&self, letter: DeadLetter) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(self.store(letter))
    }

    fn list(&self, after: u64, limit: usize) -> PortFuture<'_, Result<Vec<StoredDeadLetter>, StoreError>> {
        Box::pin(self.letters(after, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_frozen_and_newer_ones_are_not_called_damaged() {
        let stored = |text: &str| StoredMessage {
            subject: "rf.dlq.shop.00-1".into(),
            sequence: 7,
            number: 0,
            of: 0,
            payload: text.as_bytes().to_vec(),
        };
        for (mark, text) in [
            (
                LetterMark::new(LetterAction::Redriven, "ann", TimestampMs(5), Some(9)),
                r#"{"v":1,"did":"redriven","by":"ann","at_ms":5,"position":9}"#,
            ),
            (
                LetterMark::new(LetterAction::Discarded, "ann", TimestampMs(5), None),
                r#"{"v":1,"did":"discarded","by":"ann","at_ms":5}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&mark).unwrap(), text);
            assert_eq!(read_mark(&stored(text)), Ok(mark.clone()));
            assert_eq!(read_mark(&stored(&text.replacen('{', r#"{"later":[1],"#, 1))), Ok(mark));
            let newer = read_mark(&stored(&text.replacen(r#""v":1"#, r#""v":2"#, 1)));
            assert!(matches!(newer, Err(StoreError::Unavailable(_))), "{newer:?}");
        }
        for text in ["", "7", "{}", r#"{"v":1}"#] {
            let read = read_mark(&stored(text));
            assert!(matches!(read, Err(StoreError::Damaged(_))), "{text}: {read:?}");
        }
    }

    #[test]
    fn a_mark_is_told_from_a_letter_by_its_subject() {
        for tenant in [Some("my-shop-7"), None, Some("Not one")] {
            let letter = subjects::dead_letter(tenant, &[0xab; 16]);
            assert!(!subjects::is_dead_letter_mark(&letter), "{letter}");
            let mark = subjects::dead_letter_mark(tenant, &[0xab; 16], 12);
            assert!(subjects::is_dead_letter_mark(&mark), "{mark}");
        }
    }
}
