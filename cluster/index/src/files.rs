//! Files of runs: written once from front to back, then read at any place, then removed.
//!
//! Why files and not sled, where the rest of the index is: each read of sled takes a lock of the whole process that each
//! batch takes alone and each flush holds while it waits for the disk. One order in ten that is new needs a block (the
//! filters say "perhaps"), and so the log's writer stood still for 50 to 80 ms at each flush (measured). A file is read
//! without a lock. And where a write fails, a file is removed and written again; sled is of no use until it is opened anew.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

#[cfg(any(test, feature = "faulty"))]
use super::faults::Faults;

/// Bytes that are gathered before they go to the file.
const WRITE_BYTES: usize = 64 << 10;
/// Bytes written until they are synced: small enough that the log's own sync, which may come at the same moment, does not
/// wait long for them.
const SYNC_BYTES: u64 = 512 << 10;

/// A file that shows whether the disk takes anything.
pub(super) const PROBE: &str = "probe";

/// The id in the name of a run's file, as `RunInfo::file_name` makes it; `None` for a file that is no run's.
pub(super) fn run_id(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(['o', 'd'])?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// The folder of the runs' files.
#[derive(Debug, Clone)]
pub(super) struct RunFiles {
    dir: PathBuf,
    #[cfg(any(test, feature = "faulty"))]
    pub(super) faults: std::sync::Arc<Faults>,
}

impl RunFiles {
    /// In the index's folder `index`. Nothing is made yet.
    pub(super) fn new(index: &Path) -> Self {
        Self {
            dir: folder(index),
            #[cfg(any(test, feature = "faulty"))]
            faults: std::sync::Arc::default(),
        }
    }

    /// Makes the folder if there is none.
    pub(super) fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    /// Begins a file; one of that name, left by a flush that was cut short, is written over.
    pub(super) fn create(&self, name: &str) -> io::Result<NewFile> {
        self.fault()?;
        let path = self.dir.join(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(NO_FOLLOW)
            .open(&path)?;
        Ok(NewFile {
            files: self.clone(),
            file: Some(file),
            path,
            waiting: Vec::new(),
            written: 0,
            synced: 0,
        })
    }

    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(self.dir.join(name))
    }

    /// Who still reads the file goes on doing so.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Bytes that are free for us where the folder is.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let there = rustix::fs::statvfs(&self.dir)?;
        Ok(there.f_bavail.saturating_mul(there.f_frsize))
    }

    /// Whether the disk takes anything: writes a little, syncs it, and removes it.
    pub(super) fn probe(&self) -> io::Result<()> {
        #[cfg(any(test, feature = "faulty"))]
        self.faults.store()?;
        let mut file = self.create(PROBE)?;
        file.push(&[1; WRITE_BYTES])?;
        file.finish()?;
        self.remove(PROBE)
    }

    /// What a test has the disk do; nothing else.
    #[cfg(not(any(test, feature = "faulty")))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self)]
    fn fault(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(any(test, feature = "faulty"))]
    fn fault(&self) -> io::Result<()> {
        self.faults.file()
    }
}

/// `O_NOFOLLOW`: nothing is written through a link that someone put there.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// The folder of runs in an index's folder.
pub(super) fn folder(index: &Path) -> PathBuf {
    index.join("runs")
}

/// A file being written. Dropped without [`NewFile::finish`], it is removed.
#[derive(Debug)]
pub(super) struct NewFile {
    files: RunFiles,
    /// `None` once finished.
    file: Option<File>,
    path: PathBuf,
    waiting: Vec<u8>,
    written: u64,
    synced: u64,
}

impl NewFile {
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < WRITE_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes and syncs the rest, and gives the file for reading.
    pub(super) fn finish(mut self) -> io::Result<File> {
        self.write()?;
        self.sync()?;
        self.file.take().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self) -> io::Result<()> {
        self.files.fault()?;
        if let Some(file) = &self.file {
            file.write_all_at(&self.waiting, self.written)?;
        }
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        if self.written - self.synced < SYNC_BYTES { Ok(()) } else { self.sync() }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.fault()?;
        self.synced = self.written;
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // If it can't be removed, the next open does.
            drop(fs::remove_file(&self.path));
        }
    }
}
