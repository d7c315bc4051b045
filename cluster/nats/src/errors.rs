//! What a NATS server refuses, by name. The numbers are the server's own (`errors.json` of nats-server).

use serde::Deserialize;

/// An error as JetStream's answers carry it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{description} (code {code}, error {err_code})")]
pub struct ApiError {
    /// As HTTP would have it.
    #[serde(default)]
    pub code: u16,
    /// Which error.
    #[serde(default)]
    pub err_code: u32,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// The account may store no more.
pub const ACCOUNT_RESOURCES_EXCEEDED: u32 = 10_002;
/// The server may store no more: what a replicated stream's leader says where a lone server says [`STORE_FAILED`].
pub const INSUFFICIENT_RESOURCES: u32 = 10_023;
/// The account's memory is used up.
pub const MEMORY_EXCEEDED: u32 = 10_028;
/// No message has this sequence or subject.
pub const NO_MESSAGE: u32 = 10_037;
/// The account's storage is used up.
pub const STORAGE_EXCEEDED: u32 = 10_047;
/// The message is larger than the server or the stream takes.
pub const MESSAGE_TOO_LARGE: u32 = 10_054;
/// A stream of this name is there with another configuration.
pub const STREAM_EXISTS: u32 = 10_058;
/// Whoever was asked has no leader to ask: a quorum is away, or the stream was stopped.
pub const TEMPORARILY_UNAVAILABLE: u32 = 10_008;
/// There is no stream of this name.
pub const STREAM_NOT_FOUND: u32 = 10_059;
/// The stream would take subjects that another one takes.
pub const SUBJECTS_OVERLAP: u32 = 10_065;
/// The subject's last sequence is not the expected one: a fence's or an order's, they look the same.
pub const WRONG_LAST_SEQUENCE: u32 = 10_071;
/// The stream is full.
pub const STORE_FAILED: u32 = 10_077;
/// The message's headers are larger than any server takes.
pub const HEADERS_TOO_LARGE: u32 = 10_097;
/// A message of the same id is in flight.
pub const DUPLICATE_IN_FLIGHT: u32 = 10_158;
/// A message with an expectation for the same subject is in flight, or stood earlier in the same batch.
pub const SUBJECT_IN_FLIGHT: u32 = 10_164;
/// The stream's queue is full.
pub const TOO_MANY_REQUESTS: u32 = 10_167;
/// The stream does not take atomic batches.
pub const BATCH_DISABLED: u32 = 10_174;
/// A message of a batch has no sequence.
pub const BATCH_WITHOUT_SEQUENCE: u32 = 10_175;
/// Messages of the batch are missing, or it is not known: dropped after a failure, a time-out or a restart.
pub const BATCH_INCOMPLETE: u32 = 10_176;
/// A header that batches do not take.
pub const BATCH_UNSUPPORTED_HEADER: u32 = 10_177;
/// The batch's id is empty or too long.
pub const BATCH_INVALID_ID: u32 = 10_179;
/// More messages than the server takes in a batch.
pub const BATCH_TOO_LARGE: u32 = 10_199;
/// The commit header holds something else than 1.
pub const BATCH_INVALID_COMMIT: u32 = 10_200;
/// A message id of the batch was seen before.
pub const BATCH_DUPLICATE: u32 = 10_201;
/// More batches in flight than the server takes for a stream.
pub const BATCHES_IN_FLIGHT: u32 = 10_210;

/// What a refused batch means for its sender. Whatever it says, the last fence is read before it is believed: the answer
/// may be about a second delivery of a batch that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A fence's or an order's condition did not hold.
    Condition,
    /// Another writer is at the same subject now: try again soon.
    Busy,
    /// Nothing was written. There is no room or too much load, or it will never be taken; the text tells.
    NotTaken,
    /// Nobody can tell.
    Unclear,
}

