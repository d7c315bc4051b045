//! Reads that may touch the disk, off the async threads.

use std::sync::Arc;

use super::failure::LogFailure;
use super::read_permits::Source;
use super::state::Inner;

/// What a caller of a closed log is told.
pub(super) const CLOSED: &str = "the log is closed";

/// Runs what may touch the disk off the async threads, when it has a permit.
pub(super) async fn blocking<T, E>(
    inner: &Arc<Inner>,
    source: Source,
    work: impl FnOnce(&Inner) -> Result<T, LogFailure> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<LogFailure>,
{
    let permits = match source {
        Source::Records => &inner.permits.records,
        Source::Index => &inner.permits.index,
    };
    let Ok(permit) = Arc::clone(permits).acquire_owned().await else {
        return Err(LogFailure::Unavailable(CLOSED.into()).into());
    };
    let inner = Arc::clone(inner);
    let read = move || {
        // A read that nobody waits for any more holds its permit until it is done: the disk is still at it.
        let _permit = permit;
        let done = work(&inner);
        if let Err(LogFailure::Lost(why)) = &done {
            // The index is a cache: its damage is no order's fault. The process ends, and builds it again.
            inner.fail(why);
        }
        if let Err(LogFailure::Damaged(why)) = &done {
            inner.note_damage(why);
        }
        done
    };
    let done = tokio::task::spawn_blocking(read).await;
    // A panic in a reader, or a runtime that is going down.
    let done = done.unwrap_or_else(|error| Err(LogFailure::Unavailable(error.to_string())));
    done.map_err(E::from)
}
