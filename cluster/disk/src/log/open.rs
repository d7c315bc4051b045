//! Opening a log: lock it, look at all segments, make it where there is none. `super::recover` does the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::appender::{Appender, segment_file_bytes};
use super::error::LogError;
use super::frame::{self, Frame, FrameKind, HEADER_BYTES, Header, OVERHEAD_BYTES};
use super::read::{LogReader, Shared};
use super::segment::{CreateError, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, SegmentInfo};
use super::{Cursor, LogOptions, Position, sector};
use retailflow_os::files::{Files, LockError, LockGuard};

pub(crate) const LOCK_FILE: &str = "lock";
const ZEROS_BYTES: usize = 1 << 16;

/// What a log that does not exist yet is made from.
#[derive(Debug, Clone)]
pub struct NewLog {
    /// Drawn at random by the caller.
    pub log_id: [u8; 16],
    /// Drawn by the caller so that nobody can guess it: what is stored is sealed with it.
    pub secret: [u8; 16],
    /// The content of the first frame: the identity, encoded.
    pub identity: Vec<u8>,
}

/// An unfinished last write that was taken away. By all marks of this log, nothing in it was ever acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Where it began.
    pub position: Position,
    /// How many bytes of the file it covered.
    pub bytes: u64,
    /// How it was recognized.
    pub reason: String,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// The log was made.
    pub created: bool,
    /// The log was closed in good order.
    pub clean_stop: bool,
    /// What was cut.
    pub cut: Option<Cut>,
    /// How many frames were scanned.
    pub scanned_frames: u64,
}

/// A locked log whose segments have been looked at, and whose end has not.
pub struct Opening {
    pub(super) files: Arc<dyn Files>,
    pub(super) dir: PathBuf,
    pub(super) options: LogOptions,
    pub(super) segments: Vec<SegmentInfo>,
    identity: Frame,
    pub(super) created: bool,
    pub(super) lock: Box<dyn LockGuard>,
}

/// An open log.
pub struct Opened {
    /// Its end; for one thread.
    pub appender: Appender,
    /// Its content; for all.
    pub reader: LogReader,
    /// What was found.
    pub recovery: Recovery,
    /// The log stays locked while this lives.
    pub lock: Box<dyn LockGuard>,
}

pub(crate) fn lock(files: &dyn Files, dir: &Path) -> Result<Box<dyn LockGuard>, LogError> {
    let path = dir.join(LOCK_FILE);
    files.try_lock(&path).map_err(|error| match error {
        LockError::Held { holder } => LogError::InUse { dir: dir.to_owned(), holder },
        LockError::Io(source) => LogError::Io { what: "lock", path, source },
    })
}

