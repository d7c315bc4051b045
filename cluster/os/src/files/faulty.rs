//! A file system in memory that keeps apart what was written and what was synced, and fails on demand.
//!
//! The model of a power cut: of each 512-byte sector that was not synced, the disk has the old or the new content,
//! and one sector may be torn: its first bytes new, the rest old. Names that were not synced are there or not.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::{DiskFile, Files, LockError, LockGuard};

mod disk;

pub use disk::{Disk, SECTOR_BYTES};
use disk::{Inode, NameChange, PAGE_BYTES};

/// What shall go wrong. All off by default.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The number (from 1) of the write, sync or name operation at which the power goes: a write still reaches the
    /// cache, anything else does not happen, and all later operations fail.
    pub cut_power_at: Option<u64>,
    /// The number (from 1) of the `sync_data` that fails. As on Linux, the pages are then clean: they can be read until
    /// the machine starts again, later syncs succeed and keep nothing of them, and only what is written again is synced.
    pub fail_sync: Option<u64>,
    /// The number (from 1) of the `sync_dir` that fails: the names that it should have kept are seen until the machine
    /// starts again, and no later sync keeps them.
    pub fail_sync_dir: Option<u64>,
    /// At the cut, the last sector of the last write is old although its sync succeeded: a disk that lies.
    pub last_sector_lies: bool,
    /// Reads of this sector (from 0) of any file fail.
    pub unreadable_sector: Option<u64>,
    /// The number (from 1) of the `write_at` that takes half of its bytes and fails.
    pub fail_write: Option<u64>,
    /// No write takes more bytes than this.
    pub write_max_bytes: Option<usize>,
    /// Bytes that still fit on the disk.
    pub room_bytes: Option<u64>,
    /// No file can be cut or made longer.
    pub fail_set_len: bool,
    /// `sync_data` succeeds and does nothing: a mutant that a power-cut suite must catch.
    pub sync_lies: bool,
    /// `sync_data` does not return, until this is off again.
    pub hold_syncs: bool,
    /// Keep a copy of the disk after each operation.
    pub record: bool,
}

#[derive(Default)]
struct State {
    disk: Disk,
    faults: Faults,
    operations: u64,
    writes: u64,
    syncs: u64,
    dir_syncs: u64,
    held_syncs: u64,
    off: bool,
    history: Vec<Disk>,
    locks: BTreeSet<PathBuf>,
}

impl State {
    /// Counts an operation that changes the disk. Answers whether it is the one at which the power goes.
    fn begin(&mut self) -> io::Result<bool> {
        if self.off {
            return Err(no_power());
        }
        self.operations += 1;
        if self.faults.cut_power_at == Some(self.operations) {
            self.off = true;
        }
        Ok(self.off)
    }

    fn end(&mut self) {
        if self.faults.record {
            self.history.push(self.disk.clone());
        }
    }

    fn change_names(&mut self, change: NameChange) -> io::Result<()> {
        if self.begin()? {
            return Err(no_power());
        }
        change.apply(&mut self.disk.names);
        self.disk.pending.push(change);
        self.end();
        Ok(())
    }

    fn named(&self, path: &Path) -> io::Result<u64> {
        if self.off {
            return Err(no_power());
        }
        self.disk.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode(&mut self, number: u64) -> io::Result<&mut Inode> {
        if self.off {
            return Err(no_power());
        }
        self.disk.inodes.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}

/// A file system in memory, with faults. Clones share it.
#[derive(Clone, Default)]
pub struct FaultyFiles(Arc<Mutex<State>>, Arc<Condvar>);

struct FaultyFile {
    files: FaultyFiles,
    inode: u64,
}

struct FaultyLock {
    files: FaultyFiles,
    path: PathBuf,
}

impl LockGuard for FaultyLock {}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.files.0.lock().locks.remove(&self.path);
    }
}

