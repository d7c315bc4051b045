//! A running server's log, as files that can only be read: up to what was durable when it was asked.
//!
//! Invariant: what is read does not change, however often and however late it is read; the server is asked for so many bytes a
//! second at most, one piece at a time, and one piece is all that is held here of it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use retailflow_disk::log::Position;
use retailflow_disk::log::copy::number_of;
use retailflow_engine::wire::admin::BackupCut;
use retailflow_os::files::{DiskFile, Files, LockError, LockGuard};

use super::Client;
use retailflow_server::exit::Failure;

/// Where the segments seem to be.
const FOLDER: &str = "log";
/// A segment is written in whole sectors; in the last one the cut may end before its sector does.
const SECTOR_BYTES: u64 = 512;

/// A log to read.
pub(crate) struct RemoteLog {
    source: Arc<Source>,
    /// Whose log it is.
    pub(crate) server: String,
    /// All before is durable, and is what is read.
    pub(crate) end: Position,
}

struct Source {
    client: Client,
    /// The bytes of each segment that are read, by its name.
    segments: BTreeMap<String, u64>,
    pace: Mutex<Pace>,
}

/// How fast a server is asked.
struct Pace {
    bytes_per_s: u64,
    /// What has been asked for would have taken until then.
    until: Instant,
}

impl RemoteLog {
    /// Asks a server how far its log is durable; of that, `bytes_per_s` are read at most.
    ///
    /// # Errors
    /// A [`Failure`] where the server does not answer, or has no log of its own.
    pub(crate) fn open(client: Client, bytes_per_s: u64) -> Result<Self, Failure> {
        let answer = client.get("/v1/admin/backup")?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let cut: BackupCut = answer.read()?;
        let segments = cut.parts.into_iter().filter(|part| number_of(&part.name).is_some());
        let segments = segments.map(|part| (part.name, part.bytes)).collect();
        let server = client.server().to_owned();
        let pace = Mutex::new(Pace { bytes_per_s: bytes_per_s.max(1), until: Instant::now() });
        let source = Arc::new(Source { client, segments, pace });
        Ok(Self { source, server, end: Position(cut.position) })
    }

    /// The folder that the segments are in, as [`Files`] has it.
    pub(crate) fn folder(&self) -> &'static Path {
        Path::new(FOLDER)
    }

    /// All bytes of it.
    pub(crate) fn bytes(&self) -> u64 {
        self.source.segments.values().sum()
    }
}

impl Source {
    /// Waits until so many bytes more may be asked for.
    fn wait(&self, bytes: u64) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let begins = pace.until.max(now);
        pace.until = begins + Duration::from_secs_f64(bytes as f64 / pace.bytes_per_s as f64);
        thread::sleep(begins - now);
    }
}

struct RemoteFile {
    source: Arc<Source>,
    name: String,
    bytes: u64,
}

fn read_only<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "a server's log is only read from here"))
}

impl DiskFile for RemoteFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.size_bytes()?;
        let length = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..length];
        let there = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(length);
        let (mut wanted, rest) = buffer.split_at_mut(there);
        rest.fill(0);
        if there > 0 {
            self.source.wait(there as u64);
            let until = offset + there as u64;
            let read = self.source.client.range(&self.name, offset, until, &mut wanted);
            read.map_err(|failure| io::Error::other(failure.to_string()))?;
        }
        Ok(length)
    }

    fn read_past_cache_at(&self, _offset: u64, _buffer: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<usize> {
        read_only()
    }

    fn sync_data(&self) -> io::Result<()> {
        read_only()
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.bytes.next_multiple_of(SECTOR_BYTES))
    }

    fn set_len(&self, _bytes: u64) -> io::Result<()> {
        read_only()
    }
}

impl Files for RemoteLog {
    fn list(&self, _dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.source.segments.keys().cloned().collect())
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }

    fn create(&self, _path: &Path, _bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        if writable {
            return read_only();
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let bytes = *self.source.segments.get(&name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(RemoteFile { source: Arc::clone(&self.source), name, bytes }))
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        read_only()
    }

    fn try_lock(&self, _path: &Path) -> Result<Box<dyn LockGuard>, LockError> {
        Err(LockError::Io(io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    fn is_locked(&self, _path: &Path) -> io::Result<bool> {
        // The server has it locked. What is read here is not in its way.
        Ok(false)
    }
}