/// Whether there is a log in `dir`. Blocks.
///
/// # Errors
/// [`LogError::Io`]; a folder that is not there holds no log.
pub fn exists(files: &dyn Files, dir: &Path) -> Result<bool, LogError> {
    match list(files, dir) {
        Ok((numbers, _)) => Ok(!numbers.is_empty()),
        Err(LogError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The numbers of the segments in `dir`, ascending, and the files that a broken-off creation left.
pub(crate) fn list(files: &dyn Files, dir: &Path) -> Result<(Vec<u32>, Vec<String>), LogError> {
    let names = files.list(dir).map_err(LogError::io("list", dir))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| Segment::number_of(name)).collect();
    numbers.sort_unstable();
    Ok((numbers, names.into_iter().filter(|name| Segment::is_temporary(name)).collect()))
}

/// The first number that is missing from `1 ..= the last`.
pub(crate) fn first_missing(numbers: &[u32]) -> Option<u32> {
    (1..).zip(numbers).find(|(expected, number)| expected != *number).map(|(expected, _)| expected)
}

impl Opening {
    /// Locks the log in `dir` and reads the header of each segment; makes the log when there is none.
    ///
    /// # Errors
    /// [`LogError`]; nothing was changed, except that files of a broken-off creation are removed.
    pub fn begin(
        files: Arc<dyn Files>,
        dir: &Path,
        options: LogOptions,
        new: impl FnOnce() -> NewLog,
    ) -> Result<Self, LogError> {
        files.create_dir_all(dir).map_err(LogError::io("create", dir))?;
        let lock = lock(files.as_ref(), dir)?;
        let (numbers, leftovers) = list(files.as_ref(), dir)?;
        for name in leftovers {
            let path = dir.join(name);
            files.remove(&path).map_err(LogError::io("remove", &path))?;
        }
        if let Some(missing) = first_missing(&numbers) {
            return Err(LogError::MissingSegment(missing));
        }
        let created = numbers.is_empty();
        let mut segments = Vec::with_capacity(numbers.len());
        if created {
            segments.push(create_first(files.as_ref(), dir, &options, &new())?.info());
        }
        for number in numbers {
            // Closed again: there may be more of them than a process may have files.
            segments.push(Segment::open(files.as_ref(), dir, number, false)?.info());
        }
        check_headers(&segments)?;
        let everything = Position::new(u32::MAX, 0);
        let shared = Shared::new(Arc::clone(&files), dir.to_owned(), segments.iter().cloned(), everything);
        let reader = LogReader(Arc::new(shared));
        let identity = reader.frame(Position::new(1, SEGMENT_HEADER_BYTES))?;
        if identity.kind != FrameKind::Identity || identity.number != 1 {
            return Err(LogError::damaged(identity.position, "the log does not begin with its identity"));
        }
        Ok(Self { files, dir: dir.to_owned(), options, segments, identity, created, lock })
    }

    /// The log's id.
    #[must_use]
    pub fn log_id(&self) -> [u8; 16] {
        self.segments[0].header.log_id
    }

    /// The content of the first frame.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity.payload
    }

    /// Whether the log was made just now.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Where the first frame is: a cursor of one who has seen nothing else.
    #[must_use]
    pub fn beginning(&self) -> Cursor {
        Cursor { position: self.identity.position, hash: self.identity.hash }
    }
}

fn check_headers(segments: &[SegmentInfo]) -> Result<(), LogError> {
    for pair in segments.windows(2) {
        let (before, this) = (&pair[0].header, &pair[1].header);
        let start = Position::new(this.segment, 0);
        if before.key() != this.key() {
            return Err(LogError::damaged(start, "the segment belongs to another log"));
        }
        if before.first_frame > this.first_frame || before.first_batch > this.first_batch {
            return Err(LogError::damaged(start, "the segment does not follow the one before it"));
        }
    }
    Ok(())
}

fn create_first(
    files: &dyn Files,
    dir: &Path,
    options: &LogOptions,
    new: &NewLog,
) -> Result<Segment, LogError> {
    let bytes = OVERHEAD_BYTES + new.identity.len();
    let NewLog { log_id, secret, .. } = *new;
    let segment =
        SegmentHeader { log_id, secret, segment: 1, first_frame: 1, first_batch: 1, previous: [0; 32] };
    let frame = Header {
        kind: FrameKind::Identity,
        payload_bytes: new.identity.len() as u32,
        payload_crc: crc32c::crc32c(&new.identity),
        frame: 1,
        batch: 1,
        batch_frames: 1,
        batch_index: 0,
        batch_bytes: bytes as u32,
        batch_offset: 0,
        previous: [0; 32],
    };
    let mut first = Vec::with_capacity(HEADER_BYTES + bytes);
    first.extend_from_slice(&frame.encode(&segment.key(), Position::new(1, SEGMENT_HEADER_BYTES)));
    first.extend_from_slice(&new.identity);
    first.extend_from_slice(&frame::trailer());
    let spare = Segment::prepare(files, dir, 1, segment_file_bytes(options, bytes))?;
    Segment::create(files, dir, segment, spare, &first).map_err(|error| match error {
        CreateError::Nothing(error) | CreateError::Broken(error) => error,
    })
}

/// Clears an unfinished write, from `position` over `bytes` of the file.
///
/// The power may go here too, and a sector half cleared has a front of zeros and a back of frames: no longer what a
/// torn write looks like. So the first header's end mark goes first, one byte, durably: from then on the place reads
/// as unfinished until all is clear.
pub(crate) fn clear(segment: &Segment, position: Position, bytes: u64) -> Result<(), LogError> {
    let start = sector::physical(position.offset().into());
    let mark = sector::physical(u64::from(position.offset()) + HEADER_BYTES as u64 - 1);
    if mark < start + bytes {
        zero_range(segment, mark, mark + 1)?;
    }
    zero_range(segment, start, start + bytes)
}

fn zero_range(segment: &Segment, start: u64, end: u64) -> Result<(), LogError> {
    let zeros = [0; ZEROS_BYTES];
    let mut at = start;
    while at < end {
        let length = (end - at).min(ZEROS_BYTES as u64) as usize;
        segment.file.write_all_at(at, &zeros[..length]).map_err(LogError::io("clear", &segment.path))?;
        at += length as u64;
    }
    segment.file.sync_data().map_err(LogError::io("sync", &segment.path))
}
