//! Following a log from another process, while its owner writes it or when nobody does.
//!
//! Invariant: what is shown is durable and stays in the log. While somebody holds the log's lock, groups are shown up to
//! the mark (`log::durable`), which is written after the sync. When nobody holds it, the mark may be behind: what is
//! durable all the same is found out by reading (`log::durable_end`). A follower takes no lock, and writes nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retailflow_engine::codec::{CodecError, identity};
use retailflow_engine::ports::{LogIdentity, LogPosition, LoggedGroup};

use super::log::durable_end::durable_end;
use super::log::frame::{Frame, FrameKind};
use super::log::open::LOCK_FILE;
use super::log::read::Shared;
use super::log::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::log::{Hash, LogError, LogOptions, LogReader, Position, durable, group};
use retailflow_os::files::Files;

#[cfg(test)]
mod tests;

/// Why a log can't be followed, or not from there.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// There is nothing to follow.
    #[error("there is no log in {0}")]
    NoLog(PathBuf),
    /// The place was never in this log, or was cut off by a repair: begin again from the beginning.
    #[error("position {position} is not in this log: {why}")]
    Gone {
        /// The place.
        position: Position,
        /// What stands there.
        why: String,
    },
    /// The log's first record can't be read by this build.
    #[error("the log's first record: {0}")]
    Identity(CodecError),
    /// Damage, or the file system said no.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Reads the groups of a log in its order. Blocks: not for async threads. Holds one segment open, and one read's worth of
/// groups in memory.
pub struct LogFollower {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: LogOptions,
    identity: LogIdentity,
    /// All before is durable.
    end: Position,
    /// Sees the segment in which `next` is, and nothing else.
    reader: LogReader,
    segment: u32,
    next: Position,
    /// The frame before `next`.
    last: Option<(Position, Hash)>,
}

