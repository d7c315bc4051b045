//! What a tenant is asked when there are too many orders in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

/// A request to evict orders.
pub(crate) struct EvictionRequest {
    /// How many.
    pub(crate) ticket: EvictionTicket,
    /// Evict no younger ones: another tenant has older ones.
    pub(crate) until: Option<Instant>,
    /// How often it was passed on.
    pub(crate) hops: usize,
}

/// Orders that count as leaving, until this is dropped.
pub(crate) struct EvictionTicket {
    /// How many leave of all the node's.
    leaving: Arc<AtomicUsize>,
    count: usize,
    /// Orders that were asked, and had work.
    pub(crate) tries: u8,
}

impl EvictionTicket {
    /// So many more leave.
    pub(crate) fn new(leaving: Arc<AtomicUsize>, count: usize) -> Self {
        leaving.fetch_add(count, Ordering::Relaxed);
        Self { leaving, count, tries: 0 }
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// One of them, if there is one.
    pub(crate) fn take_one(&mut self) -> Option<Self> {
        self.count = self.count.checked_sub(1)?;
        Some(Self { leaving: self.leaving.clone(), count: 1, tries: self.tries })
    }
}

impl Drop for EvictionTicket {
    fn drop(&mut self) {
        self.leaving.fetch_sub(self.count, Ordering::Relaxed);
    }
}
