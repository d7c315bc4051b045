//! Reading a segment batch by batch, and telling a torn last write from damage (the argument is in [`super`]).

use std::io;

use super::error::LogError;
use super::frame::{self, Frame, HEADER_BYTES, Header, HeaderFound, OVERHEAD_BYTES, TRAILER_BYTES};
use super::sector::{self, Seals};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::{Hash, LogOptions, Position};

/// How much is read at once, in bytes.
const WINDOW_BYTES: usize = 1 << 20;

/// What the next frame of an undamaged log must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expect {
    pub(crate) frame: u64,
    pub(crate) batch: u64,
    pub(crate) previous: Hash,
}

/// Something that is not the next batch and not the end.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) reason: String,
    /// Where it was found; the batch it belongs to may begin earlier.
    pub(crate) position: Position,
    /// Bytes are missing, not wrong: a power cut may explain it.
    pub(crate) unfinished: bool,
    /// Logical end of the batch, where its length is known.
    extent: Option<u32>,
    /// It is of this other format.
    pub(crate) other_format: Option<u16>,
}

impl Bad {
    pub(crate) fn into_error(self) -> LogError {
        match self.other_format {
            Some(found) => LogError::unsupported_frame(self.position, found),
            None => LogError::damaged(self.position, self.reason),
        }
    }
}

pub(crate) enum Step {
    /// The frames of the next batch; the scanner stands behind it.
    Batch(Vec<Frame>),
    /// Nothing but zeros follow.
    End,
    /// The scanner stands where it stood.
    Bad(Bad),
}

/// What was made of a bad place.
pub(crate) enum Verdict {
    /// An unfinished last write: so many bytes of the file from the scanner's place.
    Torn { bytes: u64 },
    /// Not explainable by a power cut.
    Damage { reason: String },
}

pub(crate) struct Scanner<'a> {
    segment: &'a Segment,
    options: LogOptions,
    pub(crate) offset: u32,
    pub(crate) expect: Expect,
    raw_start: u64,
    raw: Vec<u8>,
    data: Vec<u8>,
}

impl<'a> Scanner<'a> {
    /// Stands behind the segment's header.
    pub(crate) fn new(segment: &'a Segment, options: LogOptions) -> Self {
        let header = &segment.header;
        let expect =
            Expect { frame: header.first_frame, batch: header.first_batch, previous: header.previous };
        Self {
            segment,
            options,
            offset: SEGMENT_HEADER_BYTES,
            expect,
            raw_start: 0,
            raw: Vec::new(),
            data: Vec::new(),
        }
    }

    /// Stands at the beginning of the batch that holds the frame at `offset`, believing that frame's header.
    /// Answers whether there is a header.
    pub(crate) fn seek_batch_of(&mut self, offset: u32) -> Result<bool, LogError> {
        let Some(header) = self.header_at(offset)? else { return Ok(false) };
        let Some(start) = offset.checked_sub(header.batch_offset) else { return Ok(false) };
        let Some(first) = self.header_at(start)?.filter(|first| first.batch_index == 0) else {
            return Ok(false);
        };
        self.offset = start;
        self.expect = Expect { frame: first.frame, batch: first.batch, previous: first.previous };
        Ok(true)
    }

    /// Stands at `offset`, whatever is there, and expects what `header` says.
    pub(crate) fn resume_at(&mut self, offset: u32, header: &Header) {
        self.offset = offset;
        self.expect = Expect { frame: header.frame, batch: header.batch, previous: header.previous };
    }

    pub(crate) fn position(&self, offset: u32) -> Position {
        Position::new(self.segment.header.segment, offset)
    }

    fn io(&self) -> impl FnOnce(io::Error) -> LogError + use<> {
        LogError::io("read", &self.segment.path)
    }

