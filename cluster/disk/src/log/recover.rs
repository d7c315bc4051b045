//! What a log that was not just made is believed: scanned from a place that was seen, compared with its marks, and its
//! last write made durable before anybody hears of it.
//!
//! Why the last write is written again: after a failed write-back the kernel calls the pages clean. They can still be
//! read, a sync of them succeeds, and they are not on the disk. Nothing tells such a write from one that is there. Only
//! the last one can be so, because a write begins only when the one before it is synced. So its bytes are written once
//! more, the same ones, and synced, whatever they look like. (What a failed `fsync` leaves: Rebello et al., "Can
//! Applications Recover from fsync Failures?", 2020.)

use std::path::Path;
use std::sync::Arc;

use super::appender::{Appender, Tail};
use super::durable::{self, LogMark};
use super::error::LogError;
use super::frame::{Frame, FrameKind};
use super::open::{Cut, Opened, Opening, Recovery, clear};
use super::read::{LogReader, Shared};
use super::scan::{Expect, Scanner, Step, Verdict};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::{Cursor, Position, sector};
use retailflow_os::files::Files;

/// Takes a frame, or says why not.
type Each<'a> = &'a mut dyn FnMut(&Frame) -> Result<(), String>;

/// The last whole write that was found.
struct LastBatch {
    segment: Segment,
    start: u32,
    end: u32,
    frames: Vec<Frame>,
}

/// Where the whole writes end.
struct End {
    segment: Segment,
    offset: u32,
    expect: Expect,
}

impl Opening {
    /// Gives every frame after `seen` to `each`, oldest first (all of them for `None`), cuts a torn last write, and
    /// opens the log for appending. A frame is given when it is durable, and no sooner.
    ///
    /// # Errors
    /// [`LogError`], and nothing was changed; but [`LogError::Io`] may come after the last write was made durable.
    pub fn finish(self, seen: Option<Cursor>, each: Each<'_>) -> Result<Opened, LogError> {
        let Self { files, dir, options, mut segments, created, lock, .. } = self;
        let mut recovery = Recovery { created, ..Recovery::default() };
        let log_id = segments[0].header.log_id;
        let first = seen.map_or(1, |seen| seen.position.segment());
        if segments.len() < first as usize {
            return Err(regressed(seen, "that segment is not there"));
        }
        let mut given = Given { seen, each, scanned: 0 };
        let mut end: Option<End> = None;
        let mut last: Option<LastBatch> = None;
        let mut cut: Option<(Segment, Cut)> = None;
        for info in segments.iter().filter(|segment| segment.header.segment >= first) {
            let number = info.header.segment;
            let is_last = number as usize == segments.len();
            let segment = Segment::open(files.as_ref(), &dir, number, is_last)?;
            let mut scanner = Scanner::new(&segment, options);
            if let Some(end) = &end
                && scanner.expect != end.expect
            {
                let start = Position::new(number, 0);
                return Err(LogError::damaged(start, "the segment does not follow the one before it"));
            }
            let seen_here = seen.filter(|seen| seen.position.segment() == number);
            if let Some(seen) = seen_here
                && !scanner.seek_batch_of(seen.position.offset())?
            {
                return Err(regressed(Some(seen), "there is no frame now"));
            }
            loop {
                let start = scanner.offset;
                match scanner.next()? {
                    Step::Batch(frames) => {
                        if last.is_none() {
                            holds(&frames, seen_here)?;
                        }
                        // A later write was begun, so the one before it is durable.
                        if let Some(last) = last.take() {
                            given.give(&last.frames)?;
                        }
                        let end = scanner.offset;
                        last = Some(LastBatch { segment: segment.clone(), start, end, frames });
                    }
                    Step::End => break,
                    Step::Bad(bad) if is_last && bad.other_format.is_none() => match scanner.judge(&bad)? {
                        Verdict::Torn { bytes } => {
                            // The frame was seen, so it was durable once: a power cut does not explain this.
                            if last.is_none()
                                && let Some(seen) = seen_here
                            {
                                return Err(regressed(Some(seen), &bad.reason));
                            }
                            let position = scanner.position(start);
                            cut = Some((segment.clone(), Cut { position, bytes, reason: bad.reason }));
                            break;
                        }
                        Verdict::Damage { reason } => return Err(LogError::damaged(bad.position, reason)),
                    },
                    Step::Bad(bad) => return Err(bad.into_error()),
                }
            }
            let (offset, expect) = (scanner.offset, scanner.expect);
            let is_unused = is_last && number > 1 && offset == SEGMENT_HEADER_BYTES && cut.is_none();
            if is_unused && end.is_some() {
                // Its name may not be on the disk, whatever a sync says now. It is made anew when it is needed.
                segments.truncate(segments.len() - 1);
                remove(files.as_ref(), &dir, &segment)?;
                break;
            }
            end = Some(End { segment, offset, expect });
        }
        let (Some(end), Some(last)) = (end, last) else {
            return Err(LogError::damaged(Position::new(first, 0), "the log holds no frame"));
        };
        let End { segment, offset, expect } = end;
        let position = Position::new(segment.header.segment, offset);
        if let Some(mark) =
            durable::furthest(files.as_ref(), &dir, &log_id)?.filter(|mark| mark.end > position)
        {
            let reason = cut.map(|(_, cut)| cut.reason);
            return Err(LogError::Lost { source_name: mark.name, seen: mark.end, end: position, reason });
        }
        if let Some((segment, cut)) = cut {
            clear(&segment, cut.position, cut.bytes)?;
            recovery.cut = Some(cut);
        }
        write_again(files.as_ref(), &dir, &last)?;
        files.sync_dir(&dir).map_err(LogError::io("sync", &dir))?;
        given.give(&last.frames)?;
        recovery.scanned_frames = given.scanned;
        let newest = last
            .frames
            .last()
            .map(|frame| (Cursor { position: frame.position, hash: frame.hash }, frame.kind));
        let Some((newest, kind)) = newest else {
            return Err(LogError::damaged(position, "a write holds no frame"));
        };
        recovery.clean_stop = recovery.cut.is_none() && kind == FrameKind::CleanStop;
        // It may be the one before an unused one that was removed, opened for reading.
        let segment = Segment::open(files.as_ref(), &dir, segment.header.segment, true)?;
        let shared = Arc::new(Shared::new(Arc::clone(&files), dir.clone(), segments, position));
        let mark = LogMark::begin(Arc::clone(&files), &dir, log_id, position);
        let tail = Tail { segment, offset, expect, last: newest };
        let appender = Appender::new(files, dir, options, Arc::clone(&shared), tail, mark);
        Ok(Opened { appender, reader: LogReader(shared), recovery, lock })
    }
}

