//! Segment files: names, headers, creation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::frame::{checksum, u32_at, u64_at};
use super::{Hash, Position, sector};
use crate::disk::files::{DiskFile, Files};

/// Logical bytes before the first frame of a segment.
pub const SEGMENT_HEADER_BYTES: u32 = 96;
/// The newest segment format.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"RFLOGSEG";
const CRC_AT: usize = 88;
const SUFFIX: &str = ".seg";
const TEMPORARY: &str = ".tmp";

/// What a segment says about itself and about what stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: [u8; 16],
    pub(crate) segment: u32,
    /// The number of the first frame in it.
    pub(crate) first_frame: u64,
    /// The number of the first batch in it.
    pub(crate) first_batch: u64,
    /// The hash of the frame before that.
    pub(crate) previous: Hash,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut out = [0; SEGMENT_HEADER_BYTES as usize];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.segment.to_le_bytes());
        out[16..32].copy_from_slice(&self.log_id);
        out[32..40].copy_from_slice(&self.first_frame.to_le_bytes());
        out[40..48].copy_from_slice(&self.first_batch.to_le_bytes());
        out[48..80].copy_from_slice(&self.previous);
        let crc = checksum(&self.log_id, &out[..CRC_AT]);
        out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], segment: u32) -> Result<Self, LogError> {
        let start = Position::new(segment, 0);
        if bytes.len() < SEGMENT_HEADER_BYTES as usize {
            return Err(LogError::damaged(start, "the file is too short for a segment"));
        }
        let mut log_id = [0; 16];
        log_id.copy_from_slice(&bytes[16..32]);
        if bytes[..8] != MAGIC {
            return Err(LogError::damaged(start, "this is not a segment of a log"));
        }
        let zeros = &bytes[CRC_AT + 4..SEGMENT_HEADER_BYTES as usize];
        if u32_at(bytes, CRC_AT) != checksum(&log_id, &bytes[..CRC_AT]) || zeros.iter().any(|byte| *byte != 0)
        {
            return Err(LogError::damaged(start, "the segment's header has a wrong checksum"));
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            let place = super::Place(start);
            return Err(LogError::Unsupported { place, found: version, known: VERSION });
        }
        let mut previous = [0; 32];
        previous.copy_from_slice(&bytes[48..80]);
        Ok(Self {
            log_id,
            segment: u32_at(bytes, 12),
            first_frame: u64_at(bytes, 32),
            first_batch: u64_at(bytes, 40),
            previous,
        })
    }
}

/// An open segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Data bytes that fit.
    pub(crate) capacity: u32,
}

impl Segment {
    pub(crate) fn path(dir: &Path, segment: u32) -> PathBuf {
        dir.join(format!("{segment:016}{SUFFIX}"))
    }

    /// The number in a segment's file name.
    pub(crate) fn number_of(name: &str) -> Option<u32> {
        let digits = name.strip_suffix(SUFFIX)?;
        (digits.len() == 16).then(|| digits.parse().ok())?
    }

    /// Whether a file was left behind by a creation that did not end.
    pub(crate) fn is_temporary(name: &str) -> bool {
        name.strip_suffix(TEMPORARY).is_some_and(|name| Self::number_of(name).is_some())
    }

    pub(crate) fn open(
        files: &dyn Files,
        dir: &Path,
        segment: u32,
        writable: bool,
    ) -> Result<Self, LogError> {
        let path = Self::path(dir, segment);
        let file = files.open(&path, writable).map_err(LogError::io("open", &path))?;
        let bytes = file.size_bytes().map_err(LogError::io("measure", &path))?;
        let mut raw = [0; SEGMENT_HEADER_BYTES as usize];
        let read = file.read_full_at(0, &mut raw).map_err(LogError::io("read", &path))?;
        let header = SegmentHeader::decode(&raw[..read], segment)?;
        if header.segment != segment {
            let reason = format!("this file is segment {:016} under another name", header.segment);
            return Err(LogError::damaged(Position::new(segment, 0), reason));
        }
        let capacity = u32::try_from(sector::capacity(bytes)).unwrap_or(u32::MAX);
        Ok(Self { header, path, file, capacity })
    }

    /// The name of segment `segment` while it is being made.
    fn temporary_path(dir: &Path, segment: u32) -> PathBuf {
        dir.join(format!("{segment:016}{SUFFIX}{TEMPORARY}"))
    }

    /// Makes an empty file for segment `segment`, which has no name that counts yet.
    pub(crate) fn prepare(
        files: &dyn Files,
        dir: &Path,
        segment: u32,
        bytes: u64,
    ) -> Result<Spare, LogError> {
        let path = Self::temporary_path(dir, segment);
        match files.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LogError::io("remove", &path)(error));
            }
            _ => {}
        }
        let file = files.create(&path, bytes).map_err(LogError::io("make room for", &path))?;
        Ok(Spare { path, file, bytes })
    }

    /// Turns a prepared file into a segment whose first data bytes after the header are `first`, durable under its
    /// name.
    pub(crate) fn create(
        files: &dyn Files,
        dir: &Path,
        header: SegmentHeader,
        spare: Spare,
        first: &[u8],
    ) -> Result<Self, CreateError> {
        let Spare { path: temporary, file, bytes } = spare;
        let path = Self::path(dir, header.segment);
        let mut data = header.encode().to_vec();
        data.extend_from_slice(first);
        let mut raw = Vec::with_capacity(data.len() + 8);
        sector::seal(0, &data, &mut raw);
        if let Err(error) = file.write_all_at(0, &raw) {
            // Nobody knows this file yet: it may go, and the log is as it was.
            drop(files.remove(&temporary));
            return Err(CreateError::Nothing(LogError::io("write", &temporary)(error)));
        }
        let named = || -> Result<(), LogError> {
            file.sync_data().map_err(LogError::io("sync", &temporary))?;
            files.rename(&temporary, &path).map_err(LogError::io("rename", &temporary))?;
            files.sync_dir(dir).map_err(LogError::io("sync", dir))
        };
        named().map_err(CreateError::Broken)?;
        let capacity = u32::try_from(sector::capacity(bytes)).unwrap_or(u32::MAX);
        Ok(Self { header, path, file, capacity })
    }
}

/// An empty file that will be a segment.
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    file: Arc<dyn DiskFile>,
    pub(crate) bytes: u64,
}

/// Why a segment was not created.
#[derive(Debug)]
pub(crate) enum CreateError {
    /// The log is as it was; it may go better later.
    Nothing(LogError),
    /// A sync failed: nothing here can be believed any more.
    Broken(LogError),
}
