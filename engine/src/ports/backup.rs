//! Copying a log while it is written.

use super::PortFuture;
use crate::wire::admin::BackupCut;

/// Why a part of a backup was not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The log is not kept by this node: it is backed up where it is.
    #[error("{0}")]
    Elsewhere(String),
    /// The cut has no such part, or not so many bytes of it.
    #[error("{0}")]
    NoSuchPart(String),
    /// Passing trouble, or a disk that can't be read: the text says which.
    #[error("the log cannot be read now: {0}")]
    Unavailable(String),
}

/// What a backup is made of.
///
/// - All bytes of a cut MUST be durable, and MUST be the same whenever they are read later.
/// - A cut MUST be one of the log up to one place; books in it MUST hold all that the log knows of up to there.
/// - Reading MUST NOT hold up commits, and MUST NOT hold more than what is asked for in memory.
pub trait BackupSource: Send + Sync {
    /// What there is to copy now.
    ///
    /// # Errors
    /// [`BackupError`].
    fn cut(&self) -> PortFuture<'_, Result<BackupCut, BackupError>>;

    /// Bytes of a part from an offset on: at least one, and at most `bytes_max`.
    ///
    /// # Errors
    /// [`BackupError`].
    fn read(&self, part: &str, from: u64, bytes_max: usize) -> PortFuture<'_, Result<Vec<u8>, BackupError>>;
}
