//! The end of a log that nobody writes, for a reader that does not open it.
//!
//! A write begins only when the one before it is synced, and whoever opens a log makes its last write durable before
//! anything else. So all whole writes but the last are durable. The last one is when a mark covers it, and all that was
//! answered is covered. Else it is when, after a sync, the disk itself holds the same bytes: read from memory they prove
//! nothing, because bytes whose write-back failed can still be read, and a later sync succeeds without them.

use std::io;
use std::path::Path;

use super::error::LogError;
use super::frame::HEADER_BYTES;
use super::scan::{Expect, Scanner, Step, Verdict};
use super::segment::Segment;
use super::{LogOptions, Position, sector};
use retailflow_os::files::Files;

/// Finds up to where the log in `dir` is durable. All before `from` is known to be. Blocks; cheap when nothing stands at
/// `from`.
///
/// # Errors
/// [`LogError`]. A damage may also be a write of someone who has just begun: look at the lock again.
pub(crate) fn durable_end(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    log_id: &[u8; 16],
    from: Position,
) -> Result<Position, LogError> {
    let mut durable = from;
    let mut expect: Option<Expect> = None;
    let mut last: Option<(Segment, Position, Position)> = None;
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
            let begins = scanner.position(scanner.offset);
            match scanner.next()? {
                // Whole, so what stands before it is durable.
                Step::Batch(_) => {
                    durable = durable.max(begins);
                    last = Some((segment.clone(), begins, scanner.position(scanner.offset)));
                }
                Step::End => break,
                Step::Bad(bad) if is_last && bad.other_format.is_none() => match scanner.judge(&bad)? {
                    // Opening the log takes it away. It was begun, so what stands before it is durable.
                    Verdict::Torn { .. } => {
                        durable = durable.max(begins);
                        break;
                    }
                    Verdict::Damage { reason } => return Err(LogError::damaged(bad.position, reason)),
                },
                Step::Bad(bad) => return Err(bad.into_error()),
            }
        }
        expect = Some(scanner.expect);
        if is_last {
            break;
        }
    }
    if let Some((segment, begins, ends)) = last.filter(|(_, _, ends)| *ends > durable)
        && on_disk(&segment, begins, ends)?
    {
        durable = ends;
    }
    Ok(durable)
}

/// Whether the disk holds the bytes that are read.
fn on_disk(segment: &Segment, begins: Position, ends: Position) -> Result<bool, LogError> {
    let (start, end) = (sector::physical(begins.offset().into()), sector::physical(ends.offset().into()));
    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
    let (mut seen, mut held) = (vec![0; length], vec![0; length]);
    let io = |what| LogError::io(what, &segment.path);
    let read = segment.file.read_full_at(start, &mut seen).map_err(io("read"))?;
    if segment.file.sync_data().is_err() {
        return Ok(false);
    }
    let found = segment.file.read_past_cache_at(start, &mut held).map_err(io("read"))?;
    Ok(read == length && found == Some(length) && seen == held)
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
