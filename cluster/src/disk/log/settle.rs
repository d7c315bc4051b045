//! The end of a log that nobody writes, for a reader that does not open it.
//!
//! Read first, then sync: what was whole when it was read is durable once a sync that began later has succeeded,
//! whoever wrote it and whether or not that one still lives. An opening keeps every whole frame that it finds at the
//! end. So what is told here stays in the log, even when a writer starts in between.

use std::io;
use std::path::Path;

use super::error::LogError;
use super::frame::HEADER_BYTES;
use super::scan::{Expect, Scanner, Step, Verdict};
use super::segment::Segment;
use super::{LogOptions, Position, sector};
use crate::disk::files::Files;

/// Finds where the whole frames of the log in `dir` end, and makes them durable. All before `from` is known to be.
/// Blocks; cheap when nothing stands at `from`.
///
/// # Errors
/// [`LogError`]. A damage may also be a write of someone who has just begun: look at the lock again.
pub(crate) fn settle(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    log_id: &[u8; 16],
    from: Position,
) -> Result<Position, LogError> {
    let mut found = from;
    let mut scanned = Vec::new();
    let mut expect: Option<Expect> = None;
    for number in from.segment().. {
        let segment = Segment::open(files, dir, number, false)?;
        let start = Position::new(number, 0);
        if segment.header.log_id != *log_id {
            return Err(LogError::damaged(start, "the segment belongs to another log"));
        }
        let is_last = !there(files, &Segment::path(dir, number + 1))?;
        if is_last && number == from.segment() && untouched(&segment, from)? {
            return Ok(from);
        }
        let mut scanner = Scanner::new(&segment, options);
        if expect.is_some_and(|expect| expect != scanner.expect) {
            return Err(LogError::damaged(start, "the segment does not follow the one before it"));
        }
        loop {
            match scanner.next()? {
                Step::Batch(_) => {}
                Step::End => break,
                Step::Bad(bad) if is_last && bad.newer.is_none() => match scanner.judge(&bad)? {
                    // Opening the log takes it away.
                    Verdict::Torn { .. } => break,
                    Verdict::Damage { reason } => return Err(LogError::damaged(bad.position, reason)),
                },
                Step::Bad(bad) => return Err(bad.into_error()),
            }
        }
        found = found.max(scanner.position(scanner.offset));
        expect = Some(scanner.expect);
        drop(scanner);
        scanned.push(segment);
        if is_last {
            break;
        }
    }
    for segment in &scanned {
        segment.file.sync_data().map_err(LogError::io("sync", &segment.path))?;
    }
    files.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    Ok(found)
}

fn there(files: &dyn Files, path: &Path) -> Result<bool, LogError> {
    match files.open(path, false) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(LogError::io("open", path)(error)),
    }
}

/// Whether nothing but zeros stands where the next frame's header would.
fn untouched(segment: &Segment, at: Position) -> Result<bool, LogError> {
    let mut raw = [0; HEADER_BYTES + 1];
    let start = sector::physical(at.offset().into());
    let read = segment.file.read_full_at(start, &mut raw).map_err(LogError::io("read", &segment.path))?;
    Ok(raw[..read].iter().all(|byte| *byte == 0))
}
