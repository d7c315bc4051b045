//! How a node makes dead letters.

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::keys::sha256;
use retailflow_engine::ports::DeadLetter;
use retailflow_engine::wire::Code;

/// Of a dead letter's body at most this much is kept, in bytes.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// What of a body is kept.
pub(crate) fn cut(body: &[u8]) -> &[u8] {
    &body[..body.len().min(BODY_MAX_BYTES)]
}

/// A letter from `origin`. `identity`: letters with the same one are the same letter, however often they are put. `length_bytes`: of the
/// body before it was cut.
pub(crate) fn dead_letter(
    identity: &[u8],
    (origin, tenant): (String, Option<String>),
    (code, reason): (Code, String),
    (body, length_bytes): (&[u8], u64),
    at: TimestampMs,
) -> DeadLetter {
    let mut key = [0; 16];
    key.copy_from_slice(&sha256(identity)[..16]);
    let body = cut(body).to_vec();
    DeadLetter { key, tenant, origin, code: code.as_str().to_owned(), reason, body, length_bytes, at }
}