/// Frames on their way to whoever opens the log.
struct Given<'a> {
    seen: Option<Cursor>,
    each: Each<'a>,
    scanned: u64,
}

impl Given<'_> {
    fn give(&mut self, frames: &[Frame]) -> Result<(), LogError> {
        let new = frames.iter().filter(|frame| self.seen.is_none_or(|seen| frame.position > seen.position));
        for frame in new {
            self.scanned += 1;
            (self.each)(frame)
                .map_err(|reason| LogError::Refused { place: super::Place(frame.position), reason })?;
        }
        Ok(())
    }
}

/// Whether the first write that was found holds the frame that was seen.
fn holds(frames: &[Frame], seen: Option<Cursor>) -> Result<(), LogError> {
    let Some(seen) = seen else { return Ok(()) };
    match frames.iter().find(|frame| frame.position == seen.position) {
        Some(frame) if frame.hash == seen.hash => Ok(()),
        Some(_) => Err(regressed(Some(seen), "another frame stands there now")),
        None => Err(regressed(Some(seen), "no frame begins there now")),
    }
}

/// Makes the last write durable, whatever became of its first sync.
fn write_again(files: &dyn Files, dir: &Path, last: &LastBatch) -> Result<(), LogError> {
    // The segment may have been opened for reading, when an unused one followed it.
    let segment = Segment::open(files, dir, last.segment.header.segment, true)?;
    let (start, end) = (sector::physical(last.start.into()), sector::physical(last.end.into()));
    let mut raw = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
    let read = segment.file.read_full_at(start, &mut raw).map_err(LogError::io("read", &segment.path))?;
    let written = segment.file.write_all_at(start, &raw[..read]);
    written.map_err(LogError::io("write the last frames again to", &segment.path))?;
    segment.file.sync_data().map_err(LogError::io("sync", &segment.path))
}

fn remove(files: &dyn Files, dir: &Path, segment: &Segment) -> Result<(), LogError> {
    files.remove(&segment.path).map_err(LogError::io("remove", &segment.path))?;
    files.sync_dir(dir).map_err(LogError::io("sync", dir))
}

fn regressed(seen: Option<Cursor>, found: &str) -> LogError {
    let seen = seen.map_or(Position::new(1, 0), |seen| seen.position);
    LogError::Regressed { seen, found: found.into() }
}
