//! Segments of a copy of a log, read one by one: whole, or refused.

use std::path::Path;

use super::error::LogError;
use super::frame::Frame;
use super::scan::{Scanner, Step};
use super::segment::Segment;
use super::{Hash, LogOptions, Position, sector};
use retailflow_os::files::Files;

/// What a whole segment says of itself, and of what stands around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeSegment {
    /// Which log it is of.
    pub log_id: [u8; 16],
    /// The number of its first frame, counted from 1 through all segments.
    pub first_frame: u64,
    /// The hash of the frame before that.
    pub previous: Hash,
    /// The number of the frame that comes after its last one.
    pub next_frame: u64,
    /// The hash of its last frame.
    pub last_hash: Hash,
    /// Where its last frame ends.
    pub end: Position,
}

impl WholeSegment {
    /// Whether it begins where `before` ends.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        (self.log_id, self.first_frame, self.previous) == (before.log_id, before.next_frame, before.last_hash)
    }
}

/// Reads segment `number` in `dir` and gives each frame to `each`. Takes no lock and changes nothing. Blocks.
///
/// # Errors
/// [`LogError`]; what is unfinished is refused as well, for a copy has no last write.
pub fn read_segment(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    number: u32,
    each: &mut dyn FnMut(Frame),
) -> Result<WholeSegment, LogError> {
    let segment = Segment::open(files, dir, number, false)?;
    let header = &segment.header;
    let mut scanner = Scanner::new(&segment, options);
    loop {
        match scanner.next()? {
            Step::Batch(frames) => frames.into_iter().for_each(&mut *each),
            Step::Bad(bad) => return Err(bad.into_error()),
            Step::End => break,
        }
    }
    Ok(WholeSegment {
        log_id: header.log_id,
        first_frame: header.first_frame,
        previous: header.previous,
        next_frame: scanner.expect.frame,
        last_hash: scanner.expect.previous,
        end: scanner.position(scanner.offset),
    })
}

/// The number of the segment that has this file name; `None` for other files.
#[must_use]
pub fn number_of(name: &str) -> Option<u32> {
    Segment::number_of(name)
}

/// How many bytes of its segment's file stand before `end`, in whole sectors: a batch ends one.
#[must_use]
pub fn bytes_until(end: Position) -> u64 {
    sector::physical(sector::round_up(end).offset().into())
}
