//! Places at the ask door: a tenant's share first, then the door's. One that asks without end leaves the other half to all others.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use retailflow_engine::wire::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much of all there is one tenant may have.
const SHARE: usize = 2;

/// The places of a door.
pub(super) struct Places {
    all: Arc<Semaphore>,
    each_max: usize,
    /// Only tenants that have any.
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    tenant: String,
    taken: Arc<Mutex<HashMap<String, usize>>>,
    _all: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        let all = Arc::new(Semaphore::new(max.max(1)));
        Self { all, each_max: max.div_ceil(SHARE).max(1), taken: Arc::default() }
    }

    /// # Errors
    /// `throttled` where the tenant has its share, `overloaded` where all are taken.
    pub(super) fn take(&self, tenant: &str) -> Result<Place, Code> {
        let mut taken = self.taken.lock();
        let count = taken.get(tenant).copied().unwrap_or(0);
        if count >= self.each_max {
            return Err(Code::Throttled);
        }
        let all = self.all.clone().try_acquire_owned().map_err(|_| Code::Overloaded)?;
        taken.insert(tenant.to_owned(), count + 1);
        Ok(Place { tenant: tenant.to_owned(), taken: self.taken.clone(), _all: all })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        match taken.get_mut(&self.tenant) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_leaves_half_to_the_others_and_gives_all_back() {
        let places = Places::new(4);
        let held: Vec<_> = (0..2).map(|_| places.take("flood").ok().unwrap()).collect();
        assert_eq!(places.take("flood").err(), Some(Code::Throttled));
        let others: Vec<_> = ["shop", "till"].map(|tenant| places.take(tenant).ok().unwrap()).into();
        assert_eq!(places.take("market").err(), Some(Code::Overloaded));
        drop((held, others));
        assert!(places.taken.lock().is_empty());
        assert!(Places::new(1).take("shop").is_ok());
    }
}