impl LogFollower {
    /// Follows the log in the folder `data` from its beginning.
    ///
    /// # Errors
    /// [`FollowError`]; `NoLog` also while the log is only being made.
    pub fn open(data: &Path, options: LogOptions, files: Arc<dyn Files>) -> Result<Self, FollowError> {
        let dir = data.join("log");
        let first = match Segment::open(files.as_ref(), &dir, 1, false) {
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(FollowError::NoLog(dir));
            }
            opened => opened?,
        };
        let log_id = first.header.log_id;
        // A segment gets its name when its first frame is durable.
        let shared = Shared::of_one(Arc::clone(&files), dir.clone(), first, EVERYTHING);
        let reader = LogReader(Arc::new(shared));
        let frame = reader.frame(BEGINNING)?;
        let identity = identity::decode(&frame.payload).map_err(FollowError::Identity)?;
        if frame.kind != FrameKind::Identity || identity.log_id != log_id {
            return Err(LogError::damaged(BEGINNING, "the log does not begin with its identity").into());
        }
        let (end, next) = (frame.next, BEGINNING);
        Ok(Self { files, dir, options, identity, end, reader, segment: 1, next, last: None })
    }

    /// What the log says it is.
    #[must_use]
    pub fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    /// Goes on with the group at `position`, which is read again; 0 is the beginning.
    ///
    /// # Errors
    /// [`FollowError::Gone`], and the follower stays where it was; [`FollowError::Log`].
    pub fn seek_to(&mut self, position: LogPosition) -> Result<(), FollowError> {
        self.seek(position, false)
    }

    /// Goes on behind the group at `position`; 0 is the beginning.
    ///
    /// # Errors
    /// As [`LogFollower::seek_to`].
    pub fn seek_after(&mut self, position: LogPosition) -> Result<(), FollowError> {
        self.seek(position, true)
    }

    /// The next groups, about `limit_bytes` of them and at least one; empty when there are no more for now. After an
    /// error, the next call tries again at the same place.
    ///
    /// # Errors
    /// [`FollowError::Gone`] when the log is no longer the one that was read; [`FollowError::Log`].
    pub fn next(&mut self, limit_bytes: usize) -> Result<Vec<LoggedGroup>, FollowError> {
        let mut groups = Vec::new();
        let mut bytes = 0;
        while bytes < limit_bytes.max(1) {
            if self.next >= self.end {
                if !groups.is_empty() {
                    break;
                }
                self.read_head()?;
                if self.next >= self.end {
                    break;
                }
            }
            let Some(frame) = self.frame()? else { continue };
            if frame.kind == FrameKind::Group {
                let group = group::logged(&frame).map_err(|why| LogError::damaged(frame.position, why))?;
                bytes += frame.payload.len();
                groups.push(group);
            }
            self.last = Some((frame.position, frame.hash));
            self.next = frame.next;
        }
        Ok(groups)
    }

    /// The frame at `next`, which is before the end; `None` when it went on to the next segment instead.
    fn frame(&mut self) -> Result<Option<Frame>, FollowError> {
        self.have(self.next.segment())?;
        if self.next.segment() < self.end.segment() && self.reader.segment_ends_at(self.next)? {
            self.next = Position::new(self.next.segment() + 1, SEGMENT_HEADER_BYTES);
            return Ok(None);
        }
        let frame = self.reader.frame(self.next)?;
        match self.last {
            Some((position, hash)) if frame.previous != hash => {
                Err(FollowError::Gone { position, why: "another frame stands before what follows it".into() })
            }
            _ => Ok(Some(frame)),
        }
    }

    fn seek(&mut self, position: LogPosition, behind: bool) -> Result<(), FollowError> {
        if position.0 == 0 {
            (self.next, self.last) = (BEGINNING, None);
            return Ok(());
        }
        let position = Position(position.0);
        let gone = |why: String| FollowError::Gone { position, why };
        let found = Segment::open(self.files.as_ref(), &self.dir, position.segment(), false);
        let segment = match found {
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(gone("there is no such segment".into()));
            }
            found => found?,
        };
        if segment.header.log_id != self.identity.log_id {
            return Err(gone("the segment belongs to another log".into()));
        }
        // Not only up to the end that is known: the mark may be older than what was shown before.
        let shared = Shared::of_one(Arc::clone(&self.files), self.dir.clone(), segment, EVERYTHING);
        let reader = LogReader(Arc::new(shared));
        let frame = match reader.frame(position) {
            Err(LogError::Damaged { reason, .. }) => return Err(gone(reason)),
            found => found?,
        };
        (self.next, self.last) = match behind {
            true => (frame.next, Some((frame.position, frame.hash))),
            false => (position, None),
        };
        Ok(())
    }

    /// Opens segment `number` unless it is open.
    fn have(&mut self, number: u32) -> Result<(), FollowError> {
        if self.segment != number {
            let segment = Segment::open(self.files.as_ref(), &self.dir, number, false)?;
            if segment.header.log_id != self.identity.log_id {
                let position = Position::new(number, 0);
                return Err(FollowError::Gone { position, why: "the segment belongs to another log".into() });
            }
            let shared = Shared::of_one(Arc::clone(&self.files), self.dir.clone(), segment, self.end);
            self.reader = LogReader(Arc::new(shared));
            self.segment = number;
        }
        self.reader.0.set_end(self.end);
        Ok(())
    }

    /// Looks how far the log is durable now.
    fn read_head(&mut self) -> Result<(), FollowError> {
        let (files, log_id) = (self.files.as_ref(), &self.identity.log_id);
        let lock = self.dir.join(LOCK_FILE);
        let is_locked = || files.is_locked(&lock).map_err(LogError::io("look at", &lock));
        if let Some(mark) = durable::read(files, &self.dir, log_id)? {
            self.end = self.end.max(mark);
        }
        if is_locked()? {
            return Ok(());
        }
        // Nobody is writing, or somebody begins just now; then what looks like damage may be a write that is under way.
        let end = match durable_end(files, &self.dir, self.options, log_id, self.end) {
            Err(LogError::Damaged { .. }) if is_locked()? => return Ok(()),
            Err(LogError::Damaged { .. }) => durable_end(files, &self.dir, self.options, log_id, self.end),
            end => end,
        };
        self.end = self.end.max(end?);
        Ok(())
    }
}

const BEGINNING: Position = Position::new(1, SEGMENT_HEADER_BYTES);
const EVERYTHING: Position = Position::new(u32::MAX, 0);
