//! Atomic batches: many messages, all stored or none, one after another in the stream.
//!
//! Invariants:
//! - Only [`publish`] writes groups.
//! - A group of one message, a lone fence, needs no batch: its own condition makes it all or nothing. It is published by
//!   itself, because the server makes and removes files for each batch, and takes some forty times as long for one.
//! - All messages but the last are sent without asking for an answer: the server stages them, and whatever it does not
//!   like shows in its answer to the last one. (Asked for, the first one's answer is empty: it only tells that a batch was
//!   begun.) A message that was lost on the way makes the batch incomplete, and nothing is stored.
//! - Each message carries the size of its group, so that a reader of any one of them knows where the group ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, HeaderMap};
use bytes::Bytes;

use super::answers::{ApiFailure, answer, bounded};

/// The server's limit on the messages of a batch.
pub const GROUP_MESSAGES_MAX: usize = 1_000;

pub(super) const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
pub(super) const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";
/// Ours: how many messages the group has. Frozen.
pub(super) const GROUP_SIZE: &str = "Rf-Group-Size";
const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";
pub(super) const ROLLUP: &str = "Nats-Rollup";
const TTL: &str = "Nats-TTL";

/// More than the headers of a message take, in bytes.
pub(super) const HEADERS_MAX_BYTES: usize = 512;

/// One message of a batch.
#[derive(Debug, Clone)]
pub struct BatchMessage {
    /// Its subject.
    pub subject: String,
    /// What the last message of its subject must be; 0 for none; `None` for no condition.
    pub expected: Option<u64>,
    /// It takes the place of all earlier ones of its subject; then it may go by itself after so many seconds.
    pub replaces: Option<Option<u64>>,
    /// Its bytes.
    pub payload: Bytes,
}

/// Publishes a batch and gives the sequence of its first message.
///
/// # Errors
/// [`ApiFailure::Silent`]: it may be stored now, later or never. [`ApiFailure::Refused`]: by what the server says.
pub(super) async fn publish(
    client: &Client,
    messages: Vec<BatchMessage>,
    within: Duration,
) -> Result<u64, ApiFailure> {
    let count = messages.len() as u64;
    let id = (count > 1).then(next_id);
    let id = id.as_deref();
    let sending = async {
        let mut messages = (1..).zip(messages).peekable();
        while let Some((number, message)) = messages.next() {
            let last = messages.peek().is_none();
            let headers = headers(id, number, count, &message);
            if last {
                let request = client.request_with_headers(message.subject, headers, message.payload);
                return bounded(within, request).await;
            }
            let sent = client.publish_with_headers(message.subject, headers, message.payload).await;
            // Nothing is stored: the last message was not sent.
            sent.map_err(|error| ApiFailure::Strange(error.to_string()))?;
        }
        Err(ApiFailure::Strange("a batch of no messages".into()))
    };
    // Sending waits too, while the client has no connection and its queue is full.
    let answered = tokio::time::timeout(within, sending).await;
    let answered =
        answered.unwrap_or_else(|_| Err(ApiFailure::Silent(format!("no answer within {within:?}"))));
    let acknowledged = answer(&answered?)?;
    let (batch, stored) = (acknowledged["batch"].as_str(), acknowledged["count"].as_u64());
    match acknowledged["seq"].as_u64() {
        Some(last) if batch == id && stored.unwrap_or(1) == count && last >= count => Ok(last - count + 1),
        // Not an acknowledgement of this batch, whatever it is: the log has to be asked.
        _ => Err(ApiFailure::Silent(format!("an answer to another batch: {acknowledged}"))),
    }
}

/// `id` is the batch's; a message that is published by itself has none.
fn headers(id: Option<&str>, number: u64, count: u64, message: &BatchMessage) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(GROUP_SIZE, count.to_string());
    if let Some(id) = id {
        headers.insert(BATCH_ID, id);
        headers.insert(BATCH_SEQUENCE, number.to_string());
        if number == count {
            headers.insert(BATCH_COMMIT, "1");
        }
    }
    if let Some(expected) = message.expected {
        headers.insert(EXPECTED_LAST, expected.to_string());
    }
    if let Some(goes_after) = message.replaces {
        headers.insert(ROLLUP, "sub");
        if let Some(seconds) = goes_after {
            headers.insert(TTL, seconds.to_string());
        }
    }
    headers
}

/// Unlike those of all batches in flight, of this process and others. Never used twice: a batch that comes late must not
/// be taken for a part of the next one.
fn next_id() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}-{:x}", fastrand::u64(..), COUNTER.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(expected: Option<u64>, replaces: Option<Option<u64>>) -> BatchMessage {
        BatchMessage { subject: "s".into(), expected, replaces, payload: Bytes::new() }
    }

    fn of(headers: &HeaderMap) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = headers
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name.to_string(), value.to_string())))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn only_the_last_message_commits_and_each_tells_the_size() {
        let names =
            |all: Vec<(String, String)>| all.into_iter().map(|(name, value)| format!("{name}: {value}"));
        let first: Vec<String> = names(of(&headers(Some("id"), 1, 2, &message(Some(7), None)))).collect();
        assert_eq!(
            first,
            [
                "Nats-Batch-Id: id",
                "Nats-Batch-Sequence: 1",
                "Nats-Expected-Last-Subject-Sequence: 7",
                "Rf-Group-Size: 2"
            ]
        );
        let last: Vec<String> =
            names(of(&headers(Some("id"), 2, 2, &message(None, Some(Some(60)))))).collect();
        assert_eq!(
            last,
            [
                "Nats-Batch-Commit: 1",
                "Nats-Batch-Id: id",
                "Nats-Batch-Sequence: 2",
                "Nats-Rollup: sub",
                "Nats-TTL: 60",
                "Rf-Group-Size: 2"
            ]
        );
    }

    #[test]
    fn a_lone_fence_is_no_batch_and_keeps_its_condition() {
        let all = of(&headers(None, 1, 1, &message(Some(7), None)));
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Nats-Expected-Last-Subject-Sequence", "Rf-Group-Size"]);
    }

    #[test]
    fn headers_take_less_than_is_reckoned_with() {
        let message = message(Some(u64::MAX), Some(Some(u64::MAX)));
        let all = of(&headers(Some(&next_id()), u64::MAX, u64::MAX, &message));
        let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        assert!(bytes + 32 < HEADERS_MAX_BYTES, "{bytes} bytes");
    }

    #[test]
    fn no_id_is_given_twice() {
        let ids: std::collections::BTreeSet<String> = (0..1_000).map(|_| next_id()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.len() <= 64), "the server takes no longer ones");
    }
}
