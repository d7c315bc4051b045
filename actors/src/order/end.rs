//! Why an order ends.

use ractor::ActorProcessingErr;
use retailflow_engine::codec::CodecError;
use retailflow_engine::order::FoldError;
use retailflow_engine::ports::ReadError;

use crate::passivation::HydrateError;

/// Why an order ends other than by passivation.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderEnd {
    #[error("the outcome of a record is not known; the log will tell")]
    Lost,
    #[error("the outcome of a step is too large to be recorded: {0}")]
    TooLarge(String),
}

/// Whether an order ended by a failure that is not its own. It restarts, and is never parked for that.
pub(crate) fn is_transient(error: &ActorProcessingErr) -> bool {
    // A record of a newer version is whole: an upgrade reads it, and a park mark would outlive the upgrade.
    let unreadable = matches!(
        error.downcast_ref(),
        Some(
            HydrateError::Read(ReadError::Unavailable(_))
                | HydrateError::Fold(FoldError::Codec(CodecError::Unsupported { .. }))
        )
    );
    unreadable || matches!(error.downcast_ref(), Some(OrderEnd::Lost))
}
