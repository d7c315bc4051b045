//! The end of the log: frames are gathered into a batch, and a batch becomes durable with one write and one sync.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};
use retailflow_engine::metric;

use super::durable::{LogMark, MarkKeeper};
use super::frame::{self, FrameKind, HEADER_BYTES, Header, OVERHEAD_BYTES, TRAILER_BYTES};
use super::read::Shared;
use super::scan::Expect;
use super::segment::{CreateError, SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use super::spare::SpareMaker;
use super::{Cursor, LogError, LogOptions, Position, sector};
use retailflow_os::files::Files;

/// Why a frame was not taken into the batch. The batch is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The batch is full: commit it, then push again.
    #[error("the batch is full")]
    Full,
    /// There is no room for another segment. Nothing was written; it may go again later.
    #[error("no room for another segment of the log: {0}")]
    Unavailable(String),
    /// The process, or the system, may open no further file for another segment. Nothing was written; it may go again later.
    #[error("no file can be opened for another segment of the log: {0}")]
    OutOfFiles(String),
    /// Larger than a frame may be.
    #[error("a frame of {bytes} bytes is too large: at most {max}")]
    TooLarge {
        /// Its payload in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The log failed for good.
    #[error("{0}")]
    Broken(String),
}

/// A batch was not made durable; whether it will be found later is unknown, and this log takes no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log failed for good: {0}")]
pub struct AppendError(pub String);

struct Pending {
    at: usize,
    payload: usize,
    kind: FrameKind,
}

/// Appends to a log. There is one for each open log.
pub struct Appender {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: LogOptions,
    shared: Arc<Shared>,
    spare: SpareMaker,
    segment: Segment,
    offset: u32,
    expect: Expect,
    last: Cursor,
    mark: LogMark,
    broken: Option<String>,
    batch: Vec<u8>,
    frames: Vec<Pending>,
    raw: Vec<u8>,
    sync_seconds: Histogram,
    written_bytes: Counter,
}

impl Appender {
    pub(crate) fn new(
        files: Arc<dyn Files>,
        dir: PathBuf,
        options: LogOptions,
        shared: Arc<Shared>,
        tail: Tail,
        mark: LogMark,
    ) -> Self {
        let Tail { segment, offset, expect, last } = tail;
        Self {
            spare: SpareMaker::new(Arc::clone(&files), dir.clone()),
            files,
            dir,
            options,
            shared,
            segment,
            offset,
            expect,
            last,
            mark,
            broken: None,
            batch: Vec::new(),
            frames: Vec::new(),
            raw: Vec::new(),
            sync_seconds: histogram!(metric::LOG_SYNC_SECONDS.name),
            written_bytes: counter!(metric::LOG_BYTES.name),
        }
    }

    /// The last durable frame.
    #[must_use]
    pub fn last(&self) -> Cursor {
        self.last
    }

    /// Starts the thread that keeps copies of the log's mark.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn mark_copies(&self) -> std::io::Result<MarkKeeper> {
        self.mark.copies()
    }

    /// Writes and syncs what says nothing new: whether the disk takes writes.
    ///
    /// # Errors
    /// What the system says, or that the log has failed.
    pub(crate) fn prove(&mut self) -> std::io::Result<()> {
        match &self.broken {
            Some(reason) => Err(std::io::Error::other(reason.clone())),
            None => self.mark.prove(),
        }
    }

    /// Why the log takes no more, if it failed.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Adds a frame to the batch; returns where it will stand. Its payload begins
    /// [`HEADER_BYTES`] after that.
    ///
    /// # Errors
    /// [`PushError`]: the batch is as it was.
    pub fn push(&mut self, kind: FrameKind, payload: &[u8]) -> Result<Position, PushError> {
        if let Some(reason) = &self.broken {
            return Err(PushError::Broken(reason.clone()));
        }
        let max = self.options.payload_max_bytes as usize;
        if payload.len() > max {
            return Err(PushError::TooLarge { bytes: payload.len(), max });
        }
        let bytes = payload.len() + OVERHEAD_BYTES;
        let room = (self.segment.capacity - self.offset) as usize;
        if self.frames.is_empty() {
            if bytes > room {
                self.rotate(bytes)?;
            }
        } else if self.batch.len() + bytes > room.min(self.options.batch_max_bytes as usize) {
            return Err(PushError::Full);
        }
        let at = self.batch.len();
        self.batch.extend_from_slice(&[0; HEADER_BYTES]);
        self.batch.extend_from_slice(payload);
        self.batch.extend_from_slice(&frame::trailer());
        self.frames.push(Pending { at, payload: payload.len(), kind });
        Ok(Position::new(self.segment.header.segment, self.offset + at as u32))
    }

    /// Bytes in the batch.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        self.batch.len()
    }

    /// Makes the batch durable: one write, one sync. Returns the last frame, and `None` for an empty batch.
    ///
    /// # Errors
    /// [`AppendError`]: the log takes no more.
    pub fn commit(&mut self) -> Result<Option<Cursor>, AppendError> {
        if let Some(reason) = &self.broken {
            return Err(AppendError(reason.clone()));
        }
        let Some(last) = self.frames.last() else { return Ok(None) };
        let last = Position::new(self.segment.header.segment, self.offset + last.at as u32);
        let expect = self.fill_headers();
        self.raw.clear();
        sector::seal_batch(self.offset.into(), &self.batch, &mut self.raw);
        let begun = Instant::now();
        let written = self
            .segment
            .file
            .write_all_at(sector::physical(self.offset.into()), &self.raw)
            .map_err(|error| ("write", error))
            .and_then(|()| self.segment.file.sync_data().map_err(|error| ("sync", error)));
        if let Err((what, error)) = written {
            let reason = format!("cannot {what} {}: {error}", self.segment.path.display());
            return Err(AppendError(self.fail(reason)));
        }
        self.sync_seconds.record(begun.elapsed());
        self.written_bytes.increment(self.raw.len() as u64);
        let end = Position::new(self.segment.header.segment, self.offset + self.batch.len() as u32);
        let end = sector::round_up(end);
        self.offset = end.offset();
        self.expect = expect;
        self.last = Cursor { position: last, hash: expect.previous };
        // Before anybody is answered: a start that finds less than was answered has to know.
        self.mark.write(end);
        self.shared.set_end(end);
        self.discard();
        if self.options.prepare_ahead && self.offset > self.segment.capacity / 2 {
            self.spare.prepare(self.segment.header.segment + 1, u64::from(self.options.segment_bytes));
        }
        Ok(Some(self.last))
    }

    /// Forgets the batch.
    pub fn discard(&mut self) {
        self.batch.clear();
        self.frames.clear();
        // A huge group is rare: its buffers are not kept for ever.
        let limit = self.options.batch_max_bytes as usize * 2;
        self.batch.shrink_to(limit);
        self.raw.clear();
        self.raw.shrink_to(limit);
    }

    /// Writes the mark of a clean stop. An unfinished batch is forgotten.
    ///
    /// # Errors
    /// In words; the log is as it was or failed for good.
    pub fn clean_stop(&mut self) -> Result<(), String> {
        self.discard();
        self.push(FrameKind::CleanStop, &[]).map_err(|error| error.to_string())?;
        self.commit().map(drop).map_err(|error| error.to_string())
    }

    fn fill_headers(&mut self) -> Expect {
        let Expect { frame, batch, mut previous } = self.expect;
        let (batch_frames, batch_bytes) = (self.frames.len() as u32, self.batch.len() as u32);
        for (index, pending) in self.frames.iter().enumerate() {
            let payload_at = pending.at + HEADER_BYTES;
            let payload_end = payload_at + pending.payload;
            debug_assert!(payload_end + TRAILER_BYTES <= self.batch.len());
            let header = Header {
                kind: pending.kind,
                payload_bytes: pending.payload as u32,
                payload_crc: crc32c::crc32c(&self.batch[payload_at..payload_end]),
                frame: frame + index as u64,
                batch,
                batch_frames,
                batch_index: index as u32,
                batch_bytes,
                batch_offset: pending.at as u32,
                previous,
            };
            let position = Position::new(self.segment.header.segment, self.offset + pending.at as u32);
            let header = header.encode(&self.segment.header.key(), position);
            self.batch[pending.at..payload_at].copy_from_slice(&header);
            previous = frame::frame_hash(&header, &self.batch[payload_at..payload_end]);
        }
        Expect { frame: frame + u64::from(batch_frames), batch: batch + 1, previous }
    }

    /// Goes on in a new segment, large enough for a frame of `bytes`.
    fn rotate(&mut self, bytes: usize) -> Result<(), PushError> {
        let header = SegmentHeader {
            log_id: self.segment.header.log_id,
            secret: self.segment.header.secret,
            segment: self.segment.header.segment + 1,
            first_frame: self.expect.frame,
            first_batch: self.expect.batch,
            previous: self.expect.previous,
        };
        let size = segment_file_bytes(&self.options, bytes);
        let spare = match self.spare.take(header.segment, size) {
            Some(spare) => Ok(spare),
            None => Segment::prepare(self.files.as_ref(), &self.dir, header.segment, size),
        };
        let created = spare
            .map_err(CreateError::Nothing)
            .and_then(|spare| Segment::create(self.files.as_ref(), &self.dir, header, spare, &[]));
        match created {
            Ok(segment) => {
                self.shared.add(segment.clone());
                self.segment = segment;
                self.offset = SEGMENT_HEADER_BYTES;
                Ok(())
            }
            Err(CreateError::Nothing(error)) => Err(why_not(&error)),
            Err(CreateError::Broken(error)) => Err(PushError::Broken(self.fail(error.to_string()))),
        }
    }

    fn fail(&mut self, reason: String) -> String {
        self.discard();
        self.shared.fail(&reason);
        self.broken = Some(reason.clone());
        reason
    }
}

