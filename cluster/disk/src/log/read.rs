//! Reading a log that is being written: only what is durable, without stopping the writer.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::error::LogError;
use super::frame::{self, Frame, HEADER_BYTES, Header, HeaderFound, OVERHEAD_BYTES};
use super::group::{self, ENTRY_HEADER_BYTES, EntryError, EntryKind};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentInfo};
use super::{Position, sector};
use retailflow_os::files::Files;

/// How much is read in the hope that it holds the whole entry, in bytes.
const ENTRY_GUESS_BYTES: usize = 1024;

/// Files of segments that readers keep open at most; the writer has its own.
const OPEN_SEGMENTS_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// What writer and readers share.
pub(crate) struct Shared {
    files: Arc<dyn Files>,
    dir: PathBuf,
    segments: RwLock<BTreeMap<u32, SegmentInfo>>,
    /// The least recently used one is closed for another: a log has more segments than a process may have files.
    open: Mutex<LruCache<u32, Segment>>,
    /// Where the durable part ends.
    end: AtomicU64,
    failed: watch::Sender<Option<Arc<str>>>,
}

impl Shared {
    pub(crate) fn new(
        files: Arc<dyn Files>,
        dir: PathBuf,
        segments: impl IntoIterator<Item = SegmentInfo>,
        end: Position,
    ) -> Self {
        let segments = segments.into_iter().map(|segment| (segment.header.segment, segment)).collect();
        Self {
            files,
            dir,
            segments: RwLock::new(segments),
            open: Mutex::new(LruCache::new(OPEN_SEGMENTS_MAX)),
            end: AtomicU64::new(end.0),
            failed: watch::Sender::new(None),
        }
    }

    /// Of one open segment, all of which may be read up to `end`.
    pub(crate) fn of_one(files: Arc<dyn Files>, dir: PathBuf, segment: Segment, end: Position) -> Self {
        let shared = Self::new(files, dir, [], end);
        shared.add(segment);
        shared
    }

    pub(crate) fn add(&self, segment: Segment) {
        let number = segment.header.segment;
        self.segments.write().insert(number, segment.info());
        self.open.lock().put(number, segment);
    }

    pub(crate) fn set_end(&self, end: Position) {
        self.end.store(end.0, Ordering::Release);
    }

    pub(crate) fn fail(&self, reason: &str) {
        self.failed.send_replace(Some(reason.into()));
    }
}

/// An entry of a group, read by its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// What it is.
    pub kind: EntryKind,
    /// The order's record before this one.
    pub previous: Option<Position>,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Reads a log. Cheap to clone; never sees what is not durable.
#[derive(Clone)]
pub struct LogReader(pub(crate) Arc<Shared>);

