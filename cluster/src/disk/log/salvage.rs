//! Going through all of a damaged log: what is whole, and the gaps between.
//!
//! Nothing is changed, and no order of frames is promised but that of the log: whoever takes them has to see for himself what
//! follows from what, for a gap may have held anything.

use std::path::Path;

use super::error::LogError;
use super::frame::{Frame, HeaderKey};
use super::open::{LOCK_FILE, list};
use super::scan::{Expect, Scanner, Step, Verdict};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use super::unreadable::{Unreadable, read_around};
use super::{LogOptions, Position, durable};
use crate::disk::files::Files;

/// What stands in a log, in its order.
#[derive(Debug)]
pub enum Found<'a> {
    /// A whole frame.
    Frame(&'a Frame),
    /// Something that cannot be believed, or is not there.
    Gap(&'a Gap),
}

/// A stretch of a log without a whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins.
    pub from: Position,
    /// Where the next whole frame was found; `None` when there is none in that segment.
    pub until: Option<Position>,
    /// What is wrong.
    pub reason: String,
    /// How many frames were in it, where those around it tell.
    pub frames: Option<u64>,
    /// The end of a log that was not closed: a last write that was never answered may stand there.
    pub unfinished_write: bool,
}

/// Gives all that stands in the log in `dir` to `each`. Takes no lock and writes nothing. Blocks.
///
/// # Errors
/// [`LogError`]: somebody has the log open, a newer version wrote it, or `each` would not go on.
pub fn walk(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    each: &mut dyn FnMut(Found<'_>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let lock = dir.join(LOCK_FILE);
    if files.is_locked(&lock).map_err(LogError::io("look at", &lock))? {
        let holder = "(another one)".to_owned();
        return Err(LogError::InUse { dir: dir.to_owned(), holder });
    }
    let (numbers, _) = list(files, dir)?;
    let last = numbers.last().copied().unwrap_or(0);
    let key = numbers.iter().find_map(|number| Segment::open(files, dir, *number, false).ok());
    let key = key.map(|segment| segment.header.key());
    let (mut expect, mut end): (Option<Expect>, Option<Position>) = (None, None);
    for number in 1..=last {
        let start = Position::new(number, 0);
        let whole =
            |reason: String| Gap { from: start, until: None, reason, frames: None, unfinished_write: false };
        let mut headless = None;
        let opened = match Segment::open(files, dir, number, false) {
            Err(error @ LogError::Unsupported { .. }) => return Err(error),
            Err(error) => {
                headless = Some(error.to_string());
                key.ok_or(error).and_then(|key| {
                    Segment::open_without_header(files, dir, guessed(&key, number, expect.as_ref()))
                })
            }
            opened => opened,
        };
        let mut segment = match opened {
            Ok(segment) => segment,
            Err(error) => {
                each(Found::Gap(&whole(headless.unwrap_or_else(|| error.to_string()))))?;
                expect = None;
                continue;
            }
        };
        if key != Some(segment.header.key()) {
            each(Found::Gap(&whole("the segment belongs to another log".into())))?;
            expect = None;
            continue;
        }
        let unreadable = read_around(&mut segment);
        let mut scanner = Scanner::new(&segment, options);
        if let Some(reason) = headless {
            let found = scanner.find_batch(SEGMENT_HEADER_BYTES)?;
            if let Some((at, header)) = &found {
                scanner.resume_at(*at, header);
            }
            let until = found.as_ref().map(|(at, _)| scanner.position(*at));
            let frames =
                expect.zip(found).and_then(|(before, (_, first))| first.frame.checked_sub(before.frame));
            each(Found::Gap(&Gap { until, frames, ..whole(reason) }))?;
            unreadable.take();
            if until.is_none() {
                expect = None;
                continue;
            }
        } else if let Some(before) = expect.filter(|before| *before != scanner.expect) {
            let frames = scanner.expect.frame.checked_sub(before.frame);
            let reason = "the segment does not follow the one before it".to_owned();
            let until = Some(scanner.position(scanner.offset));
            each(Found::Gap(&Gap { until, frames, ..whole(reason) }))?;
        }
        walk_segment(&mut scanner, &unreadable, number == last, each)?;
        expect = Some(scanner.expect);
        end = Some(scanner.position(scanner.offset));
    }
    // What stood behind the end is known by the marks alone.
    let (Some(key), Some(end)) = (key, end) else { return Ok(()) };
    if let Some(mark) = durable::furthest(files, dir, &key.log_id)?.filter(|mark| mark.end > end) {
        let reason =
            format!("the log ends here, and {} says that it was durable up to {}", mark.name, mark.end);
        let gap = Gap { from: end, until: Some(mark.end), reason, frames: None, unfinished_write: false };
        each(Found::Gap(&gap))?;
    }
    Ok(())
}

/// The header that a segment would have, behind what is known to stand before it.
fn guessed(key: &HeaderKey, segment: u32, expect: Option<&Expect>) -> SegmentHeader {
    let Expect { frame, batch, previous } =
        expect.copied().unwrap_or(Expect { frame: 0, batch: 0, previous: [0; 32] });
    let HeaderKey { log_id, secret } = *key;
    SegmentHeader { log_id, secret, segment, first_frame: frame, first_batch: batch, previous }
}

fn walk_segment(
    scanner: &mut Scanner<'_>,
    unreadable: &Unreadable,
    is_last: bool,
    each: &mut dyn FnMut(Found<'_>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    loop {
        let bad = match scanner.next()? {
            Step::End => return Ok(()),
            Step::Batch(frames) => {
                frames.iter().try_for_each(|frame| each(Found::Frame(frame)))?;
                continue;
            }
            Step::Bad(bad) if bad.other_format.is_some() => return Err(bad.into_error()),
            Step::Bad(bad) => bad,
        };
        let from = scanner.position(scanner.offset);
        let unfinished_write = is_last && matches!(scanner.judge(&bad)?, Verdict::Torn { .. });
        let expected = scanner.expect.frame;
        let found = resume(scanner)?;
        let frames = found.and_then(|(_, frame)| frame.checked_sub(expected));
        let reason = match unreadable.take().len() {
            0 => bad.reason,
            sectors => format!("{}: the disk cannot read {sectors} sectors there", bad.reason),
        };
        let gap = Gap { from, until: found.map(|(until, _)| until), reason, frames, unfinished_write };
        each(Found::Gap(&gap))?;
        if found.is_none() {
            return Ok(());
        }
    }
}

/// Goes on at the next whole beginning of a batch; answers where, and which frame is first.
fn resume(scanner: &mut Scanner<'_>) -> Result<Option<(Position, u64)>, LogError> {
    let at = scanner.offset.max(SEGMENT_HEADER_BYTES) + 1;
    let Some((found, header)) = scanner.find_batch(at)? else { return Ok(None) };
    scanner.resume_at(found, &header);
    Ok(Some((scanner.position(found), header.frame)))
}
