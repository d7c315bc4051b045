//! What a file holds: in the cache, and on the disk.

use std::collections::{BTreeMap, BTreeSet};

use rustix::io::Errno;

use crate::pages::{PAGE_BYTES, PAGE_SECTORS, Pages, SECTOR_BYTES};

/// How a sync ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncEnd {
    /// All is on the disk.
    Durable,
    /// Of the dirty pages so many in a hundred are on the disk; all are clean.
    Clean { written_percent: u32 },
    /// As `Durable`, but for the last dirty sector, which is clean and not on the disk.
    LastSectorLost,
}

/// A file's bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    cached: Pages,
    pub(crate) size: u64,
    durable: Pages,
    durable_size: u64,
    /// Dirty sectors of each page, one bit each.
    dirty: BTreeMap<u64, u8>,
    /// The least size since the last sync.
    shrunk_to: Option<u64>,
    /// Bytes from the start for which room was promised.
    reserved: u64,
    /// Sectors that cannot be read until they are written.
    unreadable: BTreeSet<u64>,
}

impl Content {
    /// Up to `length` bytes at `offset`: what is cached, or past the cache what is on the disk.
    pub(crate) fn read(&self, offset: u64, length: usize, past_cache: bool) -> Result<Vec<u8>, Errno> {
        let length = self.size.saturating_sub(offset).min(length as u64);
        let sectors = sectors(offset, length);
        if self.unreadable.range(sectors.clone()).next().is_some() {
            return Err(Errno::IO);
        }
        let mut bytes = vec![0; length as usize];
        if !past_cache {
            self.cached.read(offset, &mut bytes);
            return Ok(bytes);
        }
        self.durable.read(offset, &mut bytes);
        // As Linux does, a direct read has the dirty pages of its range written first, and then sees them.
        for sector in sectors.filter(|&sector| self.is_dirty(sector)) {
            let content = self.cached.sector(sector);
            let start = sector * SECTOR_BYTES as u64;
            for (at, byte) in content.iter().enumerate() {
                if let Some(place) = (start + at as u64).checked_sub(offset)
                    && let Some(out) = bytes.get_mut(place as usize)
                {
                    *out = *byte;
                }
            }
        }
        Ok(bytes)
    }