impl FaultyFiles {
    /// An empty disk.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self::on(Disk::default(), faults)
    }

    /// A machine started on `disk`.
    #[must_use]
    pub fn on(disk: Disk, faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(State { disk, faults, ..State::default() })), Arc::default())
    }

    /// Other faults from now on; the counters go on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.lock().faults);
        self.1.notify_all();
    }

    /// Waits until a sync is held; says whether that came to be within ten seconds.
    #[must_use]
    pub fn wait_for_held_sync(&self) -> bool {
        let mut state = self.0.lock();
        let limit = std::time::Duration::from_secs(10);
        !self.1.wait_while_for(&mut state, |state| state.held_syncs == 0, limit).timed_out()
    }

    /// How many writes, syncs and name operations there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// How many `sync_data` there were.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// How many `write_at` there were.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    /// The disk as it is.
    #[must_use]
    pub fn disk(&self) -> Disk {
        let state = self.0.lock();
        Disk { last_sector_lies: state.faults.last_sector_lies, ..state.disk.clone() }
    }

    /// The disk after each operation, when recorded: entry `n` follows operation `n + 1`.
    #[must_use]
    pub fn history(&self) -> Vec<Disk> {
        self.0.lock().history.clone()
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.files.0.lock();
        let unreadable = state.faults.unreadable_sector.map(|sector| sector * SECTOR_BYTES as u64);
        if unreadable.is_some_and(|at| at < offset + buffer.len() as u64 && offset < at + SECTOR_BYTES as u64)
        {
            return Err(io::Error::other("the disk cannot read a sector"));
        }
        let inode = state.inode(self.inode)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(inode.current.len());
        let length = buffer.len().min(inode.current.len() - start);
        buffer[..length].copy_from_slice(&inode.current[start..start + length]);
        Ok(length)
    }

    fn read_past_cache_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut state = self.files.0.lock();
        let inode = state.inode(self.inode)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(inode.synced.len());
        let length = buffer.len().min(inode.synced.len() - start);
        buffer[..length].copy_from_slice(&inode.synced[start..start + length]);
        Ok(Some(length))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.files.0.lock();
        let cut = state.begin()?;
        state.writes += 1;
        let fails = state.faults.fail_write == Some(state.writes);
        let limit = state.faults.write_max_bytes.unwrap_or(usize::MAX);
        let length = if fails { bytes.len() / 2 } else { bytes.len().min(limit) };
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let room = state.faults.room_bytes;
        // Not `State::inode`: at the cut the write still reaches the cache.
        let inode = state.disk.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let grows = (start + length).saturating_sub(inode.current.len());
        if room.is_some_and(|room| grows as u64 > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // What is written again is dirty again, and so are whole pages.
        for page in start / PAGE_BYTES..(start + length).div_ceil(PAGE_BYTES) {
            inode.lost_pages.remove(&page);
        }
        inode.last_write_end = start + length;
        let content = Arc::make_mut(&mut inode.current);
        content.resize(content.len().max(start + length), 0);
        content[start..start + length].copy_from_slice(&bytes[..length]);
        if let Some(room) = &mut state.faults.room_bytes {
            *room -= grows as u64;
        }
        if cut {
            return Err(no_power());
        }
        state.end();
        if fails { Err(io::Error::other("the disk failed to write")) } else { Ok(length) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.files.0.lock();
        if state.faults.hold_syncs {
            state.held_syncs += 1;
            self.files.1.notify_all();
            self.files.1.wait_while(&mut state, |state| state.faults.hold_syncs);
            state.held_syncs -= 1;
        }
        if state.begin()? {
            return Err(no_power());
        }
        state.syncs += 1;
        let fails = state.faults.fail_sync == Some(state.syncs);
        let lies = state.faults.sync_lies;
        let inode = state.inode(self.inode)?;
        if fails {
            inode.lose_dirty_pages();
        } else if !lies {
            inode.write_back();
        }
        state.end();
        if fails { Err(io::Error::other("the disk failed to sync")) } else { Ok(()) }
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.files.0.lock().inode(self.inode)?.current.len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.files.0.lock();
        if state.begin()? {
            return Err(no_power());
        }
        if state.faults.fail_set_len {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = state.inode(self.inode)?;
        Arc::make_mut(&mut inode.current).resize(usize::try_from(bytes).unwrap_or(usize::MAX), 0);
        state.end();
        Ok(())
    }
}

impl Files for FaultyFiles {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        if state.off {
            return Err(no_power());
        }
        let names = state.disk.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        if state.disk.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state.faults.room_bytes.is_some_and(|room| bytes > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.disk.next_inode += 1;
        let inode = state.disk.next_inode;
        let zeros = Arc::new(vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)]);
        // The length is not synced: a file created and cut off may be empty.
        state.disk.inodes.insert(inode, Inode { current: zeros, ..Inode::default() });
        state.change_names(NameChange::Create(path.to_owned(), inode))?;
        if let Some(room) = &mut state.faults.room_bytes {
            *room -= bytes;
        }
        Ok(Arc::new(FaultyFile { files: self.clone(), inode }))
    }

    fn open(&self, path: &Path, _writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.0.lock().named(path)?;
        Ok(Arc::new(FaultyFile { files: self.clone(), inode }))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.begin()? {
            return Err(no_power());
        }
        let disk = &mut state.disk;
        let (done, pending) = disk.pending.drain(..).partition(|change: &NameChange| change.is_in(dir));
        disk.pending = pending;
        let done: Vec<NameChange> = done;
        state.dir_syncs += 1;
        let fails = state.faults.fail_sync_dir == Some(state.dir_syncs);
        if !fails {
            done.iter().for_each(|change| change.apply(&mut state.disk.synced_names));
        }
        state.end();
        if fails { Err(io::Error::other("the disk failed to sync a folder")) } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let inode = state.named(path)?;
        let freed = state.inode(inode)?.current.len() as u64;
        state.change_names(NameChange::Remove(path.to_owned()))?;
        if let Some(room) = &mut state.faults.room_bytes {
            *room += freed;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let inode = state.named(from)?;
        state.change_names(NameChange::Rename(from.to_owned(), to.to_owned(), inode))
    }

    fn try_lock(&self, path: &Path) -> Result<Box<dyn LockGuard>, LockError> {
        if !self.0.lock().locks.insert(path.to_owned()) {
            return Err(LockError::Held { holder: std::process::id().to_string() });
        }
        Ok(Box::new(FaultyLock { files: self.clone(), path: path.to_owned() }))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        Ok(self.0.lock().locks.contains(path))
    }
}
