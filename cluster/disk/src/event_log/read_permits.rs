//! How many reads run at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// What a read goes to. Each has permits of its own: reads that hang on one disk keep none of the other waiting.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// The segments of the log, by way of the index.
    Records,
    /// What the index alone holds: marks, deadlines, tenants, dead letters.
    Index,
}

/// How many reads of each source run at a time. More bring nothing from a disk, and each thread that the runtime makes
/// for them keeps some megabytes of the allocator's: 500 of them held 2 GB while all open orders were woken (measured).
#[derive(Debug)]
pub(super) struct ReadPermits {
    pub(super) records: Arc<Semaphore>,
    pub(super) index: Arc<Semaphore>,
}

pub(super) const RECORD_READS_MAX: usize = 16;
const INDEX_READS_MAX: usize = 8;

impl Default for ReadPermits {
    fn default() -> Self {
        let permits = |max| Arc::new(Semaphore::new(max));
        Self { records: permits(RECORD_READS_MAX), index: permits(INDEX_READS_MAX) }
    }
}
