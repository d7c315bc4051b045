//! Segment files: names, headers, creation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::frame::{HeaderKey, u32_at, u64_at};
use super::{Hash, Position, sector};
use retailflow_os::files::{DiskFile, Files};

/// Logical bytes before the first frame of a segment: a sector, so that the header is never torn with a frame.
pub const SEGMENT_HEADER_BYTES: u32 = sector::DATA_BYTES as u32;
/// The segment format of this build.
pub const VERSION: u16 = 2;

const MAGIC: [u8; 8] = *b"RFLOGSEG";
const WRITER_BYTES: usize = 16;
const CRC_AT: usize = 112;
const SUFFIX: &str = ".seg";
const TEMPORARY: &str = ".tmp";

/// What a segment says about itself and about what stands before it.
///
/// ```text
/// magic 8 | version 2 | 0 2 | writer 16 | segment 4 | log id 16 | first frame 8 | first batch 8 |
/// previous frame's hash 32 | secret 16 | crc32c 4 | zeros to the sector's end        (little-endian)
/// ```
/// The first 28 bytes keep their meaning in all formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: [u8; 16],
    /// Part of what the frames' headers are sealed with. Shown to nobody.
    pub(crate) secret: [u8; 16],
    pub(crate) segment: u32,
    /// The number of the first frame in it.
    pub(crate) first_frame: u64,
    /// The number of the first batch in it.
    pub(crate) first_batch: u64,
    /// The hash of the frame before that.
    pub(crate) previous: Hash,
}

impl SegmentHeader {
    pub(crate) fn key(&self) -> HeaderKey {
        HeaderKey { log_id: self.log_id, secret: self.secret }
    }

    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut out = [0; SEGMENT_HEADER_BYTES as usize];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        let writer = env!("CARGO_PKG_VERSION").as_bytes();
        let length = writer.len().min(WRITER_BYTES);
        out[12..12 + length].copy_from_slice(&writer[..length]);
        out[28..32].copy_from_slice(&self.segment.to_le_bytes());
        out[32..48].copy_from_slice(&self.log_id);
        out[48..56].copy_from_slice(&self.first_frame.to_le_bytes());
        out[56..64].copy_from_slice(&self.first_batch.to_le_bytes());
        out[64..96].copy_from_slice(&self.previous);
        out[96..CRC_AT].copy_from_slice(&self.secret);
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(raw: &[u8], segment: u32) -> Result<Self, LogError> {
        let start = Position::new(segment, 0);
        let Some((seal, bytes)) = raw.split_last().filter(|_| raw.len() as u64 == sector::SECTOR_BYTES)
        else {
            return Err(LogError::damaged(start, "the file is too short for a segment"));
        };
        if bytes[..8] != MAGIC {
            return Err(LogError::damaged(start, "this is not a segment of a log"));
        }
        let crc_of = |bytes: &[u8]| crc32c::crc32c(&bytes[..CRC_AT]);
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            // Another format may be checked otherwise. A header of this format whose version was hit is damaged.
            let mut ours = bytes.to_vec();
            ours[8..10].copy_from_slice(&VERSION.to_le_bytes());
            if u32_at(bytes, CRC_AT) != crc_of(&ours) {
                let writer = bytes[12..28].iter().take_while(|byte| byte.is_ascii_graphic());
                let writer: String = writer.map(|byte| char::from(*byte)).collect();
                return Err(LogError::Unsupported {
                    place: super::Place(start),
                    found: version,
                    known: VERSION,
                    writer: Some(writer).filter(|writer| !writer.is_empty()),
                });
            }
        }
        let zeros = &bytes[CRC_AT + 4..];
        if u32_at(bytes, CRC_AT) != crc_of(bytes)
            || zeros.iter().any(|byte| *byte != 0)
            || *seal != sector::SEAL
        {
            return Err(LogError::damaged(start, "the segment's header has a wrong checksum"));
        }
        let (mut log_id, mut secret, mut previous) = ([0; 16], [0; 16], [0; 32]);
        log_id.copy_from_slice(&bytes[32..48]);
        previous.copy_from_slice(&bytes[64..96]);
        secret.copy_from_slice(&bytes[96..CRC_AT]);
        Ok(Self {
            log_id,
            secret,
            segment: u32_at(bytes, 28),
            first_frame: u64_at(bytes, 48),
            first_batch: u64_at(bytes, 56),
            previous,
        })
    }
}

/// What is known of a segment whose file need not be open.
#[derive(Clone)]
pub(crate) struct SegmentInfo {
    pub(crate) header: SegmentHeader,
    /// Data bytes that fit.
    pub(crate) capacity: u32,
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

    pub(crate) fn info(&self) -> SegmentInfo {
        SegmentInfo { header: self.header.clone(), capacity: self.capacity }
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
        let mut raw = [0; sector::SECTOR_BYTES as usize];
        let read = file.read_full_at(0, &mut raw).map_err(LogError::io("read", &path))?;
        let header = SegmentHeader::decode(&raw[..read], segment)?;
        if header.segment != segment {
            let reason = format!("this file is segment {:016} under another name", header.segment);
            return Err(LogError::damaged(Position::new(segment, 0), reason));
        }
        let capacity = u32::try_from(sector::capacity(bytes)).unwrap_or(u32::MAX);
        Ok(Self { header, path, file, capacity })
    }

    /// What the file that is named segment `named` says about itself, whatever that is.
    pub(crate) fn header_of(files: &dyn Files, dir: &Path, named: u32) -> Result<SegmentHeader, LogError> {
        let path = Self::path(dir, named);
        let file = files.open(&path, false).map_err(LogError::io("open", &path))?;
        let mut raw = [0; sector::SECTOR_BYTES as usize];
        // A sector that the disk cannot read is a damaged one.
        let read = file.read_full_at(0, &mut raw).unwrap_or(0);
        SegmentHeader::decode(&raw[..read], named)
    }

    /// Opens the file that is named segment `named` as one with this header, whatever its own says. What stands in it is
    /// sealed with its log and its place, so nothing else is taken for it.
    pub(crate) fn open_as(
        files: &dyn Files,
        dir: &Path,
        named: u32,
        header: SegmentHeader,
    ) -> Result<Self, LogError> {
        let path = Self::path(dir, named);
        let file = files.open(&path, false).map_err(LogError::io("open", &path))?;
        let bytes = file.size_bytes().map_err(LogError::io("measure", &path))?;
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
        let mut raw = Vec::with_capacity(data.len() * 2);
        sector::seal_batch(0, &data, &mut raw);
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