    /// Makes sure that the data bytes `offset .. offset + length` are in the window.
    fn fill(&mut self, offset: u32, length: usize) -> Result<(), LogError> {
        let start = sector::physical(offset.into());
        let end = sector::physical(u64::from(offset) + length as u64);
        if start >= self.raw_start && end <= self.raw_start + self.raw.len() as u64 {
            return Ok(());
        }
        let limit = sector::physical(self.segment.capacity.into());
        let wanted = (end - start).max(WINDOW_BYTES as u64).min(limit.saturating_sub(start));
        self.raw.resize(usize::try_from(wanted).unwrap_or(usize::MAX), 0);
        let read = self.segment.file.read_full_at(start, &mut self.raw);
        let read = read.map_err(self.io())?;
        self.raw.truncate(read);
        self.raw_start = start;
        if end > start + read as u64 {
            return Err(LogError::damaged(self.position(offset), "the segment's file ends inside a frame"));
        }
        Ok(())
    }

    fn raw_of(&self, offset: u32, length: usize) -> &[u8] {
        let start = (sector::physical(offset.into()) - self.raw_start) as usize;
        let end = (sector::physical(u64::from(offset) + length as u64) - self.raw_start) as usize;
        &self.raw[start..end]
    }

    /// Puts the data bytes into `self.data` and says what their seals say.
    fn load(&mut self, offset: u32, length: usize) -> Result<Seals, LogError> {
        self.fill(offset, length)?;
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        let raw = self.raw_of(offset, length);
        sector::unseal(offset.into(), raw, &mut data);
        data.truncate(length);
        let seals = sector::seals(offset.into(), raw);
        self.data = data;
        Ok(seals)
    }

    fn header_at(&mut self, offset: u32) -> Result<Option<Header>, LogError> {
        if u64::from(offset) + HEADER_BYTES as u64 > u64::from(self.segment.capacity) {
            return Ok(None);
        }
        self.load(offset, HEADER_BYTES)?;
        Ok(match self.decode_header(0, offset) {
            HeaderFound::Good(header) => Some(header),
            _ => None,
        })
    }

    /// The header at `at` of the loaded data, which stands at `offset` of the segment.
    fn decode_header(&self, at: usize, offset: u32) -> HeaderFound {
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(&self.data[at..at + HEADER_BYTES]);
        Header::decode(&bytes, &self.segment.header.key(), self.position(offset))
    }

    fn bad(&self, offset: u32, reason: impl Into<String>, unfinished: bool, extent: Option<u32>) -> Step {
        let (position, reason) = (self.position(offset), reason.into());
        Step::Bad(Bad { reason, position, unfinished, extent, other_format: None })
    }

    /// The next batch.
    pub(crate) fn next(&mut self) -> Result<Step, LogError> {
        let start = self.offset;
        let left = self.segment.capacity.saturating_sub(start);
        if (left as usize) < HEADER_BYTES {
            return Ok(match self.last_nonzero(start)? {
                None => Step::End,
                Some(_) => self.bad(start, "bytes that are no frame stand at the end", true, None),
            });
        }
        let seals = self.load(start, HEADER_BYTES)?;
        if self.data.iter().all(|byte| *byte == 0) && self.last_nonzero(start)?.is_none() {
            return Ok(Step::End);
        }
        let header = match self.decode_header(0, start) {
            HeaderFound::Good(header) => header,
            _ if seals == Seals::Missing => {
                return Ok(self.bad(start, "a frame's header was not finished", true, None));
            }
            // Also what a cut leaves that was itself cut short: see `open::clear`.
            HeaderFound::Unfinished => return Ok(self.bad(start, "a frame's header has no end", true, None)),
            HeaderFound::Wrong => {
                return Ok(self.bad(start, "a frame's header has a wrong checksum", false, None));
            }
            HeaderFound::OtherFormat(found) => {
                let position = self.position(start);
                let reason = LogError::unsupported_frame(position, found).to_string();
                let other_format = Some(found);
                return Ok(Step::Bad(Bad {
                    reason,
                    position,
                    unfinished: false,
                    extent: None,
                    other_format,
                }));
            }
        };
        if let Some(reason) = self.unexpected(&header, left) {
            return Ok(self.bad(start, reason, false, None));
        }
        let end = sector::round_up(self.position(start).plus(header.batch_bytes)).offset();
        // To the end of its last sector, and so with that one's seal.
        let seals = self.load(start, (end - start) as usize)?;
        let padding = self.data.split_off(header.batch_bytes as usize);
        let whole = seals != Seals::Missing && self.data.last().is_some_and(|byte| *byte != 0);
        let outcome = self.frames(start, &header);
        match (outcome, seals) {
            (Ok(_), Seals::Whole) if padding.iter().any(|byte| *byte != 0) => {
                Ok(self.bad(start, "bytes that are no frame stand behind a write", false, None))
            }
            (Ok((frames, expect)), Seals::Whole) => {
                self.offset = end;
                self.expect = expect;
                Ok(Step::Batch(frames))
            }
            (Ok(_), Seals::Missing) => {
                Ok(self.bad(start, "a sector was not written to its end", true, Some(end)))
            }
            (Ok(_), Seals::Wrong) => Ok(self.bad(start, "the mark at a sector's end is wrong", false, None)),
            (Err((at, reason)), _) => Ok(self.bad(start + at, reason, !whole, Some(end))),
        }
    }

