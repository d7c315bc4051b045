//! Permits of those who read old events: so many of one tenant at once, and of all.
//!
//! A tenant's own permit is taken first. So one tenant never has more than its few in the queue of all, however many readers it
//! opens, and another one's first event waits for no more than those.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use retailflow_engine::ids::TenantId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Entries that are looked through for unused ones when there are so many.
const PRUNE_MIN: usize = 64;

/// Permits that readers take.
pub(super) struct ReaderPermits {
    each_max: usize,
    all: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
}

/// One of them, until it is dropped.
pub(super) struct ReaderPermit {
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl ReaderPermits {
    /// So many at once, half of them for one tenant at most.
    pub(super) fn new(max: usize) -> Arc<Self> {
        let each_max = (max / 2).max(1);
        Arc::new(Self { each_max, all: Arc::new(Semaphore::new(max)), tenants: Mutex::default() })
    }

    fn of(&self, tenant: &TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock();
        if let Some(own) = tenants.get(tenant).and_then(Weak::upgrade) {
            return own;
        }
        if tenants.len() >= PRUNE_MIN {
            tenants.retain(|_, own| own.strong_count() > 0);
        }
        let own = Arc::new(Semaphore::new(self.each_max));
        tenants.insert(tenant.clone(), Arc::downgrade(&own));
        own
    }

    /// A permit, as soon as there is one.
    ///
    /// # Errors
    /// Never: nobody closes them.
    pub(super) async fn take(self: Arc<Self>, tenant: TenantId) -> Result<ReaderPermit, AcquireError> {
        let of_tenant = self.of(&tenant).acquire_owned().await?;
        let of_all = Arc::clone(&self.all).acquire_owned().await?;
        Ok(ReaderPermit { _permits: (of_tenant, of_all) })
    }

    /// A permit, if there is one now.
    pub(super) fn try_take(&self, tenant: &TenantId) -> Option<ReaderPermit> {
        let of_tenant = self.of(tenant).try_acquire_owned().ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(ReaderPermit { _permits: (of_tenant, of_all) })
    }
}
