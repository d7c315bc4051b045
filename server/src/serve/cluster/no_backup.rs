//! Where the log is on other servers, a node has nothing to back up.

use retailflow_engine::ports::{BackupError, BackupSource, PortFuture};
use retailflow_engine::wire::admin::BackupCut;

/// Gives no backups.
pub(super) struct NoBackup;

fn refused<T>() -> Result<T, BackupError> {
    Err(BackupError::Elsewhere(
        "this node's log is in NATS streams: back those up (`nats stream backup`)".to_owned(),
    ))
}

impl BackupSource for NoBackup {
    fn cut(&self) -> PortFuture<'_, Result<BackupCut, BackupError>> {
        Box::pin(std::future::ready(refused()))
    }

    fn read(&self, _part: &str, _from: u64, _max: usize) -> PortFuture<'_, Result<Vec<u8>, BackupError>> {
        Box::pin(std::future::ready(refused()))
    }
}
