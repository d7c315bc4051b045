//! The payload of a group frame: a fence, then entries that can be read one by one.
//!
//! ```text
//! fence bytes 4 | fence | entries 4 | entry ...
//! entry: crc32c 4 | bytes 4 | previous position 8 | kind 1 | bytes
//! ```
//! The checksum of an entry covers all that follows it, so that one `pread` at an entry's position is enough to
//! believe it and to walk on to the order's previous record.

use retailflow_engine::ports::{LogPosition, LoggedEntry, LoggedGroup};

use super::Position;
use super::frame::{Frame, HEADER_BYTES, u32_at, u64_at};

/// Bytes of an entry before its content.
pub const ENTRY_HEADER_BYTES: usize = 17;
/// Stands where an order has no earlier record.
pub const NO_PREVIOUS: u64 = u64::MAX;

/// What an entry is. The numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryKind {
    /// An order's record.
    Record = 1,
    /// A record beside the orders' chains.
    Control = 2,
}

/// An entry as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Offset of the entry in the group's payload, in bytes.
    pub offset: u32,
    /// What it is.
    pub kind: EntryKind,
    /// The order's record before this one.
    pub previous: Option<Position>,
    /// The content.
    pub bytes: &'a [u8],
}

/// Builds a group's payload.
pub struct GroupEncoder {
    buffer: Vec<u8>,
    count_at: usize,
    count: u32,
}

impl GroupEncoder {
    /// Begins with the encoded fence; `buffer` is cleared and reused.
    #[must_use]
    pub fn new(mut buffer: Vec<u8>, fence: &[u8]) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&(fence.len() as u32).to_le_bytes());
        buffer.extend_from_slice(fence);
        let count_at = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        Self { buffer, count_at, count: 0 }
    }

    /// Adds an entry; returns its offset in the payload, in bytes.
    pub fn push(&mut self, kind: EntryKind, previous: Option<Position>, bytes: &[u8]) -> u32 {
        let offset = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(&previous.map_or(NO_PREVIOUS, |position| position.0).to_le_bytes());
        self.buffer.push(kind as u8);
        self.buffer.extend_from_slice(bytes);
        let crc = crc32c::crc32c(&self.buffer[offset + 4..]);
        self.buffer[offset..offset + 4].copy_from_slice(&crc.to_le_bytes());
        self.count += 1;
        offset as u32
    }

    /// The payload.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.buffer[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_le_bytes());
        self.buffer
    }
}

/// The length of an entry's content by its first [`ENTRY_HEADER_BYTES`].
#[must_use]
pub fn entry_bytes(header: &[u8]) -> Option<u32> {
    (header.len() >= ENTRY_HEADER_BYTES).then(|| u32_at(header, 4))
}

/// Why there is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// These are not the bytes that were written.
    #[error("{0}")]
    Damaged(String),
    /// It is whole, and of a kind that this build does not know.
    #[error("an entry of kind {0} needs a newer RetailFlow")]
    Newer(u8),
}

impl From<EntryError> for String {
    fn from(error: EntryError) -> Self {
        error.to_string()
    }
}

/// Reads the entry at the beginning of `bytes`, which may hold more; `offset` is repeated in the answer.
///
/// # Errors
/// [`EntryError`].
pub fn decode_entry(bytes: &[u8], offset: u32) -> Result<Entry<'_>, EntryError> {
    let damaged = |why: String| EntryError::Damaged(why);
    let length = entry_bytes(bytes).ok_or_else(|| damaged("too short for an entry".into()))? as usize;
    let end = ENTRY_HEADER_BYTES.checked_add(length).filter(|end| *end <= bytes.len());
    let end = end.ok_or_else(|| damaged(format!("an entry of {length} bytes does not fit")))?;
    if u32_at(bytes, 0) != crc32c::crc32c(&bytes[4..end]) {
        return Err(damaged("an entry's checksum is wrong".into()));
    }
    let kind = match bytes[16] {
        1 => EntryKind::Record,
        2 => EntryKind::Control,
        other => return Err(EntryError::Newer(other)),
    };
    let previous = Some(u64_at(bytes, 8)).filter(|previous| *previous != NO_PREVIOUS).map(Position);
    Ok(Entry { offset, kind, previous, bytes: &bytes[ENTRY_HEADER_BYTES..end] })
}

/// Where the entries of a group stand, in their order.
pub(crate) fn entry_positions(group: &LoggedGroup) -> impl Iterator<Item = Position> {
    let frame = Position(group.position.0);
    let first = HEADER_BYTES + 4 + group.fence.len() + 4;
    group.entries.iter().scan(first, move |offset, entry| {
        let position = frame.plus(*offset as u32);
        let (LoggedEntry::Record(bytes) | LoggedEntry::Control(bytes)) = entry;
        *offset += ENTRY_HEADER_BYTES + bytes.len();
        Some(position)
    })
}

/// A group frame in the words of the port.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn logged(frame: &Frame) -> Result<LoggedGroup, String> {
    let (fence, entries) = decode_group(&frame.payload)?;
    let entries = entries.iter().map(|entry| match entry.kind {
        EntryKind::Record => LoggedEntry::Record(entry.bytes.to_vec()),
        EntryKind::Control => LoggedEntry::Control(entry.bytes.to_vec()),
    });
    let entries = entries.collect();
    Ok(LoggedGroup { position: LogPosition(frame.position.0), fence: fence.to_vec(), entries })
}

/// Reads a group's payload: the encoded fence and the entries.
///
/// # Errors
/// What is wrong with it, in words.
pub fn decode_group(payload: &[u8]) -> Result<(&[u8], Vec<Entry<'_>>), String> {
    let short = || "a group's payload is too short".to_owned();
    if payload.len() < 8 {
        return Err(short());
    }
    let fence_end = (u32_at(payload, 0) as usize).checked_add(4).ok_or_else(short)?;
    let mut at = fence_end.checked_add(4).filter(|at| *at <= payload.len()).ok_or_else(short)?;
    let count = u32_at(payload, fence_end);
    // The count is not believed before the entries are there.
    let mut entries = Vec::with_capacity((count as usize).min(payload.len() / ENTRY_HEADER_BYTES));
    for _ in 0..count {
        let entry = decode_entry(&payload[at..], at as u32)?;
        at += ENTRY_HEADER_BYTES + entry.bytes.len();
        entries.push(entry);
    }
    if at != payload.len() {
        return Err(format!("{} bytes left over in a group", payload.len() - at));
    }
    Ok((&payload[4..fence_end], entries))
}