    /// Writes to the cache. A page that has no room yet needs some, and there is none on a full disk.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8], full: bool) -> Result<(), Errno> {
        let end = offset + bytes.len() as u64;
        let mut pages = (offset / PAGE_BYTES as u64..end.div_ceil(PAGE_BYTES as u64))
            .map(|page| page * PAGE_BYTES as u64)
            .filter(|&start| start >= self.reserved);
        if full && pages.any(|start| !self.cached.has(start)) {
            return Err(Errno::NOSPC);
        }
        self.cached.write(offset, bytes);
        self.size = self.size.max(end);
        for sector in sectors(offset, bytes.len() as u64) {
            let (page, bit) = (sector / PAGE_SECTORS as u64, sector % PAGE_SECTORS as u64);
            *self.dirty.entry(page).or_default() |= 1 << bit;
            self.unreadable.remove(&sector);
        }
        Ok(())
    }

    /// Cuts or extends with zeros.
    pub(crate) fn set_len(&mut self, size: u64) {
        if size < self.size {
            self.cached.truncate(size);
            drop(self.dirty.split_off(&size.div_ceil(PAGE_BYTES as u64)));
            self.shrunk_to = Some(self.shrunk_to.unwrap_or(size).min(size));
            self.reserved = self.reserved.min(size);
        }
        self.size = size;
    }

    /// Promises room up to `end`; the file grows to it unless its size is kept.
    pub(crate) fn reserve(&mut self, end: u64, keep_size: bool, full: bool) -> Result<(), Errno> {
        if full && end > self.reserved {
            return Err(Errno::NOSPC);
        }
        self.reserved = self.reserved.max(end);
        if !keep_size {
            self.size = self.size.max(end);
        }
        Ok(())
    }

    /// Writes back what is dirty.
    pub(crate) fn sync(&mut self, end: SyncEnd, rng: &mut fastrand::Rng) {
        let written_percent = match end {
            SyncEnd::Clean { written_percent } => written_percent,
            SyncEnd::Durable | SyncEnd::LastSectorLost => 100,
        };
        let last = self
            .dirty
            .last_key_value()
            .map(|(page, mask)| page * PAGE_SECTORS as u64 + u64::from(7 - mask.leading_zeros()));
        let before = last.map(|last| self.durable.sector(last));
        if written_percent == 100 {
            if let Some(size) = self.shrunk_to.take() {
                self.durable.truncate(size);
            }
            self.durable_size = self.size;
        }
        for (page, mask) in std::mem::take(&mut self.dirty) {
            if rng.u32(..100) >= written_percent {
                continue;
            }
            // A whole page is shared, not copied.
            if mask == u8::MAX {
                self.durable.take_page(&self.cached, page);
                continue;
            }
            for sector in (0..PAGE_SECTORS as u64).filter(|bit| mask & (1 << bit) != 0) {
                let sector = page * PAGE_SECTORS as u64 + sector;
                self.durable.set_sector(sector, &self.cached.sector(sector));
            }
        }
        if let (SyncEnd::LastSectorLost, Some(last), Some(before)) = (end, last, before) {
            self.durable.set_sector(last, &before);
        }
    }

    /// What is found after the power went: of each dirty sector so many in a hundred are new, and one may be torn.
    pub(crate) fn cut(&mut self, new_percent: u32, rng: &mut fastrand::Rng) {
        let mut chance = |percent| rng.u32(..100) < percent;
        if let Some(size) = self.shrunk_to.take()
            && chance(new_percent)
        {
            self.durable.truncate(size);
            self.durable_size = self.durable_size.min(size);
        }
        if chance(new_percent) {
            self.durable_size = self.size;
        }
        let dirty: Vec<u64> = std::mem::take(&mut self.dirty)
            .iter()
            .flat_map(|(page, mask)| {
                let bits = (0..PAGE_SECTORS as u64).filter(move |bit| mask & (1 << bit) != 0);
                bits.map(move |bit| page * PAGE_SECTORS as u64 + bit)
            })
            .collect();
        let torn = (!dirty.is_empty() && chance(60)).then(|| dirty[rng.usize(..dirty.len())]);
        for sector in dirty {
            let (mut new, old) = (self.cached.sector(sector), self.durable.sector(sector));
            if torn == Some(sector) {
                // Torn where it matters: among the bytes that differ.
                let first = (0..SECTOR_BYTES).find(|&at| new[at] != old[at]).unwrap_or(0);
                let last = (0..SECTOR_BYTES).rev().find(|&at| new[at] != old[at]).unwrap_or(0);
                let at = rng.usize(first..=last);
                new[at..].copy_from_slice(&old[at..]);
            } else if rng.u32(..100) >= new_percent {
                continue;
            }
            self.durable.set_sector(sector, &new);
        }
        self.durable.truncate(self.durable_size);
        self.cached = self.durable.clone();
        self.size = self.durable_size;
    }

    /// Makes a sector unreadable, until it is written.
    pub(crate) fn spoil(&mut self, sector: u64) {
        self.unreadable.insert(sector);
    }

    /// Bytes of room taken or promised.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.cached.room_bytes().max(self.reserved)
    }

    fn is_dirty(&self, sector: u64) -> bool {
        let mask = self.dirty.get(&(sector / PAGE_SECTORS as u64)).copied().unwrap_or_default();
        mask & (1 << (sector % PAGE_SECTORS as u64)) != 0
    }
}

/// The numbers of the sectors that have these bytes.
fn sectors(offset: u64, length: u64) -> std::ops::Range<u64> {
    let first = offset / SECTOR_BYTES as u64;
    first..if length == 0 { first } else { (offset + length).div_ceil(SECTOR_BYTES as u64) }
}
