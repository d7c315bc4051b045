//! Where orders' last records stand, for the orders written or read lately.

use lru::LruCache;
use retailflow_engine::ids::OrderRef;

/// An order's last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its sequence; 0 where the order has none.
    pub(super) sequence: u64,
    /// How many decisions the order has with it.
    pub(super) revision: u64,
}

/// The most recently used ones, up to a limit.
pub(super) struct Places {
    remembered: LruCache<OrderRef, Place>,
    max: usize,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        // Not `LruCache::new`, which takes the memory for all of them at once, for each partition.
        Self { remembered: LruCache::unbounded(), max: max.max(1) }
    }

    pub(super) fn get(&mut self, order: &OrderRef) -> Option<Place> {
        self.remembered.get(order).copied()
    }

    /// Remembers a place, unless a later one is known: a reader may be slow.
    pub(super) fn note(&mut self, order: &OrderRef, place: Place) {
        match self.remembered.get_mut(order) {
            Some(known) if known.sequence > place.sequence => {}
            Some(known) => *known = place,
            None => {
                self.remembered.put(order.clone(), place);
                if self.remembered.len() > self.max {
                    self.remembered.pop_lru();
                }
            }
        }
    }

    pub(super) fn forget(&mut self, order: &OrderRef) {
        self.remembered.pop(order);
    }

    pub(super) fn clear(&mut self) {
        self.remembered.clear();
    }
}

#[cfg(test)]
mod tests {
    use retailflow_testkit::author::order;

    use super::*;

    #[test]
    fn no_more_are_remembered_than_may_be_and_none_goes_back() {
        let mut places = Places::new(2);
        let [a, b, c] = ["a", "b", "c"].map(|name| order("shop", name));
        let place = |sequence| Place { sequence, revision: sequence };
        places.note(&a, place(5));
        places.note(&b, place(6));
        places.note(&a, place(4));
        assert_eq!(places.get(&a), Some(place(5)), "a slow reader's place is older");
        places.note(&c, place(7));
        assert_eq!(places.get(&b), None, "the least recently used one went");
        assert_eq!((places.get(&a), places.get(&c)), (Some(place(5)), Some(place(7))));
        places.forget(&a);
        assert_eq!(places.get(&a), None);
    }
}