    /// Those frames of the batch at the scanner's place that are whole, each by itself: whatever is wrong with others, or
    /// with the sectors' ends. Each is sealed with its place, and its content has a checksum.
    pub(crate) fn whole_frames(&mut self) -> Result<Vec<Frame>, LogError> {
        let start = self.offset;
        let (mut frames, mut at, mut batch) = (Vec::new(), start, None);
        while let Some(header) = self.header_at(at)? {
            let (batch, end) = *batch.get_or_insert((header.batch, start.saturating_add(header.batch_bytes)));
            let length = OVERHEAD_BYTES.saturating_add(header.payload_bytes as usize);
            let next = u64::from(at) + length as u64;
            if header.batch != batch || next > u64::from(end.min(self.segment.capacity)) {
                break;
            }
            self.load(at, length)?;
            let payload = &self.data[HEADER_BYTES..length - TRAILER_BYTES];
            if crc32c::crc32c(payload) == header.payload_crc {
                let position = self.position(at);
                frames.push(Frame {
                    position,
                    kind: header.kind,
                    number: header.frame,
                    hash: frame::frame_hash(&self.data[..HEADER_BYTES], payload),
                    previous: header.previous,
                    next: header.next(position),
                    payload: payload.to_vec(),
                });
            }
            at += length as u32;
        }
        Ok(frames)
    }

    fn unexpected(&self, header: &Header, left: u32) -> Option<String> {
        let Expect { frame, batch, previous } = self.expect;
        if header.frame != frame {
            return Some(format!("frame {} stands where frame {frame} should", header.frame));
        }
        if header.batch != batch || header.batch_index != 0 || header.batch_offset != 0 {
            return Some(format!("batch {} stands where batch {batch} should begin", header.batch));
        }
        if header.previous != previous {
            return Some("the frame does not follow the one before it: its hash names another".into());
        }
        (header.batch_bytes > left).then(|| "the batch is longer than its segment".into())
    }

    /// The frames of the batch in `self.data`, or the offset in it and the reason why not.
    fn frames(&self, start: u32, first: &Header) -> Result<(Vec<Frame>, Expect), (u32, String)> {
        let mut frames = Vec::with_capacity(first.batch_frames.min(1 << 16) as usize);
        let mut expect = self.expect;
        let mut at = 0;
        for index in 0..first.batch_frames {
            let fail = |reason: &str| (at as u32, reason.to_owned());
            if at + OVERHEAD_BYTES > self.data.len() {
                return Err(fail("the batch is too short for its frames"));
            }
            let HeaderFound::Good(header) = self.decode_header(at, start + at as u32) else {
                return Err(fail("a frame's header has a wrong checksum"));
            };
            let in_place = header.batch == first.batch
                && header.batch_index == index
                && header.batch_offset as usize == at
                && (header.batch_frames, header.batch_bytes) == (first.batch_frames, first.batch_bytes)
                && header.frame == expect.frame
                && header.previous == expect.previous;
            if !in_place {
                return Err(fail("a frame does not follow the one before it"));
            }
            let payload_at = at + HEADER_BYTES;
            let end = payload_at + header.payload_bytes as usize;
            if end + TRAILER_BYTES > self.data.len() {
                return Err(fail("a frame is longer than its batch"));
            }
            let payload = &self.data[payload_at..end];
            if crc32c::crc32c(payload) != header.payload_crc {
                return Err(fail("a frame's content has a wrong checksum"));
            }
            if self.data[end..end + TRAILER_BYTES] != frame::trailer() {
                return Err(fail("a frame has no end mark"));
            }
            let hash = frame::frame_hash(&self.data[at..payload_at], payload);
            let position = self.position(start + at as u32);
            frames.push(Frame {
                position,
                kind: header.kind,
                number: header.frame,
                hash,
                previous: header.previous,
                next: header.next(position),
                payload: payload.to_vec(),
            });
            expect = Expect { frame: expect.frame + 1, batch: expect.batch, previous: hash };
            at = end + TRAILER_BYTES;
        }
        if at != self.data.len() || frames.is_empty() {
            return Err((0, "the batch is longer than its frames".into()));
        }
        expect.batch += 1;
        Ok((frames, expect))
    }

