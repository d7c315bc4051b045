//! A frame: one entry of the log, on disk and in memory.
//!
//! ```text
//! header (85 bytes, little-endian)                                   payload     trailer
//! magic 4 | kind 1 | version 1 | 0 2 | payload bytes 4 | payload     bytes       5a c3 3c a5
//! crc32c 4 | frame number 8 | batch number 8 | frames in batch 4 |
//! index in batch 4 | bytes of batch 4 | offset in batch 4 |
//! previous frame's hash 32 | crc32c 4 | a5
//! ```
//! A frame's hash is SHA-256 over header and payload. The header's checksum begins with the log's id, so that bytes
//! of another log, be it inside a payload, are never taken for a header.

use sha2::{Digest as _, Sha256};

use super::{Hash, Position};

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 85;
/// Bytes after the payload.
pub const TRAILER_BYTES: usize = TRAILER.len();
/// What a frame costs beside its payload.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TRAILER_BYTES;
/// What a header begins with.
pub const MAGIC: [u8; 4] = *b"RFfr";
/// The newest frame format.
pub const VERSION: u8 = 1;

const TRAILER: [u8; 4] = [0x5a, 0xc3, 0x3c, END];
/// Ends headers and trailers. Not zero, by more than one bit: a zero here means "not written".
const END: u8 = 0xa5;
const CRC_AT: usize = 80;

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
    /// Its content.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Where its payload begins.
    #[must_use]
    pub fn payload_position(&self) -> Position {
        self.position.plus(HEADER_BYTES as u32)
    }

    /// Where the next frame begins, if it is in this segment.
    #[must_use]
    pub fn end(&self) -> Position {
        self.position.plus((OVERHEAD_BYTES + self.payload.len()) as u32)
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
    /// Whole, and newer than this build.
    Newer(u16),
}

impl Header {
    pub(crate) fn encode(&self, log_id: &[u8; 16]) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = self.kind as u8;
        out[5] = VERSION;
        out[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        out[16..24].copy_from_slice(&self.frame.to_le_bytes());
        out[24..32].copy_from_slice(&self.batch.to_le_bytes());
        out[32..36].copy_from_slice(&self.batch_frames.to_le_bytes());
        out[36..40].copy_from_slice(&self.batch_index.to_le_bytes());
        out[40..44].copy_from_slice(&self.batch_bytes.to_le_bytes());
        out[44..48].copy_from_slice(&self.batch_offset.to_le_bytes());
        out[48..CRC_AT].copy_from_slice(&self.previous);
        let crc = checksum(log_id, &out[..CRC_AT]);
        out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        out[CRC_AT + 4] = END;
        out
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], log_id: &[u8; 16]) -> HeaderFound {
        if bytes[CRC_AT + 4] == 0 {
            return HeaderFound::Unfinished;
        }
        if bytes[CRC_AT + 4] != END || u32_at(bytes, CRC_AT) != checksum(log_id, &bytes[..CRC_AT]) {
            return HeaderFound::Wrong;
        }
        if bytes[5] != VERSION {
            return HeaderFound::Newer(bytes[5].into());
        }
        let Some(kind) = FrameKind::from_number(bytes[4]) else {
            return HeaderFound::Newer(u16::from(VERSION) + 1);
        };
        let mut previous = [0; 32];
        previous.copy_from_slice(&bytes[48..CRC_AT]);
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

pub(crate) fn checksum(log_id: &[u8; 16], bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(log_id), bytes)
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
