//! What an answer of JetStream says, and why there is none.

use std::time::Duration;

use async_nats::{Message, RequestErrorKind};
use retailflow_engine::codec::CodecError;
use retailflow_engine::ports::ReadError;
use serde::Deserialize;
use serde_json::Value;

use super::errors::{ApiError, MESSAGE_TOO_LARGE};

/// Why a request gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiFailure {
    /// No answer: a write may have happened or not.
    #[error("{0}")]
    Silent(String),
    /// A clear no.
    #[error("{0}")]
    Refused(ApiError),
    /// An answer that makes no sense, or more than this version understands.
    #[error("a strange answer: {0}")]
    Strange(String),
    /// What is stored is not what was written; the text names the place.
    #[error("{0}")]
    Damaged(String),
}

impl ApiFailure {
    /// Whether trying again may help: nobody answered, or who did has no leader, no room or too much to do.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Refused(error) => error.code >= 500 || error.is_in_flight() || error.is_full(),
            Self::Strange(_) | Self::Damaged(_) => false,
        }
    }

    /// What stands at `place` could not be read: damaged, or written by a newer version, which is not the same.
    pub(super) fn unreadable(place: impl std::fmt::Display, error: &CodecError) -> Self {
        match error {
            CodecError::Corrupt(_) => Self::Damaged(format!("{place}: {error}")),
            _ => Self::Strange(format!("{place}: {error}")),
        }
    }
}

impl From<ApiFailure> for ReadError {
    fn from(failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Damaged(why) => Self::Damaged(why),
            failure => Self::Unavailable(failure.to_string()),
        }
    }
}

pub(super) fn silent(error: impl std::fmt::Display) -> ApiFailure {
    ApiFailure::Silent(error.to_string())
}

/// Waits for an answer, and tells what is no answer from what is one.
pub(super) async fn bounded(
    timeout: Duration,
    request: impl Future<Output = Result<Message, async_nats::RequestError>>,
) -> Result<Message, ApiFailure> {
    match tokio::time::timeout(timeout, request).await {
        Err(_) => Err(ApiFailure::Silent(format!("no answer within {timeout:?}"))),
        Ok(Ok(message)) => Ok(message),
        Ok(Err(error)) => match error.kind() {
            RequestErrorKind::InvalidSubject => Err(ApiFailure::Strange(error.to_string())),
            // The client knows what the server would say.
            RequestErrorKind::MaxPayloadExceeded => {
                let (err_code, description) = (MESSAGE_TOO_LARGE, error.to_string());
                Err(ApiFailure::Refused(ApiError { code: 400, err_code, description }))
            }
            _ => Err(silent(error)),
        },
    }
}

/// The JSON of an answer, unless it says no.
pub(super) fn answer(message: &Message) -> Result<Value, ApiFailure> {
    #[derive(Deserialize)]
    struct Error {
        error: Option<ApiError>,
    }
    let strange = |error: serde_json::Error| ApiFailure::Strange(error.to_string());
    let error: Error = serde_json::from_slice(&message.payload).map_err(strange)?;
    match error.error {
        Some(error) => Err(ApiFailure::Refused(error)),
        None => serde_json::from_slice(&message.payload).map_err(strange),
    }
}
