//! Reading a whole log coldly: names each broken thing, and says what a repair would cut.

use std::path::Path;

use super::error::{LogError, Place};
use super::frame::{Frame, FrameKind};
use super::open::{LOCK_FILE, list, lock};
use super::scan::{Bad, Expect, Scanner, Step, Verdict};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::unreadable::read_around;
use super::{LogOptions, Position, durable, group, sector};
use retailflow_os::files::Files;

/// A broken thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// An unfinished last write: opening the log takes it away, and nothing acknowledged was in it.
    pub unfinished_write: bool,
}

/// What a cut would take away, beside what cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Frames that are whole.
    pub frames: u64,
    /// Commit groups among them.
    pub groups: u64,
    /// Orders' records in those.
    pub records: u64,
    /// Frames that must have been there, by the numbers of those around them, and can't be read. At the log's end
    /// their number is not known.
    pub unreadable_frames: u64,
}

/// What a log holds and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Segment files.
    pub segments: u32,
    /// Whole frames before the first problem, the identity too.
    pub frames: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// The log was closed in good order.
    pub clean_stop: bool,
    /// All that is wrong, in the order of places.
    pub problems: Vec<Problem>,
    /// Where the first problem of the log itself begins: it can be believed up to here.
    pub good_until: Option<Position>,
    /// What stands after that.
    pub after: Lost,
    /// The first place that is of another version's format: it may be whole, and is never cut.
    pub other_format: Option<Place>,
    /// Sectors that the disk cannot read.
    pub unreadable_sectors: u64,
    /// Where the whole frames end.
    pub end: Option<Position>,
    /// A mark says that the log was durable further than it goes.
    pub lost: Option<LostEnd>,
}

/// What a mark says of a log that ends before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEnd {
    /// Whose mark it is.
    pub source_name: String,
    /// Up to where the log was durable.
    pub seen: Position,
    /// Where it ends.
    pub end: Position,
}

impl CheckReport {
    /// Whether there is nothing wrong but, at most, an unfinished last write.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.iter().all(|problem| problem.unfinished_write)
    }

    /// Adds something that is wrong, such as what the caller knows of the log and does not find in it.
    pub fn problem(&mut self, position: Position, what: impl Into<String>) {
        let problem = Problem { place: Place(position), what: what.into(), unfinished_write: false };
        self.problems.push(problem);
    }

    fn of_another_format(&mut self, position: Position) {
        self.other_format.get_or_insert(Place(position));
    }

    fn broken_from(&mut self, position: Position) {
        self.good_until.get_or_insert(position);
    }

    fn frame(&mut self, frame: &Frame, each: &mut dyn FnMut(&Frame) -> Result<(), String>) {
        if self.good_until.is_some() {
            self.after.frames += 1;
            if frame.kind == FrameKind::Group {
                self.after.groups += 1;
                let entries =
                    group::decode_group(&frame.payload).map(|(_, entries)| entries).unwrap_or_default();
                let records = entries.iter().filter(|entry| entry.kind == group::EntryKind::Record);
                self.after.records += records.count() as u64;
            }
            return;
        }
        self.frames += 1;
        self.payload_bytes += frame.payload.len() as u64;
        self.clean_stop = frame.kind == FrameKind::CleanStop;
        if let Err(what) = each(frame) {
            self.problem(frame.position, what);
        }
    }
}

/// Reads all of the log in `dir`, which must not be open. Whole frames before the first break of the log are given
/// to `each`, which checks what is in them; what it says is a problem, too. Changes nothing. Where nothing can be written (a
/// snapshot, a copy that is another user's) no lock can be taken, and none is needed: it is read as [`check_read_only`] does.
///
/// # Errors
/// [`LogError::InUse`], [`LogError::Io`]. What is wrong with the log is in the report.
pub fn check(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    each: &mut dyn FnMut(&Frame) -> Result<(), String>,
) -> Result<CheckReport, LogError> {
    let _lock = match lock(files, dir) {
        Err(error) if error.is_read_only() => return check_read_only(files, dir, options, each),
        lock => lock?,
    };
    check_unlocked(files, dir, options, each)
}

/// As [`check`], for a copy or a file system that can only be read: no lock is taken, and nothing is written.
///
/// # Errors
/// As [`check`]; somebody who has the log open is seen, if not held off.
pub fn check_read_only(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    each: &mut dyn FnMut(&Frame) -> Result<(), String>,
) -> Result<CheckReport, LogError> {
    let path = dir.join(LOCK_FILE);
    if files.is_locked(&path).map_err(LogError::io("look at", &path))? {
        let holder = "(another one)".to_owned();
        return Err(LogError::InUse { dir: dir.to_owned(), holder });
    }
    check_unlocked(files, dir, options, each)
}