/// Where a log ends and what must follow.
pub(crate) struct Tail {
    pub(crate) segment: Segment,
    pub(crate) offset: u32,
    pub(crate) expect: Expect,
    pub(crate) last: Cursor,
}

/// The size of a segment file that holds at least a frame of `frame_bytes`: whole sectors, in bytes.
pub(crate) fn segment_file_bytes(options: &LogOptions, frame_bytes: usize) -> u64 {
    let needed = (SEGMENT_HEADER_BYTES as usize + frame_bytes) as u64;
    let sectors =
        (needed / sector::DATA_BYTES + 1).max(u64::from(options.segment_bytes) / sector::SECTOR_BYTES);
    sectors * sector::SECTOR_BYTES
}

/// Why no segment was made, so that what is wanting can be told from what is full.
fn why_not(error: &LogError) -> PushError {
    // EMFILE and ENFILE: the process's limit, and the system's.
    let is_files = |source: &io::Error| matches!(source.raw_os_error(), Some(23 | 24));
    match error {
        LogError::Io { source, .. } if is_files(source) => PushError::OutOfFiles(error.to_string()),
        error => PushError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_wanting_are_told_from_room() {
        let error =
            |code| LogError::io("create", std::path::Path::new("/x"))(io::Error::from_raw_os_error(code));
        for (code, is_files) in [(24, true), (23, true), (28, false), (5, false)] {
            assert_eq!(matches!(why_not(&error(code)), PushError::OutOfFiles(_)), is_files, "{code}");
        }
    }
}
