//! Going through all of a damaged log: what is whole, and the gaps between.
//!
//! Nothing is changed, and no order of frames is promised but that of the log: whoever takes them has to see for himself what
//! follows from what, for a gap may have held anything.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::LogError;
use super::frame::{Frame, HeaderKey};
use super::open::{LOCK_FILE, list};
use super::scan::{Expect, Scanner, Step, Verdict};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use super::unreadable::{Unreadable, read_around};
use super::{LogOptions, Position, durable};
use retailflow_os::files::Files;

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
    /// How many frames are missing, where those around it tell. Those that are whole by themselves follow it.
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
    let Some(key) = key_of(files, dir)? else {
        return Err(LogError::damaged(Position::new(1, 0), "no segment's header can be read"));
    };
    let pieces = pieces(files, dir, &key)?;
    let last = pieces.keys().last().copied().unwrap_or(0);
    let last_whole = pieces.iter().filter(|(_, piece)| piece.header.is_ok()).map(|(number, _)| *number).max();
    let (mut expect, mut end): (Option<Expect>, Option<Position>) = (None, None);
    for number in 1..=last {
        let start = Position::new(number, 0);
        let whole =
            |reason: String| Gap { from: start, until: None, reason, frames: None, unfinished_write: false };
        // Nothing that a newer build wrote stands before what this one did: there it is damage.
        let is_followed = last_whole.is_some_and(|last| last > number);
        let Some(piece) = pieces.get(&number) else {
            each(Found::Gap(&whole(LogError::MissingSegment(number).to_string())))?;
            expect = None;
            continue;
        };
        let header = match &piece.header {
            Ok(header) => header.clone(),
            Err(_) => guessed(&key, number, expect.as_ref()),
        };
        let mut segment = Segment::open_as(files, dir, piece.named, header)?;
        let unreadable = read_around(&mut segment);
        let mut scanner = Scanner::new(&segment, options);
        let finding = match &piece.header {
            Err(error) => {
                let found = scanner.find_batch(SEGMENT_HEADER_BYTES)?;
                if let (Some(unsupported), None, false) = (error.unsupported(), &found, is_followed) {
                    return Err(unsupported);
                }
                if let Some((at, header)) = &found {
                    scanner.resume_at(*at, header);
                }
                unreadable.take();
                Some((error.to_string(), found.is_some()))
            }
            Ok(_) if piece.named != number => {
                Some((format!("it stands in the file of segment {:016}", piece.named), true))
            }
            Ok(_) if expect.is_some_and(|before| before != scanner.expect) => {
                Some(("the segment does not follow the one before it".to_owned(), true))
            }
            Ok(_) => None,
        };
        if let Some((reason, found)) = finding {
            let until = found.then(|| scanner.position(scanner.offset));
            let frames = expect.filter(|_| found);
            let frames = frames.and_then(|before| scanner.expect.frame.checked_sub(before.frame));
            each(Found::Gap(&Gap { until, frames, ..whole(reason) }))?;
            if !found {
                expect = None;
                continue;
            }
        }
        walk_segment(&mut scanner, &unreadable, (number == last, is_followed), each)?;
        expect = Some(scanner.expect);
        end = Some(scanner.position(scanner.offset));
    }
    // What stood behind the end is known by the marks alone.
    let Some(end) = end else { return Ok(()) };
    if let Some(mark) = durable::furthest(files, dir, &key.log_id)?.filter(|mark| mark.end > end) {
        let reason =
            format!("the log ends here, and {} says that it was durable up to {}", mark.name, mark.end);
        let gap = Gap { from: end, until: Some(mark.end), reason, frames: None, unfinished_write: false };
        each(Found::Gap(&gap))?;
    }
    Ok(())
}