fn check_unlocked(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    each: &mut dyn FnMut(&Frame) -> Result<(), String>,
) -> Result<CheckReport, LogError> {
    let (numbers, _) = list(files, dir)?;
    let mut report = CheckReport { segments: numbers.len() as u32, ..CheckReport::default() };
    let last = numbers.last().copied().unwrap_or(0);
    let mut expect: Option<Expect> = None;
    let mut key = None;
    for number in 1..=last {
        let start = Position::new(number, 0);
        // One at a time: there may be more of them than a process may have files.
        let opened = match numbers.binary_search(&number) {
            Ok(_) => Some(Segment::open(files, dir, number, false)),
            Err(_) => None,
        };
        let what = match opened {
            Some(Ok(mut segment)) => {
                if *key.get_or_insert(segment.header.key()) != segment.header.key() {
                    report.problem(start, "the segment belongs to another log");
                    report.broken_from(start);
                    continue;
                }
                let unreadable = read_around(&mut segment);
                let mut scanner = Scanner::new(&segment, options);
                if let Some(expect) = expect
                    && expect != scanner.expect
                {
                    report.problem(start, "the segment does not follow the one before it");
                    report.broken_from(start);
                    report.after.unreadable_frames += scanner.expect.frame.saturating_sub(expect.frame);
                }
                check_segment(&mut scanner, number == last, &mut report, each)?;
                expect = Some(scanner.expect);
                for sector in unreadable.take() {
                    let offset = u32::try_from(sector::capacity(sector)).unwrap_or(u32::MAX);
                    report.unreadable_sectors += 1;
                    report.problem(Position::new(number, offset), "the disk cannot read this sector");
                    report.broken_from(Position::new(number, offset));
                }
                if report.good_until.is_none() {
                    report.end = Some(scanner.position(scanner.offset));
                }
                continue;
            }
            Some(Err(error)) => {
                if matches!(error, LogError::Unsupported { .. }) {
                    report.of_another_format(start);
                }
                error.to_string()
            }
            None => "the segment is missing".to_owned(),
        };
        report.problem(start, what);
        report.broken_from(start);
        expect = None;
    }
    if report.frames == 0 && report.problems.is_empty() {
        report.problem(Position::new(1, 0), "there is no log here");
    }
    if let Some(key) = key {
        compare_with_marks(files, dir, &key.log_id, &mut report)?;
    }
    Ok(report)
}

/// A log that ends, or is broken off, before a mark of its own lost what was durable.
fn compare_with_marks(
    files: &dyn Files,
    dir: &Path,
    log_id: &[u8; 16],
    report: &mut CheckReport,
) -> Result<(), LogError> {
    let Some(end) = report.good_until.or(report.end) else { return Ok(()) };
    let Some(mark) = durable::furthest(files, dir, log_id)?.filter(|mark| mark.end > end) else {
        return Ok(());
    };
    if report.after.frames > 0 || report.other_format.is_some() {
        // Damage in the middle is told already, and is not the log's end.
        return Ok(());
    }
    for problem in &mut report.problems {
        if std::mem::take(&mut problem.unfinished_write) {
            problem.what.push_str(", and it had been durable");
        }
    }
    let what = format!(
        "the log ends here, and {} says that it was durable up to {}: outcomes that were given may be lost",
        mark.name, mark.end
    );
    report.problem(end, what);
    report.lost = Some(LostEnd { source_name: mark.name, seen: mark.end, end });
    report.broken_from(end);
    Ok(())
}

fn check_segment(
    scanner: &mut Scanner<'_>,
    is_last: bool,
    report: &mut CheckReport,
    each: &mut dyn FnMut(&Frame) -> Result<(), String>,
) -> Result<(), LogError> {
    loop {
        match scanner.next()? {
            Step::End => return Ok(()),
            Step::Batch(frames) => frames.iter().for_each(|frame| report.frame(frame, each)),
            Step::Bad(bad) => {
                let begins = scanner.position(scanner.offset);
                if is_last && torn(scanner, &bad)? {
                    let (place, what) = (Place(bad.position), bad.reason);
                    report.problems.push(Problem { place, what, unfinished_write: true });
                    report.broken_from(begins);
                    return Ok(());
                }
                if bad.other_format.is_some() {
                    report.of_another_format(bad.position);
                }
                report.problem(bad.position, bad.reason);
                report.broken_from(begins);
                if !resume(scanner, report)? {
                    return Ok(());
                }
            }
        }
    }
}

/// Reads one finished segment, beside whoever writes the log. `go_on` hears of the bytes of each write and may end it;
/// answers how many bytes there were, and `None` when it was ended.
///
/// # Errors
/// [`LogError`]: what is wrong with it.
pub(crate) fn check_segment_alone(
    files: &dyn Files,
    dir: &Path,
    options: LogOptions,
    number: u32,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<u64>, LogError> {
    let segment = Segment::open(files, dir, number, false)?;
    let mut scanner = Scanner::new(&segment, options);
    loop {
        let before = scanner.offset;
        match scanner.next()? {
            Step::End => return Ok(Some(scanner.offset.into())),
            Step::Batch(_) if go_on((scanner.offset - before).into()) => {}
            Step::Batch(_) => return Ok(None),
            Step::Bad(bad) => return Err(bad.into_error()),
        }
    }
}

fn torn(scanner: &mut Scanner<'_>, bad: &Bad) -> Result<bool, LogError> {
    Ok(bad.other_format.is_none() && matches!(scanner.judge(bad)?, Verdict::Torn { .. }))
}

/// Goes on at the next whole beginning of a batch; answers whether there is one.
fn resume(scanner: &mut Scanner<'_>, report: &mut CheckReport) -> Result<bool, LogError> {
    let at = scanner.offset.max(SEGMENT_HEADER_BYTES) + 1;
    let Some((found, header)) = scanner.find_batch(at)? else { return Ok(false) };
    report.after.unreadable_frames += header.frame.saturating_sub(scanner.expect.frame);
    scanner.resume_at(found, &header);
    Ok(true)
}
