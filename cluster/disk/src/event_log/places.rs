//! Where orders stand, as fast as memory allows.
//!
//! The index answers from memory for what changed lately and for most of what it has never seen. For the rest, orders that
//! were written, or read and so will probably be written, are remembered here, and those that were asked for and are not
//! there. What is not remembered either is read before a group goes to the writer ([`Places::unknown`]), beside it: a slow
//! disk then holds up those groups alone.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use retailflow_index::{Index, IndexError, Lookup, OrderKey, OrderPlace};

pub(super) struct Places {
    index: Arc<Index>,
    /// `None`: there is no such order. Never older than the index's disk for what the index's memory does not hold; see
    /// [`Places::read`].
    remembered: Mutex<LruCache<OrderKey, Option<OrderPlace>>>,
}

impl Places {
    pub(super) fn new(index: Arc<Index>, max: usize) -> Self {
        let max = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        Self { index, remembered: Mutex::new(LruCache::new(max)) }
    }

    /// What memory alone knows.
    pub(super) fn lookup(&self, key: &OrderKey) -> Lookup {
        self.index.lookup(key)
    }

    /// Whether there is no such order, as far as memory can tell. Memory only.
    pub(super) fn absent(&self, key: &OrderKey) -> bool {
        match self.index.lookup(key) {
            Lookup::Absent => true,
            Lookup::Found(_) => false,
            Lookup::AskDisk => self.remembered.lock().get(key) == Some(&None),
        }
    }

    /// Whether the disk must be asked for the order. Memory only.
    pub(super) fn unknown(&self, key: &OrderKey) -> bool {
        self.index.lookup(key) == Lookup::AskDisk && !self.remembered.lock().contains(key)
    }

    /// The place of an order, for the writer thread. Reads the disk only where what was read before has been forgotten or
    /// was overtaken by a flush.
    pub(super) fn current(&self, key: &OrderKey) -> Result<Option<OrderPlace>, IndexError> {
        match self.index.lookup(key) {
            Lookup::Found(place) => Ok(Some(place)),
            Lookup::Absent => Ok(None),
            Lookup::AskDisk => {
                if let Some(place) = self.remembered.lock().get(key) {
                    return Ok(*place);
                }
                self.index.lookup_blocking(key)
            }
        }
    }

    /// The place of an order, for a reader, remembered for the writer. May read the disk.
    ///
    /// A reader may be slow, and must not put back a place that the writer has replaced since. So it is remembered
    /// only if no set of changes left the index's memory since before the disk was read, and the index's memory still
    /// does not know the order: then no newer place exists. The writer remembers its own after the index knows it.
    pub(super) fn read(&self, key: &OrderKey) -> Result<Option<OrderPlace>, IndexError> {
        let flushes = self.index.flushes();
        let place = self.index.lookup_blocking(key)?;
        let mut remembered = self.remembered.lock();
        let unchanged = self.index.lookup(key) == Lookup::AskDisk && self.index.flushes() == flushes;
        if unchanged && !remembered.contains(key) {
            remembered.put(*key, place);
        }
        Ok(place)
    }

    /// New places that the index has taken in.
    pub(super) fn remember(&self, places: impl Iterator<Item = (OrderKey, OrderPlace)>) {
        let mut remembered = self.remembered.lock();
        for (key, place) in places {
            remembered.put(key, Some(place));
        }
    }
}
