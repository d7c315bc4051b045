//! A disk at one moment: what was written, what was synced, and what a machine finds after the power went.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The unit in which a disk writes, in bytes.
pub const SECTOR_BYTES: usize = 512;
/// The unit in which the system keeps files in memory, in bytes.
pub(super) const PAGE_BYTES: usize = 4096;

#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    pub(super) current: Arc<Vec<u8>>,
    pub(super) synced: Arc<Vec<u8>>,
    /// Pages whose write-back failed: clean, and not on the disk.
    pub(super) lost_pages: BTreeSet<usize>,
    /// The last sector of the last write that was synced, as it was before.
    pub(super) last_sector: Option<(usize, Vec<u8>)>,
    pub(super) last_write_end: usize,
}

impl Inode {
    pub(super) fn of(bytes: Arc<Vec<u8>>) -> Self {
        Self { current: Arc::clone(&bytes), synced: bytes, ..Self::default() }
    }

    fn pages(length: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        (0..length.div_ceil(PAGE_BYTES))
            .map(move |page| (page, page * PAGE_BYTES..length.min((page + 1) * PAGE_BYTES)))
    }

    /// A range of the synced bytes; zeros where they end.
    fn synced_bytes(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        let mut bytes = vec![0; range.len()];
        let there = self.synced.get(range.start..self.synced.len().min(range.end)).unwrap_or_default();
        bytes[..there.len()].copy_from_slice(there);
        bytes
    }

    pub(super) fn write_back(&mut self) {
        if self.last_write_end > 0 {
            let sector = (self.last_write_end - 1) / SECTOR_BYTES * SECTOR_BYTES;
            self.last_sector = Some((sector, self.synced_bytes(sector..sector + SECTOR_BYTES)));
        }
        if self.lost_pages.is_empty() {
            self.synced = Arc::clone(&self.current);
            return;
        }
        let mut bytes = self.current.to_vec();
        for (page, range) in Self::pages(bytes.len()) {
            if self.lost_pages.contains(&page) {
                bytes[range.clone()].copy_from_slice(&self.synced_bytes(range));
            }
        }
        self.synced = Arc::new(bytes);
    }

    /// All that is dirty becomes clean without being written.
    pub(super) fn lose_dirty_pages(&mut self) {
        for (page, range) in Self::pages(self.current.len()) {
            if self.current[range.clone()] != self.synced_bytes(range) {
                self.lost_pages.insert(page);
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf, u64),
    Remove(PathBuf),
}

impl NameChange {
    pub(super) fn is_in(&self, dir: &Path) -> bool {
        let (Self::Create(path, _) | Self::Rename(_, path, _) | Self::Remove(path)) = self;
        path.parent() == Some(dir)
    }

    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create(path, inode) => drop(names.insert(path.clone(), *inode)),
            Self::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Remove(path) => drop(names.remove(path)),
        }
    }
}

/// A disk at one moment: what was written and what was synced.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) synced_names: BTreeMap<PathBuf, u64>,
    pub(super) pending: Vec<NameChange>,
    pub(super) next_inode: u64,
    pub(super) last_sector_lies: bool,
}

impl Disk {
    /// What a machine finds on this disk after the power went: decided by `seed` for each unsynced sector and name.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Some seeds keep nearly all, some nearly nothing: the extremes find other faults than the middle.
        let keep_percent = [50, 0, 100, 10, 90][(seed % 5) as usize];
        let mut names = self.synced_names.clone();
        for change in &self.pending {
            if rng.u32(..100) < keep_percent {
                change.apply(&mut names);
            }
        }
        let mut inodes = BTreeMap::new();
        for (&number, inode) in &self.inodes {
            if names.values().any(|named| *named == number) {
                let mut bytes = survivors(inode, keep_percent, &mut rng);
                if self.last_sector_lies
                    && let Some((start, old)) = &inode.last_sector
                    && let Some(place) = bytes.get_mut(*start..*start + old.len())
                {
                    place.copy_from_slice(old);
                }
                inodes.insert(number, Inode::of(Arc::new(bytes)));
            }
        }
        Self { inodes, synced_names: names.clone(), names, next_inode: self.next_inode, ..Self::default() }
    }

    /// Changes a file's bytes behind everyone's back, on the disk itself.
    ///
    /// # Panics
    /// When there is no such file: the test is wrong.
    pub fn edit(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let number = self.names[path];
        let inode = self.inodes.get_mut(&number).expect("a name leads to a file");
        let mut bytes = inode.current.to_vec();
        change(&mut bytes);
        *inode = Inode::of(Arc::new(bytes));
    }

    /// The bytes of a file as a running system sees them.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let number = self.names.get(path)?;
        Some(self.inodes.get(number)?.current.to_vec())
    }

    /// The names of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.names.keys().cloned().collect()
    }

    /// Gives the content of `from` to `to`, or removes `to` when there is no `from`.
    pub fn replace(&mut self, to: &Path, from: Option<&Path>) {
        let inode =
            from.and_then(|from| self.names.get(from)).and_then(|number| self.inodes.get(number)).cloned();
        self.names.remove(to);
        if let Some(inode) = inode {
            let number = self.next_inode + 1_000_000;
            self.next_inode += 1;
            self.inodes.insert(number, inode);
            self.names.insert(to.to_owned(), number);
        }
        self.synced_names = self.names.clone();
    }
}

fn survivors(inode: &Inode, keep_percent: u32, rng: &mut fastrand::Rng) -> Vec<u8> {
    if Arc::ptr_eq(&inode.current, &inode.synced) {
        return inode.synced.to_vec();
    }
    let (new, old) = (&inode.current, &inode.synced);
    let length = if new.len() == old.len() || rng.u32(..100) < keep_percent { new.len() } else { old.len() };
    let mut bytes = vec![0; length];
    let sector = |content: &[u8], start: usize| -> [u8; SECTOR_BYTES] {
        let mut out = [0; SECTOR_BYTES];
        let part = content.get(start..content.len().min(start + SECTOR_BYTES)).unwrap_or_default();
        out[..part.len()].copy_from_slice(part);
        out
    };
    let mut dirty = Vec::new();
    for start in (0..length).step_by(SECTOR_BYTES) {
        let (fresh, stale) = (sector(new, start), sector(old, start));
        let is_lost = inode.lost_pages.contains(&(start / PAGE_BYTES));
        if fresh != stale && !is_lost {
            dirty.push(start);
        }
        let end = length.min(start + SECTOR_BYTES);
        let kept = !is_lost && (fresh == stale || rng.u32(..100) < keep_percent);
        let kept = if kept { fresh } else { stale };
        bytes[start..end].copy_from_slice(&kept[..end - start]);
    }
    if !dirty.is_empty() && rng.u32(..100) < 60 {
        let start = dirty[rng.usize(..dirty.len())];
        let (fresh, stale) = (sector(new, start), sector(old, start));
        // Torn where it matters: among the bytes that differ.
        let first = (0..SECTOR_BYTES).find(|&at| fresh[at] != stale[at]).unwrap_or(0);
        let last = (0..SECTOR_BYTES).rev().find(|&at| fresh[at] != stale[at]).unwrap_or(0);
        let at = rng.usize(first..=last);
        let mut torn = stale;
        torn[..at].copy_from_slice(&fresh[..at]);
        let end = length.min(start + SECTOR_BYTES);
        bytes[start..end].copy_from_slice(&torn[..end - start]);
    }
    bytes
}
