//! The bytes of a file in pages; what is missing is zeros.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The unit in which a disk writes, in bytes.
pub const SECTOR_BYTES: usize = 512;
/// The unit in which a kernel caches and writes back, in bytes.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Sectors in a page.
pub(crate) const PAGE_SECTORS: usize = PAGE_BYTES / SECTOR_BYTES;

pub(crate) type Sector = [u8; SECTOR_BYTES];
type Page = Arc<[u8; PAGE_BYTES]>;

/// Segments are filled with zeros ahead: all of them share one page.
static ZEROS: LazyLock<Page> = LazyLock::new(|| Arc::new([0; PAGE_BYTES]));

/// Pages by number. Clones share them until one is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages(BTreeMap<u64, Page>);

impl Pages {
    /// Fills `out` with what stands at `offset`.
    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) {
        each_page(offset, out.len(), |number, within, at| {
            let length = within.len();
            let out = &mut out[at..at + length];
            match self.0.get(&number) {
                Some(page) => out.copy_from_slice(&page[within]),
                None => out.fill(0),
            }
        });
    }

    /// Puts `bytes` at `offset`.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        each_page(offset, bytes.len(), |number, within, at| {
            let part = &bytes[at..at + within.len()];
            if part.len() == PAGE_BYTES && *part == **ZEROS {
                self.0.insert(number, Arc::clone(&ZEROS));
                return;
            }
            let page = self.0.entry(number).or_insert_with(|| Arc::clone(&ZEROS));
            Arc::make_mut(page)[within].copy_from_slice(part);
        });
    }

    /// The sector of that number.
    pub(crate) fn sector(&self, number: u64) -> Sector {
        let mut sector = [0; SECTOR_BYTES];
        self.read(number * SECTOR_BYTES as u64, &mut sector);
        sector
    }

    /// Makes a sector this one.
    pub(crate) fn set_sector(&mut self, number: u64, sector: &Sector) {
        self.write(number * SECTOR_BYTES as u64, sector);
    }

    /// Takes the whole page of that number from `other`.
    pub(crate) fn take_page(&mut self, other: &Self, number: u64) {
        match other.0.get(&number) {
            Some(page) => drop(self.0.insert(number, Arc::clone(page))),
            None => drop(self.0.remove(&number)),
        }
    }

    /// Drops everything from `size` bytes on.
    pub(crate) fn truncate(&mut self, size: u64) {
        let within = (size % PAGE_BYTES as u64) as usize;
        drop(self.0.split_off(&size.div_ceil(PAGE_BYTES as u64)));
        if within > 0
            && let Some(page) = self.0.get_mut(&(size / PAGE_BYTES as u64))
        {
            Arc::make_mut(page)[within..].fill(0);
        }
    }

    /// Whether the page that has this byte takes room already.
    pub(crate) fn has(&self, offset: u64) -> bool {
        self.0.contains_key(&(offset / PAGE_BYTES as u64))
    }

    /// Bytes of room taken.
    pub(crate) fn room_bytes(&self) -> u64 {
        (self.0.len() * PAGE_BYTES) as u64
    }
}

/// Calls with each page's number, the range within it, and where that begins among the `length` bytes.
fn each_page(offset: u64, length: usize, mut call: impl FnMut(u64, std::ops::Range<usize>, usize)) {
    let mut at = 0;
    while at < length {
        let position = offset + at as u64;
        let start = (position % PAGE_BYTES as u64) as usize;
        let end = PAGE_BYTES.min(start + length - at);
        call(position / PAGE_BYTES as u64, start..end, at);
        at += end - start;
    }
}
