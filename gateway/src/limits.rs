//! Limits that several handlers share; those that an operator sets are in `[http]`.

/// Entries of a page that is not asked for more or fewer.
pub(crate) const LIMIT_DEFAULT: u64 = 100;
/// Entries of a page at most.
pub(crate) const LIMIT_MAX: u64 = 1000;

/// Reads of one partition's park marks at once, whoever asks and however often: a partition that hangs keeps no more.
pub(crate) const PARKED_READS_MAX: usize = 2;

/// Records beyond so many bytes take long enough to decode or fold to hold up other requests of the same thread.
pub(crate) const FOLD_INLINE_MAX_BYTES: usize = 128 * 1024;
