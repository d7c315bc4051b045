//! Shares of what is limited: so much of it for one tenant, one order or one address, so that who uses up theirs leaves
//! room to all others.
//!
//! A share is taken before the whole: nobody holds a part of the whole while waiting for their own.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Entries that are looked through for unused ones when there are so many.
const PRUNE_MIN: usize = 64;

/// At most so many at once for each of those who share.
pub(crate) struct Shares<K> {
    each_max: usize,
    all: Mutex<All<K>>,
}

struct All<K> {
    /// Only those in use, and a bounded number of others.
    shares: HashMap<K, Weak<Semaphore>>,
    prune_at: usize,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    pub(crate) fn new(each_max: usize) -> Self {
        Self { each_max, all: Mutex::new(All { shares: HashMap::new(), prune_at: PRUNE_MIN }) }
    }

    fn of(&self, key: &K) -> Arc<Semaphore> {
        // A panic leaves nothing half done here.
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = all.shares.get(key).and_then(Weak::upgrade) {
            return share;
        }
        if all.shares.len() >= all.prune_at {
            all.shares.retain(|_, share| share.strong_count() > 0);
            all.prune_at = PRUNE_MIN.max(all.shares.len() * 2);
        }
        let share = Arc::new(Semaphore::new(self.each_max));
        all.shares.insert(key.clone(), Arc::downgrade(&share));
        share
    }

    /// One of a share, if there is one now.
    pub(crate) fn try_take(&self, key: &K) -> Option<OwnedSemaphorePermit> {
        self.of(key).try_acquire_owned().ok()
    }

    /// One of a share, as soon as there is one.
    pub(crate) async fn take(&self, key: &K) -> Option<OwnedSemaphorePermit> {
        self.of(key).acquire_owned().await.ok()
    }
}

/// So many percent of the whole, at least `min` where there are as many.
pub(crate) fn share_of(whole: usize, percent: usize, min: usize) -> usize {
    (whole.saturating_mul(percent) / 100).clamp(min.min(whole), whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_unused_entries_go() {
        let shares = Shares::new(2);
        let held: Vec<_> = (0..2).map(|_| shares.try_take(&0).unwrap()).collect();
        assert!(shares.try_take(&0).is_none());
        for key in 1..1000 {
            assert!(shares.try_take(&key).is_some());
        }
        assert!(shares.all.lock().unwrap().shares.len() <= PRUNE_MIN);
        assert!(shares.try_take(&0).is_none(), "what is in use stays");
        drop(held);
        assert!(shares.try_take(&0).is_some());
    }

    #[test]
    fn a_share_is_a_part_of_the_whole() {
        assert_eq!((share_of(64, 25, 2), share_of(2, 25, 2), share_of(1, 25, 2)), (16, 2, 1));
        assert_eq!((share_of(100, 100, 1), share_of(3, 25, 1)), (100, 1));
    }
}