impl LogReader {
    /// Where the durable part ends: the next frame begins here, or in the next segment.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.0.end.load(Ordering::Acquire))
    }

    /// How many bytes of segments stand before `position`.
    pub(crate) fn bytes_before(&self, position: Position) -> u64 {
        let segments = self.0.segments.read();
        let before = segments.range(..position.segment()).map(|(_, segment)| u64::from(segment.capacity));
        before.sum::<u64>() + u64::from(position.offset())
    }

    /// Holds the reason once the log has failed for good.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.0.failed.subscribe()
    }

    /// Reads an entry of a group. Blocks.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when there is no whole entry at `position`; [`LogError::Io`].
    pub fn entry(&self, position: Position) -> Result<StoredEntry, LogError> {
        let mut data = Vec::new();
        let damaged = |reason: String| LogError::damaged(position, reason);
        self.data(position, ENTRY_GUESS_BYTES, &mut data)?;
        let length = group::entry_bytes(&data).ok_or_else(|| damaged("no entry stands here".into()))?;
        let whole = ENTRY_HEADER_BYTES + length as usize;
        if whole > data.len() {
            self.data(position, whole, &mut data)?;
        }
        let entry = group::decode_entry(&data, 0).map_err(|error| match error {
            EntryError::Damaged(reason) => damaged(reason),
            EntryError::Newer(_) => LogError::unsupported_frame(position, u16::from(frame::VERSION) + 1),
        })?;
        Ok(StoredEntry { kind: entry.kind, previous: entry.previous, bytes: entry.bytes.to_vec() })
    }

    /// Reads the frame at `position`. Blocks.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when there is no whole frame at `position`; [`LogError::Io`].
    pub fn frame(&self, position: Position) -> Result<Frame, LogError> {
        let key = self.segment(position)?.header.key();
        let mut data = Vec::new();
        self.data(position, HEADER_BYTES, &mut data)?;
        let damaged = |reason: &str| LogError::damaged(position, reason);
        let mut bytes = [0; HEADER_BYTES];
        if data.len() < HEADER_BYTES {
            return Err(damaged("no frame stands here"));
        }
        bytes.copy_from_slice(&data);
        let header = match Header::decode(&bytes, &key, position) {
            HeaderFound::Good(header) => header,
            HeaderFound::OtherFormat(found) => return Err(LogError::unsupported_frame(position, found)),
            _ => return Err(damaged("a frame's header has a wrong checksum")),
        };
        let length = header.payload_bytes as usize;
        self.data(position.plus(HEADER_BYTES as u32), length, &mut data)?;
        if data.len() < length || crc32c::crc32c(&data) != header.payload_crc {
            return Err(damaged("a frame's content has a wrong checksum"));
        }
        let hash = frame::frame_hash(&bytes, &data);
        Ok(Frame {
            position,
            kind: header.kind,
            number: header.frame,
            hash,
            previous: header.previous,
            next: header.next(position),
            payload: data,
        })
    }

    /// Whole frames after the one at `after` (from the beginning for `None`), until their payloads hold
    /// `limit_bytes` or more; empty at the end. Blocks.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn frames_after(&self, after: Option<Position>, limit_bytes: usize) -> Result<Vec<Frame>, LogError> {
        let end = self.end();
        let mut frames = Vec::new();
        let mut bytes = 0;
        let mut next = match after {
            None => Position::new(1, SEGMENT_HEADER_BYTES),
            Some(position) => self.frame(position)?.next,
        };
        while next < end && bytes < limit_bytes {
            if next.segment() < end.segment() && self.segment_ends_at(next)? {
                next = Position::new(next.segment() + 1, SEGMENT_HEADER_BYTES);
                continue;
            }
            let frame = self.frame(next)?;
            next = frame.next;
            bytes += frame.payload.len() + OVERHEAD_BYTES;
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Whether no frame begins at `position` although later segments exist. Only zeros count: a damaged frame must
    /// not be skipped.
    pub(crate) fn segment_ends_at(&self, position: Position) -> Result<bool, LogError> {
        let capacity = self.info(position)?.capacity;
        if u64::from(position.offset()) + OVERHEAD_BYTES as u64 > u64::from(capacity) {
            return Ok(true);
        }
        let mut data = Vec::new();
        self.data(position, HEADER_BYTES, &mut data)?;
        Ok(data.iter().all(|byte| *byte == 0))
    }

    /// The log's secret: what tokens that strangers are shown can be sealed with, after a derivation of their own.
    #[must_use]
    pub fn secret(&self) -> [u8; 16] {
        self.0.segments.read().values().next().map_or([0; 16], |segment| segment.header.secret)
    }

    fn info(&self, position: Position) -> Result<SegmentInfo, LogError> {
        let segments = self.0.segments.read();
        let segment = segments.get(&position.segment()).cloned();
        segment.ok_or_else(|| LogError::damaged(position, "the log has no such segment"))
    }

    fn segment(&self, position: Position) -> Result<Segment, LogError> {
        let number = position.segment();
        if let Some(segment) = self.0.open.lock().get(&number) {
            return Ok(segment.clone());
        }
        let info = self.info(position)?;
        let segment = Segment::open(self.0.files.as_ref(), &self.0.dir, number, false)?;
        if segment.header != info.header {
            return Err(LogError::damaged(Position::new(number, 0), "another segment stands here now"));
        }
        self.0.open.lock().put(number, segment.clone());
        Ok(segment)
    }

    /// Reads up to `length` data bytes at `position`, fewer at the durable end.
    fn data(&self, position: Position, length: usize, data: &mut Vec<u8>) -> Result<(), LogError> {
        data.clear();
        let segment = self.segment(position)?;
        let end = self.end();
        let limit = if position.segment() == end.segment() { end.offset() } else { segment.capacity };
        let length = length.min(limit.saturating_sub(position.offset()) as usize);
        let start = sector::physical(position.offset().into());
        let stop = sector::physical(u64::from(position.offset()) + length as u64);
        let mut raw = vec![0; (stop - start) as usize];
        let read = segment.file.read_full_at(start, &mut raw).map_err(LogError::io("read", &segment.path))?;
        sector::unseal(position.offset().into(), &raw[..read], data);
        data.truncate(length);
        Ok(())
    }
}
