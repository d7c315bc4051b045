//! Long orders as readers last saw them.
//!
//! A snapshot of an order with very many decisions is a megabyte, most of it ids of commands that no reader needs. Read for each
//! of many callers at once, it costs each thread that reads a few megabytes, which the allocator keeps for it. What is
//! kept here has no ids, and is no state to decide on; the log says whether it is still so ([`crate::order_reader`]).

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::order::Aggregate;

/// Orders kept. Each is no larger than a few commands: some kilobytes, a megabyte at most.
const ORDERS_MAX: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// The orders that were looked at last, of those that are long.
pub(crate) struct OrderCache(Mutex<LruCache<OrderRef, Arc<Aggregate>>>);

impl Default for OrderCache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ORDERS_MAX)))
    }
}

impl OrderCache {
    /// The order as it once was.
    pub(crate) fn at(&self, order: &OrderRef) -> Option<Arc<Aggregate>> {
        self.orders().get(order).cloned()
    }

    /// Keeps it, unless a later state is there.
    pub(crate) fn keep(&self, seen: &Arc<Aggregate>) {
        let mut orders = self.orders();
        if orders.get(&seen.reference).is_none_or(|kept| kept.revision < seen.revision) {
            orders.put(seen.reference.clone(), Arc::clone(seen));
        }
    }

    /// The log does not know it.
    pub(crate) fn drop(&self, order: &OrderRef) {
        self.orders().pop(order);
    }

    fn orders(&self) -> std::sync::MutexGuard<'_, LruCache<OrderRef, Arc<Aggregate>>> {
        // A panic leaves nothing half done here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
