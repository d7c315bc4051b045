//! Why a committer ends.

use ractor::ActorProcessingErr;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::CommitError;

/// Why a committer ends; its partition decides what follows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitterError {
    #[error("partition {0} is owned by epoch {1}")]
    Fenced(PartitionId, u64),
    #[error("the log of partition {0} lost acknowledged data: {1}")]
    Regressed(PartitionId, String),
    #[error("the log failed for good: {0}")]
    Broken(String),
    #[error("partition {0} cannot be taken over: {1}")]
    TakeOver(PartitionId, String),
}

/// Did a committer end because the log lost what it had acknowledged?
pub(crate) fn is_regressed(error: &ActorProcessingErr) -> bool {
    matches!(error.downcast_ref(), Some(CommitterError::Regressed(..)))
}

/// Did a committer end because another owner writes?
pub(crate) fn is_fenced(error: &ActorProcessingErr) -> bool {
    matches!(error.downcast_ref(), Some(CommitterError::Fenced(..)))
}

impl CommitterError {
    /// Why no more can be written to the log of a partition.
    pub(super) fn of(partition: PartitionId, error: CommitError) -> Self {
        match error {
            CommitError::Fenced { epoch } => Self::Fenced(partition, epoch),
            CommitError::LogRegressed(why) => Self::Regressed(partition, why),
            CommitError::Broken(why) | CommitError::Unknown(why) => Self::Broken(why),
            error => Self::Broken(error.to_string()),
        }
    }
}