impl ApiError {
    /// Whether the same message is refused however often it is sent. Everything else may pass: a full store, an account at its limit, a
    /// stream that is being made, an error of a server that is newer than this list.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.err_code, MESSAGE_TOO_LARGE | HEADERS_TOO_LARGE)
    }

    /// Whether the batch is refused for its size, or that of a message in it, however often it is sent.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.is_final() || self.err_code == BATCH_TOO_LARGE
    }

    /// Whether somebody else's message stands where ours was to be the first, or the next: whoever made it was faster.
    #[must_use]
    pub fn was_slower(&self) -> bool {
        self.err_code == WRONG_LAST_SEQUENCE
    }

    /// Whether somebody else's message for the same place is on its way this moment: whether it comes to stand there is not known yet, and
    /// is soon.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        matches!(self.err_code, SUBJECT_IN_FLIGHT | DUPLICATE_IN_FLIGHT)
    }

    /// Whether there is no room for it: in the stream, the account, or the server. It may be taken once there is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self.err_code,
            ACCOUNT_RESOURCES_EXCEEDED
                | INSUFFICIENT_RESOURCES
                | MEMORY_EXCEEDED
                | STORAGE_EXCEEDED
                | STORE_FAILED
        )
    }

    /// What it means for a batch.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self.err_code {
            WRONG_LAST_SEQUENCE => Refusal::Condition,
            SUBJECT_IN_FLIGHT | DUPLICATE_IN_FLIGHT => Refusal::Busy,
            MESSAGE_TOO_LARGE | STORE_FAILED | TOO_MANY_REQUESTS | STREAM_NOT_FOUND => Refusal::NotTaken,
            ACCOUNT_RESOURCES_EXCEEDED | INSUFFICIENT_RESOURCES | MEMORY_EXCEEDED | STORAGE_EXCEEDED => {
                Refusal::NotTaken
            }
            HEADERS_TOO_LARGE => Refusal::NotTaken,
            BATCH_DISABLED | BATCH_WITHOUT_SEQUENCE | BATCH_INCOMPLETE | BATCH_UNSUPPORTED_HEADER => {
                Refusal::NotTaken
            }
            BATCH_INVALID_ID | BATCH_TOO_LARGE | BATCH_INVALID_COMMIT | BATCHES_IN_FLIGHT => {
                Refusal::NotTaken
            }
            // BATCH_DUPLICATE: it may stand in the stream already.
            _ => Refusal::Unclear,
        }
    }

    /// The sequence found where another was expected, as the text tells it.
    #[must_use]
    pub fn found_sequence(&self) -> Option<u64> {
        let (_, number) = self.description.rsplit_once(": ")?;
        (self.err_code == WRONG_LAST_SEQUENCE).then(|| number.parse().ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(err_code: u32, description: &str) -> ApiError {
        ApiError { code: 400, err_code, description: description.into() }
    }

    #[test]
    fn errors_are_known_by_number_and_never_by_text() {
        assert_eq!(error(10_071, "").refusal(), Refusal::Condition);
        for code in [10_164, 10_158] {
            assert_eq!(error(code, "").refusal(), Refusal::Busy);
        }
        for code in [10_174, 10_175, 10_176, 10_177, 10_179, 10_199, 10_200, 10_210, 10_054, 10_077, 10_167] {
            assert_eq!(error(code, "").refusal(), Refusal::NotTaken, "{code}");
        }
        for code in [10_002, 10_023, 10_028, 10_047, 10_097] {
            assert_eq!(
                error(code, "").refusal(),
                Refusal::NotTaken,
                "{code}: there is no room, nothing is in doubt"
            );
        }
        for code in [10_201, 0, 10_999] {
            assert_eq!(error(code, "wrong last sequence: 3").refusal(), Refusal::Unclear, "{code}");
        }
    }

    #[test]
    fn only_what_is_too_large_is_refused_for_good() {
        for code in
            [0, 10_002, 10_008, 10_023, 10_028, 10_047, 10_059, 10_071, 10_076, 10_077, 10_158, 10_999]
        {
            assert!(!error(code, "").is_final(), "{code}");
        }
        assert!(error(10_054, "").is_final() && error(10_097, "").is_final());
        let too_large = |code| error(code, "").is_too_large();
        assert!([10_054, 10_097, 10_199].into_iter().all(too_large) && !too_large(10_077));
    }

    #[test]
    fn whoever_was_slower_or_finds_no_room_knows_it() {
        let all = [10_002, 10_008, 10_023, 10_028, 10_047, 10_058, 10_065, 10_071, 10_077, 10_158, 10_164];
        let codes = |is: fn(&ApiError) -> bool| -> Vec<u32> {
            all.into_iter().filter(|code| is(&error(*code, ""))).collect()
        };
        assert_eq!(codes(ApiError::is_full), [10_002, 10_023, 10_028, 10_047, 10_077]);
        assert_eq!(codes(ApiError::was_slower), [10_071]);
        assert_eq!(codes(ApiError::is_in_flight), [10_158, 10_164]);
    }

    #[test]
    fn the_sequence_found_is_read_where_it_stands() {
        assert_eq!(error(10_071, "wrong last sequence: 8").found_sequence(), Some(8));
        assert_eq!(error(10_071, "wrong last sequence").found_sequence(), None);
        assert_eq!(error(10_164, "wrong last sequence: 8").found_sequence(), None);
    }
}
