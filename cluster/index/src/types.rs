//! What goes into the index and what comes out of it.

/// An order's key in the index: a 16-byte hash of (partition, tenant, order), made by the log.
pub type OrderKey = [u8; 16];

/// Sizes and times of an index.
#[derive(Debug, Clone)]
pub struct IndexOptions {
    /// Page cache of sled, in bytes. Default 32 MB.
    pub cache_bytes: u64,
    /// Orders changed since the last flush at which the next one begins. Default 65,536 (about 10 MB of memory
    /// each; nine such sets are the most that wait while the disk takes nothing, and then the log refuses).
    pub flush_entries: usize,
    /// With anything new at all, a flush begins at the latest after this time, in milliseconds. Default 2,000.
    pub flush_interval_ms: u64,
    /// Snapshots that may wait for the background thread; further ones are dropped. Default 256.
    pub snapshot_queue: usize,
    /// About the most bytes of snapshots kept on disk; the older half goes when they are reached. Default 256 MB.
    pub snapshots_max_bytes: u64,
    /// Up to so many bytes of blocks, all of them are read and checked on opening (about 30 ms for a million
    /// orders); above, each is checked when it is read. Default 512 MB.
    pub verify_max_bytes: u64,
    /// Opening that takes longer than this, in milliseconds, plus what the folder's size explains, counts as
    /// `Damaged`: sled may spin for ever on damaged files. Default 30,000.
    pub open_timeout_ms: u64,
    /// What the disk does.
    #[cfg(any(test, feature = "faulty"))]
    pub faults: std::sync::Arc<super::faults::Faults>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            flush_entries: 65_536,
            flush_interval_ms: 2_000,
            snapshot_queue: 256,
            snapshots_max_bytes: 256 << 20,
            verify_max_bytes: 512 << 20,
            open_timeout_ms: 30_000,
            #[cfg(any(test, feature = "faulty"))]
            faults: std::sync::Arc::default(),
        }
    }
}

/// How far the index has followed the log: every frame up to and with `position` is in it, and none after it
/// (controls may be a little ahead, see [`super::Index::put_control`]). All zeros for a new index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Position of the last frame that is in the index, as the log counts.
    pub position: u64,
    /// Hash of that frame; the log compares it with its own before it trusts the index.
    pub frame_hash: [u8; 32],
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderPlace {
    /// Position of the order's newest record in the log.
    pub position: u64,
    /// How many decisions the order's log holds.
    pub revision: u64,
    /// When someone must look at it again, in milliseconds since 1970; at most one a order.
    pub deadline_ms: Option<i64>,
}

/// A new place of one order; replaces the former one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderUpdate {
    /// Which order.
    pub key: OrderKey,
    /// Where it stands now.
    pub place: OrderPlace,
}

/// What memory alone can say of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It is here, and this is its newest place.
    Found(OrderPlace),
    /// The index has never seen it: certain.
    Absent,
    /// Only the disk knows: call [`super::Index::lookup_blocking`] off the async threads. About one in a hundred
    /// orders that do not exist ends here for each run of the index.
    AskDisk,
}

/// A deadline that stands: time in milliseconds since 1970, order, position of the order's newest record.
pub type DueOrder = (i64, OrderKey, u64);

/// A control entry: key and value.
pub type ControlPair = (Vec<u8>, Vec<u8>);

/// Sizes of an index, for gauges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Order entries on disk; an order that was flushed more than once counts more than once until a merge.
    pub order_entries: u64,
    /// Deadline entries on disk, tombstones too.
    pub deadline_entries: u64,
    /// Runs, of orders and of deadlines.
    pub runs: u64,
    /// Bytes of the folder's files, as of the last flush or open.
    pub disk_bytes: u64,
    /// Bytes of blocks that the manifest names.
    pub block_bytes: u64,
    /// Bytes of sparse keys and bloom filters held in memory.
    pub head_memory_bytes: u64,
    /// Orders changed and not yet on disk.
    pub unflushed: u64,
    /// Flushes since the index was opened.
    pub flushes: u64,
    /// Merges since the index was opened.
    pub merges: u64,
    /// Whether nothing can be written at the moment.
    pub suspended: bool,
    /// Snapshots dropped because the queue was full or they were too large.
    pub snapshots_dropped: u64,
}

/// Why the index did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// What is stored is not what was written, or belongs to another log. Close it, [`super::Index::destroy`]
    /// it, open it anew and replay the log from the beginning. Nothing is lost but time.
    #[error("the index is damaged: {0}")]
    Damaged(String),
    /// Another process (or another `Index`) has the folder open. Deleting it would be wrong.
    #[error("the index is in use: {0}")]
    InUse(String),
    /// The operating system refused (no space, no permission), or the disk is too slow. Ask again later: writing is tried
    /// again and again, and goes on when the cause is gone.
    #[error("the index cannot be read or written: {0}")]
    Io(String),
    /// A key or value is larger than allowed; the text says which. Nothing was changed.
    #[error("too large for the index: {0}")]
    TooLarge(String),
    /// `close` was called.
    #[error("the index is closed")]
    Closed,
}
