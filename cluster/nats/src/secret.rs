//! A secret that all nodes share, and no caller can read: the first node makes it, all others find it.
//!
//! It stands in `RF_META`, which only nodes, operators and the archiver may read. Nothing of the log hangs on it: where it
//! is lost, the next node that starts makes another one, and callers who hold tokens begin anew.

use super::answers::ApiFailure;
use super::api::Api;
use super::{Connections, subjects};
use retailflow_os::random::{SECRET_BYTES, random_secret};

/// The newest version written and read: its byte, then the secret.
const VERSION: u8 = 1;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The stream cannot be read or written now.
    #[error(transparent)]
    Api(#[from] ApiFailure),
    /// Written by a newer build, or by somebody else.
    #[error(
        "what stands under {} is no secret that this build knows; to begin anew, purge it from {}",
        subjects::TOKEN_SECRET,
        subjects::META
    )]
    Strange,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] std::io::Error),
}

impl SecretError {
    /// Whether trying again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Api(failure) if failure.may_pass())
    }
}

/// What tokens of the HTTP edge are made with, in a stream that is there ([`super::DoorStreams::provision`]).
///
/// # Errors
/// [`SecretError`].
pub async fn token_secret(connections: &Connections) -> Result<[u8; SECRET_BYTES], SecretError> {
    let read = Api::new(connections.read.clone(), connections.request_timeout);
    if let Some(found) = find(&read).await? {
        return Ok(found);
    }
    let secret = random_secret()?;
    let publish = Api::new(connections.publish.clone(), connections.request_timeout);
    match publish.publish_first(subjects::TOKEN_SECRET, [&[VERSION][..], &secret].concat()).await {
        Ok(()) => {}
        // Another node was faster: its own holds.
        Err(ApiFailure::Refused(error)) if error.was_slower() => {}
        Err(failure) => return Err(failure.into()),
    }
    // What stands there, not what was meant to.
    find(&read).await?.ok_or(SecretError::Strange)
}

async fn find(api: &Api) -> Result<Option<[u8; SECRET_BYTES]>, SecretError> {
    let Some(stored) = api.last(subjects::META, subjects::TOKEN_SECRET).await? else { return Ok(None) };
    match stored.payload.split_first() {
        Some((&VERSION, secret)) => secret.try_into().map(Some).map_err(|_| SecretError::Strange),
        _ => Err(SecretError::Strange),
    }
}
