//! Dead letters of a node.

/// Of a dead letter's body at most this much is kept, in bytes.
pub(crate) const DEAD_LETTER_MAX_BYTES: usize = 16 * 1024;
