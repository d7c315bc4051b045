//! Marks: how far the log is durable, for readers in other processes and for the next start.
//!
//! Invariant: what a mark says is durable. The one in the log's folder is written after each sync and before anything in
//! that write is answered, into the page cache only: after a kill it covers all that was answered; after a power cut it
//! may be an older one, which is true as well, because a log only grows. A thread beside the writer syncs it and keeps
//! copies in the folders that are made of the log, about once a second: whichever of them an operator's hands or a
//! disk leave behind still tells. A log that ends before a mark of its own lost data, and is not opened. Who shortens a
//! log knowingly, a repair, removes the marks when it is done.
//!
//! ```text
//! durable   magic 8 | log id 16 | position 8 | crc32c 4   (little-endian)
//! ```
//! A reader may meet a half-written mark, and so may a machine after a power cut: the checksum tells, and no mark is
//! known then.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Position;
use super::error::LogError;
use super::frame::{u32_at, u64_at};
use retailflow_os::files::{DiskFile, Files};

const MARK_FILE: &str = "durable";
const MAGIC: [u8; 8] = *b"RFdurab1";
const MARK_BYTES: usize = 36;
const CRC_AT: usize = 32;

/// A mark that is being written is read again so often.
const READS_MAX: usize = 3;
/// Time between two writings of the copies.
const COPY_INTERVAL: Duration = Duration::from_secs(1);
/// The folders of a data directory that are made of the log, and carry a copy. The empty name is the data directory.
const COPIES: [&str; 4] = ["", "index", "views", "snapshots"];

/// What a mark says, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Where it stands, from the data directory on.
    pub(crate) name: String,
    /// All before is durable.
    pub(crate) end: Position,
}

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
        Err(error) if is_absent(&error) => return Ok(None),
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

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The folders with marks of the log in `dir`, and what to call them.
fn places(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut places = vec![(dir.to_owned(), format!("log/{MARK_FILE}"))];
    if let Some(data) = dir.parent() {
        let copy = |name: &&str| (data.join(name), Path::new(name).join(MARK_FILE).display().to_string());
        places.extend(COPIES.iter().map(copy));
    }
    places
}

/// The mark of the log in `dir` that goes furthest. Blocks.
///
/// # Errors
/// [`LogError::Io`].
pub(crate) fn furthest(files: &dyn Files, dir: &Path, log_id: &[u8; 16]) -> Result<Option<Mark>, LogError> {
    let mut furthest: Option<Mark> = None;
    for (folder, name) in places(dir) {
        let end = read(files, &folder, log_id)?;
        if let Some(end) = end.filter(|end| furthest.as_ref().is_none_or(|mark| mark.end < *end)) {
            furthest = Some(Mark { name, end });
        }
    }
    Ok(furthest)
}

/// Removes all marks, durably: the log in `dir` has become shorter.
pub(crate) fn forget(files: &dyn Files, dir: &Path) -> Result<(), LogError> {
    for (folder, _) in places(dir) {
        let path = folder.join(MARK_FILE);
        match files.remove(&path) {
            Ok(()) => files.sync_dir(&folder).map_err(LogError::io("sync", &folder))?,
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(LogError::io("remove", &path)(error)),
        }
    }
    Ok(())
}

/// A mark that is kept up to date.
struct MarkFile {
    files: Arc<dyn Files>,
    folder: PathBuf,
    log_id: [u8; 16],
    file: Option<Arc<dyn DiskFile>>,
    written: Position,
    warned: bool,
}

impl MarkFile {
    fn new(files: Arc<dyn Files>, folder: PathBuf, log_id: [u8; 16]) -> Self {
        Self { files, folder, log_id, file: None, written: Position(0), warned: false }
    }

