//! A frame: one entry of the log, on disk and in memory.
//!
//! ```text
//! header (89 bytes, little-endian)                                   payload     trailer
//! magic 4 | kind 1 | version 1 | 0 2 | payload bytes 4 | payload     bytes       5a c3 3c a5
//! crc32c 4 | frame number 8 | batch number 8 | frames in batch 4 |
//! index in batch 4 | bytes of batch 4 | offset in batch 4 |
//! previous frame's hash 32 | tag 8 | a5
//! ```
//! A frame's hash is SHA-256 over header and payload. The tag is a keyed hash over the log's id and secret, the frame's
//! place and the header: bytes inside a payload are never taken for a header, whoever chose them, because nobody is shown
//! the secret, and a header copied from elsewhere is of another place. Magic, kind and version keep their places in all
//! formats, so that a newer frame is told from a damaged one.

use sha2::{Digest as _, Sha256};

use super::{Hash, Position, sector};

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 89;
/// Bytes after the payload.
pub const TRAILER_BYTES: usize = TRAILER.len();
/// What a frame costs beside its payload.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TRAILER_BYTES;
/// What a header begins with.
pub const MAGIC: [u8; 4] = *b"RFfr";
/// The frame format of this build.
pub const VERSION: u8 = 2;

const VERSION_AT: usize = 5;
const TRAILER: [u8; 4] = [0x5a, 0xc3, 0x3c, END];
/// Ends headers and trailers. Not zero, by more than one bit: a zero here means "not written".
const END: u8 = 0xa5;
const TAG_AT: usize = 80;
const TAG_BYTES: usize = 8;
const END_AT: usize = TAG_AT + TAG_BYTES;

/// What a frame holds. The numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// The log's identity: the first frame, and only that.
    Identity = 1,
    /// A commit group ([`super::group`]).
    Group = 2,
    /// Something about the whole log rather than a partition.
    Note = 3,
    /// The log was closed in good order here.
    CleanStop = 4,
}

impl FrameKind {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Identity, Self::Group, Self::Note, Self::CleanStop]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// A frame as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where it begins.
    pub position: Position,
    /// What it holds.
    pub kind: FrameKind,
    /// Counted from 1 through all segments.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
    /// The hash of the frame before it.
    pub previous: Hash,
    /// Where the next frame begins, if it is in this segment.
    pub next: Position,
    /// Its content.
    pub payload: Vec<u8>,
}

/// What a log's headers are sealed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderKey {
    pub(crate) log_id: [u8; 16],
    pub(crate) secret: [u8; 16],
}

impl HeaderKey {
    fn tag(&self, position: Position, header: &[u8]) -> [u8; TAG_BYTES] {
        let mut hasher = Sha256::new();
        hasher.update(self.secret);
        hasher.update(self.log_id);
        hasher.update(position.0.to_le_bytes());
        hasher.update(header);
        let hash: Hash = hasher.finalize().into();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hash[..TAG_BYTES]);
        tag
    }

    /// Seals a header that a test has changed.
    #[cfg(test)]
    pub(super) fn seal_again(&self, header: &mut [u8; HEADER_BYTES], position: Position) {
        let tag = self.tag(position, &header[..TAG_AT]);
        header[TAG_AT..END_AT].copy_from_slice(&tag);
    }
}

/// A frame's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: FrameKind,
    pub(crate) payload_bytes: u32,
    pub(crate) payload_crc: u32,
    pub(crate) frame: u64,
    pub(crate) batch: u64,
    pub(crate) batch_frames: u32,
    pub(crate) batch_index: u32,
    pub(crate) batch_bytes: u32,
    pub(crate) batch_offset: u32,
    pub(crate) previous: Hash,
}

/// What stands where a header was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderFound {
    Good(Header),
    /// Its end was never written.
    Unfinished,
    /// It was written to its end and its checksum is wrong.
    Wrong,
    /// Of another format than this build's: whole, or of a format whose seal this build does not know.
    OtherFormat(u16),
}

impl Header {
    pub(crate) fn encode(&self, key: &HeaderKey, position: Position) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = self.kind as u8;
        out[VERSION_AT] = VERSION;
        out[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        out[16..24].copy_from_slice(&self.frame.to_le_bytes());
        out[24..32].copy_from_slice(&self.batch.to_le_bytes());
        out[32..36].copy_from_slice(&self.batch_frames.to_le_bytes());
        out[36..40].copy_from_slice(&self.batch_index.to_le_bytes());
        out[40..44].copy_from_slice(&self.batch_bytes.to_le_bytes());
        out[44..48].copy_from_slice(&self.batch_offset.to_le_bytes());
        out[48..TAG_AT].copy_from_slice(&self.previous);
        let tag = key.tag(position, &out[..TAG_AT]);
        out[TAG_AT..END_AT].copy_from_slice(&tag);
        out[END_AT] = END;
        out
    }

    /// The header that `bytes` are at `position`.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], key: &HeaderKey, position: Position) -> HeaderFound {
        if bytes[END_AT] == 0 {
            return HeaderFound::Unfinished;
        }
        let is_sealed = |header: &[u8]| key.tag(position, header) == bytes[TAG_AT..END_AT];
        let version = bytes[VERSION_AT];
        if bytes[END_AT] != END || bytes[..4] != MAGIC {
            return HeaderFound::Wrong;
        }
        if !is_sealed(&bytes[..TAG_AT]) {
            // A newer format may be sealed otherwise. A header of this format whose version byte was hit is damaged.
            let mut ours = [0; TAG_AT];
            ours.copy_from_slice(&bytes[..TAG_AT]);
            ours[VERSION_AT] = VERSION;
            return match version > VERSION && !is_sealed(&ours) {
                true => HeaderFound::OtherFormat(version.into()),
                false => HeaderFound::Wrong,
            };
        }
        if version != VERSION {
            return HeaderFound::OtherFormat(version.into());
        }
        let Some(kind) = FrameKind::from_number(bytes[4]) else {
            return HeaderFound::OtherFormat(u16::from(VERSION) + 1);
        };
        let mut previous = [0; 32];
        previous.copy_from_slice(&bytes[48..TAG_AT]);
        HeaderFound::Good(Self {
            kind,
            payload_bytes: u32_at(bytes, 8),
            payload_crc: u32_at(bytes, 12),
            frame: u64_at(bytes, 16),
            batch: u64_at(bytes, 24),
            batch_frames: u32_at(bytes, 32),
            batch_index: u32_at(bytes, 36),
            batch_bytes: u32_at(bytes, 40),
            batch_offset: u32_at(bytes, 44),
            previous,
        })
    }

    /// Where the frame after the one at `position` begins, if it is in the same segment: frames of a batch stand one
    /// after the other, and a batch begins with a sector.
    pub(crate) fn next(&self, position: Position) -> Position {
        let end = position.plus(OVERHEAD_BYTES as u32 + self.payload_bytes);
        if self.batch_index + 1 < self.batch_frames { end } else { sector::round_up(end) }
    }
}

/// What follows a payload.
pub(crate) const fn trailer() -> [u8; TRAILER_BYTES] {
    TRAILER
}

pub(crate) fn frame_hash(header: &[u8], payload: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize().into()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(out)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(out)
}
