//! The segment log: an append-only list of frames that knows whether it is whole.
//!
//! Invariants:
//! - What was acknowledged was synced first, and is found again or its loss is told with the place; it is never
//!   dropped in silence.
//! - Only the last write of a log can be torn, and only such a write is ever cut when a log is opened.
//! - A failed sync ends the log for this process: nothing is retried on pages that the kernel may have dropped.
//!
//! How a torn write is told from damage. A *batch* is what one write and one sync made durable; each frame's header
//! names its batch and the batch's length. A batch begins with a sector and ends one, so that no write touches what an
//! earlier one made durable. The last byte of every 512-byte sector is a seal and never data ([`sector`]), and every
//! header and frame ends in a byte that is not zero. Segments are zeros before they are
//! written. So if all seals and end marks of a batch are there, all of it was written, and a wrong checksum is
//! damage. If one is zero, that sector was not (wholly) written, and the batch may never have been synced. What else
//! knows how far the log was durable then decides (`durable`): a batch that a mark covers was lost, and the log is
//! not opened; one that none covers was never answered, and is cut. No flipped bit makes a seal zero. A whole head of a
//! later batch proves damage as well, because a batch begins only when the one before it is synced; heads are looked for
//! only where a batch can begin, and a head is sealed with a secret and its own place ([`frame`]), so that no payload
//! is taken for one.
//!
//! ```text
//! log/0000000000000001.seg   header | identity frame | batch | batch | ... | zeros
//! log/0000000000000002.seg   header, naming the last frame's hash | batch | ...
//! log/durable                how far it is synced at least (`durable`)
//! ```
//! Offsets inside a segment are *logical*: they count data bytes, not seals.

pub mod appender;
pub mod check;
pub mod copy;
pub(crate) mod durable;
pub(crate) mod durable_end;
mod error;
pub mod frame;
pub mod group;
pub mod open;
pub mod read;
mod recover;
pub mod repair;
pub mod salvage;
mod scan;
pub mod sector;
pub mod segment;
mod spare;
pub(crate) mod unreadable;
pub mod writer;

#[cfg(test)]
mod tests;

pub use appender::{AppendError, Appender, PushError};
pub use error::{LogError, Place};
pub use frame::{Frame, FrameKind};
pub use open::{Cut, NewLog, Opened, Opening, Recovery};
pub use read::LogReader;
pub use writer::{FramePayload, LogWriter, Writer};

use std::fmt;

/// SHA-256.
pub type Hash = [u8; 32];

/// A place in a log: the segment's number in the upper half, the logical offset in the lower. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// The place at `offset` (logical bytes) of segment `segment`.
    #[must_use]
    pub const fn new(segment: u32, offset: u32) -> Self {
        Self((segment as u64) << 32 | offset as u64)
    }

    /// The segment's number, from 1.
    #[must_use]
    pub const fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The logical offset inside the segment, in bytes.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.0 as u32
    }

    /// The place `bytes` further on in the same segment.
    #[must_use]
    pub const fn plus(self, bytes: u32) -> Self {
        Self(self.0 + bytes as u64)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment(), self.offset())
    }
}

/// A frame that someone has seen: everything up to and with it was in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Where the frame begins.
    pub position: Position,
    /// The frame's hash.
    pub hash: Hash,
}

/// Sizes in bytes, and how segments are made.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// The size of a segment file. A larger batch gets a segment of its own size.
    pub segment_bytes: u32,
    /// What one write holds at most, unless a single frame is larger.
    pub batch_max_bytes: u32,
    /// The largest payload of a frame.
    pub payload_max_bytes: u32,
    /// Make the next segment's file in the background once half of the last one is used, so that no commit waits for
    /// its zeros. (A test that counts operations cannot have it.)
    pub prepare_ahead: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            batch_max_bytes: 8 << 20,
            payload_max_bytes: 48 << 20,
            prepare_ahead: true,
        }
    }
}