    fn write(&mut self, end: Position) -> io::Result<()> {
        if self.written == end {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let path = self.folder.join(MARK_FILE);
                let file = match self.files.open(&path, true) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.files.create(&path, MARK_BYTES as u64)
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

    /// A mark that cannot be written is one net fewer, and no reason not to run.
    fn note_outcome(&mut self, done: io::Result<()>) {
        if let Err(error) = done
            && !std::mem::replace(&mut self.warned, true)
        {
            let path = self.folder.join(MARK_FILE);
            tracing::warn!(event = "mark_not_written", %error, path = %path.display(), "the log's mark cannot be written");
        }
    }
}

/// The mark beside the log's segments, for its one writer.
pub(crate) struct LogMark {
    file: MarkFile,
    /// For [`MarkKeeper`].
    end: Arc<AtomicU64>,
}

impl LogMark {
    /// Writes the mark of a log that was just opened and ends at `end`.
    pub(crate) fn begin(files: Arc<dyn Files>, dir: &Path, log_id: [u8; 16], end: Position) -> Self {
        let file = MarkFile::new(files, dir.to_owned(), log_id);
        let mut mark = Self { file, end: Arc::default() };
        mark.write(end);
        mark
    }

    /// Writes the mark: all before `end` is durable. Call it before anything of it is answered.
    pub(crate) fn write(&mut self, end: Position) {
        let done = self.file.write(end);
        self.file.note_outcome(done);
        self.end.store(end.0, Ordering::Release);
    }

    /// Writes the mark anew, as it is, and syncs it: whether the disk takes writes. Nothing grows by that.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn prove(&mut self) -> io::Result<()> {
        let end = std::mem::replace(&mut self.file.written, Position(u64::MAX));
        // Where that fails it is not known what stands there: the next write writes it, whatever it is.
        self.file.write(end)?;
        self.file.file.as_ref().map_or(Ok(()), |file| file.sync_data())
    }

    /// Starts the thread that keeps the copies.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn copies(&self) -> io::Result<MarkKeeper> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let dir = self.file.folder.clone();
        let mut keeper = Keeper {
            files: Arc::clone(&self.file.files),
            log_id: self.file.log_id,
            folders: places(&dir).into_iter().map(|(folder, _)| folder).collect(),
            end: Arc::clone(&self.end),
            kept: Position(0),
        };
        let asked = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("log-marks".into()).spawn(move || {
            let (stopped, wake) = &*asked;
            let mut is_stopped = stopped.lock();
            loop {
                if !*is_stopped {
                    wake.wait_for(&mut is_stopped, COPY_INTERVAL);
                }
                let ends = *is_stopped;
                parking_lot::MutexGuard::unlocked(&mut is_stopped, || keeper.keep());
                if ends {
                    break;
                }
            }
        })?;
        Ok(MarkKeeper { stop, thread: Some(thread) })
    }
}

struct Keeper {
    files: Arc<dyn Files>,
    log_id: [u8; 16],
    folders: Vec<PathBuf>,
    end: Arc<AtomicU64>,
    kept: Position,
}

impl Keeper {
    /// Writes and syncs all marks whose folder is there. A folder may come and go: `index/` is deleted at will.
    fn keep(&mut self) {
        let end = Position(self.end.load(Ordering::Acquire));
        if end == self.kept || end.0 == 0 {
            return;
        }
        self.kept = end;
        for (number, folder) in self.folders.iter().enumerate() {
            let mut mark = MarkFile::new(Arc::clone(&self.files), folder.clone(), self.log_id);
            // The log's own mark is its writer's to write.
            let written = if number == 0 { Ok(()) } else { mark.write(end) };
            let synced = written.and_then(|()| match &mark.file {
                Some(file) => file.sync_data(),
                None => self.files.open(&folder.join(MARK_FILE), true)?.sync_data(),
            });
            if let Err(error) = synced
                && !is_absent(&error)
            {
                tracing::debug!(%error, folder = %folder.display(), "a copy of the log's mark is not written");
            }
        }
    }
}

/// Keeps the copies of a log's mark. Dropping it writes them a last time and ends its thread.
pub(crate) struct MarkKeeper {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for MarkKeeper {
    fn drop(&mut self) {
        let (stopped, wake) = &*self.stop;
        *stopped.lock() = true;
        wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(event = "task_panicked", "the thread that keeps the log's marks panicked");
        }
    }
}