    /// The file offset of the last byte at or after `offset` (logical) that is not zero.
    pub(crate) fn last_nonzero(&self, offset: u32) -> Result<Option<u64>, LogError> {
        let mut at = sector::physical(offset.into());
        let rest = sector::physical(self.segment.capacity.into()).saturating_sub(at);
        let mut chunk = vec![0; WINDOW_BYTES.min(usize::try_from(rest).unwrap_or(WINDOW_BYTES).max(1))];
        let mut last = None;
        loop {
            let read = self.segment.file.read_full_at(at, &mut chunk).map_err(self.io())?;
            if read == 0 {
                return Ok(last);
            }
            if let Some(found) = last_nonzero_in(&chunk[..read]) {
                last = Some(at + found as u64);
            }
            at += read as u64;
        }
    }

    /// The next whole header of a batch's first frame at or after `offset`: where, and what it says. Only places where a
    /// batch can begin are looked at. Reads to the segment's end if need be.
    pub(crate) fn find_batch(&mut self, offset: u32) -> Result<Option<(u32, Header)>, LogError> {
        let capacity = u64::from(self.segment.capacity);
        let mut at = sector::round_up(self.position(offset)).offset();
        while u64::from(at) + HEADER_BYTES as u64 <= capacity {
            let found = self.header_at(at)?;
            if let Some(header) = found.filter(|header| header.batch_index == 0) {
                return Ok(Some((at, header)));
            }
            at += sector::DATA_BYTES as u32;
        }
        Ok(None)
    }

    /// Decides about a bad place in the last segment.
    pub(crate) fn judge(&mut self, bad: &Bad) -> Result<Verdict, LogError> {
        let start = self.offset;
        let damage = |reason: String| Ok(Verdict::Damage { reason });
        if !bad.unfinished {
            return damage(bad.reason.clone());
        }
        let mut look_at = start;
        while let Some((at, header)) = self.find_batch(look_at)? {
            if at != start || header.batch != self.expect.batch {
                return damage(format!("{}, and a later write follows (batch {})", bad.reason, header.batch));
            }
            look_at = at + 1;
        }
        let largest = self.options.payload_max_bytes.max(self.options.batch_max_bytes);
        let extent = bad.extent.unwrap_or_else(|| {
            start.saturating_add(largest + (OVERHEAD_BYTES + sector::DATA_BYTES as usize) as u32)
        });
        let from = sector::physical(start.into());
        let Some(last) = self.last_nonzero(start)? else {
            return damage(format!("{}, and nothing is there", bad.reason));
        };
        if last >= sector::physical(extent.into()) {
            return damage(format!("{}, and bytes that no write explains follow", bad.reason));
        }
        Ok(Verdict::Torn { bytes: last + 1 - from })
    }
}

fn last_nonzero_in(bytes: &[u8]) -> Option<usize> {
    // Word by word: this runs over all the unused room of a segment at each start.
    let (chunks, rest) = bytes.as_chunks::<16>();
    if let Some(at) = rest.iter().rposition(|byte| *byte != 0) {
        return Some(chunks.len() * 16 + at);
    }
    let chunk = chunks.iter().rposition(|chunk| u128::from_ne_bytes(*chunk) != 0)?;
    let at = chunks[chunk].iter().rposition(|byte| *byte != 0)?;
    Some(chunk * 16 + at)
}
