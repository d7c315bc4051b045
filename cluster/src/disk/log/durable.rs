//! The mark: how far the log is durable, for readers in other processes.
//!
//! Invariant: what the mark says is durable. The writer writes it after the sync, never before, and without a sync of
//! its own: so after a kill or a power cut it may be an older one, which is true as well, because a log only grows. It
//! is a lower bound and nothing more; who opens the log never believes it. The one who shortens a log, a repair, removes
//! it first.
//!
//! ```text
//! log/durable   magic 8 | log id 16 | position 8 | crc32c 4   (little-endian)
//! ```
//! A reader may meet a half-written mark, and so may a machine after a power cut: the checksum tells, and no mark is
//! known then.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Position;
use super::error::LogError;
use super::frame::{u32_at, u64_at};
use crate::disk::files::{DiskFile, Files};

const MARK_FILE: &str = "durable";
const MAGIC: [u8; 8] = *b"RFdurab1";
const MARK_BYTES: usize = 36;
const CRC_AT: usize = 32;

/// Followers are behind by about this at most; more often, the mark is not written under load. It costs one small
/// write into the page cache, which now and then waits for the file system's journal: not something to have beside each
/// commit.
const EVERY: Duration = Duration::from_millis(5);
/// A mark that is being written is read again so often.
const READS_MAX: usize = 3;

fn encode(log_id: &[u8; 16], end: Position) -> [u8; MARK_BYTES] {
    let mut out = [0; MARK_BYTES];
    out[..8].copy_from_slice(&MAGIC);
    out[8..24].copy_from_slice(log_id);
    out[24..CRC_AT].copy_from_slice(&end.0.to_le_bytes());
    let crc = crc32c::crc32c(&out[..CRC_AT]);
    out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Up to where the log in `dir` is durable at least; `None` when nothing is known. Blocks.
///
/// # Errors
/// [`LogError::Io`].
pub(crate) fn read(files: &dyn Files, dir: &Path, log_id: &[u8; 16]) -> Result<Option<Position>, LogError> {
    let path = dir.join(MARK_FILE);
    // Opened anew each time: a repair removes it, and a handle of the removed one would tell the same for ever.
    let file = match files.open(&path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("open", &path)(error)),
    };
    for _ in 0..READS_MAX {
        let mut bytes = [0; MARK_BYTES];
        let read = file.read_full_at(0, &mut bytes).map_err(LogError::io("read", &path))?;
        if read == MARK_BYTES
            && bytes[..8] == MAGIC
            && u32_at(&bytes, CRC_AT) == crc32c::crc32c(&bytes[..CRC_AT])
        {
            // A mark of another log was left behind by a copy of files, and says nothing about this one.
            return Ok((bytes[8..24] == *log_id).then(|| Position(u64_at(&bytes, 24))));
        }
    }
    Ok(None)
}

/// Removes the mark, durably: the log in `dir` is about to become shorter.
pub(crate) fn forget(files: &dyn Files, dir: &Path) -> Result<(), LogError> {
    let path = dir.join(MARK_FILE);
    match files.remove(&path) {
        Ok(()) => files.sync_dir(dir).map_err(LogError::io("sync", dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LogError::io("remove", &path)(error)),
    }
}

/// The mark of a log that is open; for its writer's thread.
pub(crate) struct Mark {
    files: Arc<dyn Files>,
    path: PathBuf,
    log_id: [u8; 16],
    file: Option<Arc<dyn DiskFile>>,
    written: Position,
    at: Instant,
    warned: bool,
}

impl Mark {
    /// Writes the mark of a log that was just opened and ends at `end`.
    ///
    /// # Errors
    /// Only when a mark that says more than is true can't be replaced. Any other trouble leaves followers behind, and is
    /// no reason not to run.
    pub(crate) fn begin(
        files: Arc<dyn Files>,
        dir: &Path,
        log_id: [u8; 16],
        end: Position,
    ) -> Result<Self, LogError> {
        let path = dir.join(MARK_FILE);
        let before = read(files.as_ref(), dir, &log_id);
        let mut mark =
            Self { files, path, log_id, file: None, written: Position(0), at: Instant::now(), warned: false };
        if let Err(error) = mark.try_write(end)
            && !before.is_ok_and(|before| before.is_none_or(|before| before <= end))
        {
            return Err(LogError::io("write", &mark.path)(error));
        }
        Ok(mark)
    }

    /// When the mark is to be written, from now on; `None` when it says `end` already.
    pub(crate) fn due_in(&self, end: Position) -> Option<Duration> {
        (self.written != end).then(|| EVERY.saturating_sub(self.at.elapsed()))
    }

    /// Writes the mark: all before `end` is durable.
    pub(crate) fn write(&mut self, end: Position) {
        if self.written == end {
            return;
        }
        if let Err(error) = self.try_write(end)
            && !std::mem::replace(&mut self.warned, true)
        {
            tracing::warn!(%error, path = %self.path.display(), "followers of the log are not told how far it is");
        }
    }

    fn try_write(&mut self, end: Position) -> io::Result<()> {
        // Also after a failure, which would come again at once.
        self.at = Instant::now();
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = match self.files.open(&self.path, true) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.files.create(&self.path, MARK_BYTES as u64)
                    }
                    opened => opened,
                }?;
                Arc::clone(self.file.insert(file))
            }
        };
        file.write_all_at(0, &encode(&self.log_id, end))?;
        self.written = end;
        Ok(())
    }
}
