//! The few file operations that durable storage here needs, behind a trait.
//!
//! Invariant: nothing that must survive a power cut touches the file system but through [`Files`], so
//! that a test can throw away all that was not synced, tear a write, fill the disk and fail a sync.

use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(any(test, feature = "faulty"))]
pub mod faulty;
mod real;
mod watched;

pub use real::{Preallocate, RealFiles, raise_open_files};
pub use watched::{DiskWatch, WatchedFiles};

/// An open file. Offsets and lengths are in bytes.
pub trait DiskFile: Send + Sync {
    /// Reads at `offset`; returns how many bytes, 0 at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads at `offset` what the disk itself holds, past what the system keeps in memory: bytes whose write-back failed
    /// are in memory only. Returns how many bytes, and `None` where that cannot be had here.
    ///
    /// # Errors
    /// What the system says.
    fn read_past_cache_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Writes at `offset`; returns how many bytes were taken, which may be fewer than given.
    ///
    /// # Errors
    /// What the system says; then it is unknown how much was written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes written bytes and the length durable (`fdatasync`).
    ///
    /// # Errors
    /// What the system says. The caller MUST NOT try again and believe the second answer: the kernel may have
    /// dropped the pages.
    fn sync_data(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Cuts or extends (with zeros) to `bytes`.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
}

impl dyn DiskFile {
    /// Writes all of `bytes`, going on after short writes.
    ///
    /// # Errors
    /// What the system says; then it is unknown how much was written.
    pub fn write_all_at(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(offset, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    bytes = bytes.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until `buffer` is full or the file ends; returns how many bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn read_full_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(offset + filled as u64, &mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// Held as long as it lives; the lock is gone when the process ends, however it ends.
pub trait LockGuard: Send + Sync {}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Someone else has it; the text is what the holder wrote into the file (its process id).
    #[error("held by process {holder}")]
    Held {
        /// Who has it.
        holder: String,
    },
    /// The file could not be opened or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file system, as far as it is needed here.
///
/// - A file's bytes are durable only after `sync_data`, its name only after `sync_dir` of its folder.
/// - `rename` replaces atomically.
pub trait Files: Send + Sync {
    /// The names of all that is in `dir`, in no order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates `dir` and its parents where they are missing, durably.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Creates a new file of `bytes` zeros with its room reserved; nothing is left behind when that fails.
    ///
    /// # Errors
    /// What the system says; `StorageFull` when there is no room, `AlreadyExists`.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file, which must not be a symbolic link.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes the names in `dir` durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name in the same file system, replacing what had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes the lock that `path` stands for and writes this process's id into it.
    ///
    /// # Errors
    /// [`LockError`].
    fn try_lock(&self, path: &Path) -> Result<Box<dyn LockGuard>, LockError>;

    /// Whether someone has the lock that `path` stands for. Takes nothing: whoever asks at the same moment for the lock
    /// itself gets it.
    ///
    /// # Errors
    /// What the system says.
    fn is_locked(&self, path: &Path) -> io::Result<bool>;
}
