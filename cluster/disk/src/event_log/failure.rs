//! Why a read or a note failed, and what each port calls that.

use retailflow_engine::codec::CodecError;
use retailflow_engine::ports::{ReadError, StoreError};

use crate::log::{LogError, Place, Position};
use retailflow_index::IndexError;

/// Why a read or a note failed, in this crate's terms; each port has its own.
#[derive(Debug)]
pub(super) enum LogFailure {
    Unavailable(String),
    /// The index has failed, and heals only by being built again.
    Lost(String),
    Damaged(String),
}

impl LogFailure {
    /// What stands at `position` cannot be decoded. A newer version's record is whole: an upgrade reads it.
    pub(super) fn undecodable(position: Position, what: &str, error: &CodecError) -> Self {
        match error {
            CodecError::Unsupported { .. } => {
                Self::Unavailable(format!("{what}: {}: {error}", Place(position)))
            }
            error => LogError::damaged(position, format!("{what}: {error}")).into(),
        }
    }
}

impl From<IndexError> for LogFailure {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged(_) => Self::Lost(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<LogError> for LogFailure {
    fn from(error: LogError) -> Self {
        match error {
            // A newer version's record is whole: an upgrade reads it.
            LogError::Io { .. } | LogError::Unsupported { .. } => Self::Unavailable(error.to_string()),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl From<LogFailure> for ReadError {
    fn from(failure: LogFailure) -> Self {
        match failure {
            LogFailure::Unavailable(why) | LogFailure::Lost(why) => Self::Unavailable(why),
            LogFailure::Damaged(why) => Self::Damaged(why),
        }
    }
}

impl From<LogFailure> for StoreError {
    fn from(failure: LogFailure) -> Self {
        match failure {
            LogFailure::Unavailable(why) | LogFailure::Lost(why) => Self::Unavailable(why),
            LogFailure::Damaged(why) => Self::Damaged(why),
        }
    }
}