/// The id of the log that stands in `dir`, as its segments and marks have it. Blocks.
///
/// # Errors
/// [`LogError::Io`].
pub fn log_id(files: &dyn Files, dir: &Path) -> Result<Option<[u8; 16]>, LogError> {
    Ok(key_of(files, dir)?.map(|key| key.log_id))
}

/// Which log this is: the one that marks know, and that most segments belong to.
fn key_of(files: &dyn Files, dir: &Path) -> Result<Option<HeaderKey>, LogError> {
    let mut keys: Vec<(HeaderKey, u32)> = Vec::new();
    for named in list(files, dir)?.0 {
        let Ok(header) = Segment::header_of(files, dir, named) else { continue };
        match keys.iter_mut().find(|(key, _)| *key == header.key()) {
            Some((_, count)) => *count += 1,
            None => keys.push((header.key(), 1)),
        }
    }
    let mut best: Option<(HeaderKey, (bool, u32))> = None;
    for (key, count) in keys {
        let weight = (durable::furthest(files, dir, &key.log_id)?.is_some(), count);
        if best.as_ref().is_none_or(|(_, other)| weight > *other) {
            best = Some((key, weight));
        }
    }
    Ok(best.map(|(key, _)| key))
}

/// A segment of the log: the file that it stands in, and its header if that can be believed.
struct Piece {
    named: u32,
    header: Result<SegmentHeader, LogError>,
}

/// The segments by their numbers. A header of this log says more than a file's name; without one the name has to do.
fn pieces(files: &dyn Files, dir: &Path, key: &HeaderKey) -> Result<BTreeMap<u32, Piece>, LogError> {
    let mut found: Vec<(u32, Result<SegmentHeader, LogError>)> = Vec::new();
    for named in list(files, dir)?.0 {
        found.push(match Segment::header_of(files, dir, named) {
            Ok(header) if header.key() == *key => (named, Ok(header)),
            Ok(_) => (named, Err(LogError::damaged(Position::new(named, 0), "its header is another log's"))),
            // It is there, and cannot be opened: that is to be put right first.
            Err(error @ LogError::Io { .. }) => return Err(error),
            Err(error) => (named, Err(error)),
        });
    }
    let rank = |(named, header): &(u32, Result<SegmentHeader, LogError>)| match header {
        Ok(header) if header.segment == *named => 0,
        Ok(_) => 1,
        Err(_) => 2,
    };
    found.sort_by_key(rank);
    let mut pieces = BTreeMap::new();
    for (named, header) in found {
        let number = header.as_ref().map_or(named, |header| header.segment);
        pieces.entry(number).or_insert(Piece { named, header });
    }
    Ok(pieces)
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
    (is_last, is_followed): (bool, bool),
    each: &mut dyn FnMut(Found<'_>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    loop {
        let bad = match scanner.next()? {
            Step::End => return Ok(()),
            Step::Batch(frames) => {
                frames.iter().try_for_each(|frame| each(Found::Frame(frame)))?;
                continue;
            }
            Step::Bad(bad) => bad,
        };
        let from = scanner.position(scanner.offset);
        let unfinished_write = is_last && matches!(scanner.judge(&bad)?, Verdict::Torn { .. });
        let expected = scanner.expect.frame;
        let whole = if unfinished_write { Vec::new() } else { scanner.whole_frames()? };
        let found = resume(scanner)?;
        if bad.other_format.is_some() && found.is_none() && !is_followed {
            return Err(bad.into_error());
        }
        let missing = |until: u64| until.checked_sub(expected)?.checked_sub(whole.len() as u64);
        let frames = found.and_then(|(_, frame)| missing(frame));
        let reason = match unreadable.take().len() {
            0 => bad.reason,
            sectors => format!("{}: the disk cannot read {sectors} sectors there", bad.reason),
        };
        let gap = Gap { from, until: found.map(|(until, _)| until), reason, frames, unfinished_write };
        each(Found::Gap(&gap))?;
        whole.iter().try_for_each(|frame| each(Found::Frame(frame)))?;
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
