//! Snapshots, dead letters and tenants that lose, are late, and fail before or after they have done their work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId, TimestampMs};
use retailflow_engine::memory::{MemoryDeadLetters, MemoryLog, MemoryTenants};
use retailflow_engine::ports::{
    DeadLetter, DeadLetters, Deadlines, DueOrder, PortFuture, Snapshots, StoreError, StoredDeadLetter,
    TenantSetting, Tenants,
};

use crate::faults::{Fault, FaultDeck};

/// Snapshots of which some are lost and some are old.
pub(crate) struct FaultySnapshots {
    deck: Arc<FaultDeck>,
    saved: Mutex<BTreeMap<OrderRef, Vec<Vec<u8>>>>,
}

impl FaultySnapshots {
    pub(crate) fn new(deck: Arc<FaultDeck>) -> Self {
        Self { deck, saved: Mutex::default() }
    }
}

impl Snapshots for FaultySnapshots {
    fn load<'a>(&'a self, order: &'a OrderRef) -> PortFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let fault = self.deck.store();
            tokio::time::sleep(Duration::from_millis(self.deck.latency_ms() / 4)).await;
            let saved = self.saved.lock();
            let all = saved.get(order)?;
            match fault {
                Some(Fault::Before) => None,
                Some(_) => all.first().cloned(),
                None => all.last().cloned(),
            }
        })
    }

    fn save(&self, order: &OrderRef, bytes: Vec<u8>) {
        if self.deck.store().is_none() {
            self.saved.lock().entry(order.clone()).or_default().push(bytes);
        }
    }
}

/// Runs `work` unless the fault comes before it; tells of failure when there is one.
async fn fail<T>(
    fault: Option<Fault>,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let failed = || StoreError::Unavailable("the world wants it so".into());
    match fault {
        None => work.await,
        Some(Fault::Before) => Err(failed()),
        Some(_) => work.await.and(Err(failed())),
    }
}

/// Dead letters that are sometimes not stored, and sometimes stored without saying so.
pub(crate) struct FaultyDeadLetters {
    pub(crate) deck: Arc<FaultDeck>,
    pub(crate) inner: MemoryDeadLetters,
}

impl DeadLetters for FaultyDeadLetters {
    fn put(&self, letter: DeadLetter) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(fail(self.deck.store(), self.inner.put(letter)))
    }

    fn list(&self, after: u64, limit: usize) -> PortFuture<'_, Result<Vec<StoredDeadLetter>, StoreError>> {
        self.inner.list(after, limit)
    }
}

/// Tenants, likewise.
pub(crate) struct FaultyTenants {
    pub(crate) deck: Arc<FaultDeck>,
    pub(crate) inner: MemoryTenants,
}

impl Tenants for FaultyTenants {
    fn get(&self, tenant: &TenantId) -> Option<TenantSetting> {
        self.inner.get(tenant)
    }

    fn put(&self, setting: TenantSetting) -> PortFuture<'_, Result<(), StoreError>> {
        let fault = self.deck.store();
        Box::pin(async move { fail(fault, async { self.inner.put(setting).await }).await })
    }

    fn list(&self) -> Vec<TenantSetting> {
        self.inner.list()
    }
}

/// The index of deadlines, which cannot always be read.
pub(crate) struct FaultyDeadlines {
    pub(crate) deck: Arc<FaultDeck>,
    pub(crate) inner: Arc<MemoryLog>,
}

impl Deadlines for FaultyDeadlines {
    fn list(
        &self,
        partition: PartitionId,
        after: Option<&DueOrder>,
        until: TimestampMs,
        limit: usize,
    ) -> PortFuture<'_, Result<Vec<DueOrder>, StoreError>> {
        if self.deck.read() {
            return Box::pin(async { Err(StoreError::Unavailable("the world wants it so".into())) });
        }
        self.inner.list(partition, after, until, limit)
    }
}
