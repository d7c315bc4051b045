//! The small stores in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock};

use crate::ids::{OrderRef, TenantId};
use crate::keys::sha256;
use crate::ports::{
    Body, CommandInbox, DeadLetter, DeadLetters, Delivery, InboxError, InboxId, PortFuture, Snapshots,
    StoreError, StoredDeadLetter, TenantSetting, Tenants,
};

/// Tenants in memory.
#[derive(Default)]
pub struct MemoryTenants(RwLock<BTreeMap<TenantId, TenantSetting>>);

impl Tenants for MemoryTenants {
    fn get(&self, tenant: &TenantId) -> Option<TenantSetting> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    fn put(&self, setting: TenantSetting) -> PortFuture<'_, Result<(), StoreError>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(setting.tenant.clone(), setting);
        Box::pin(async { Ok(()) })
    }

    fn list(&self) -> Vec<TenantSetting> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Dead letters in memory.
#[derive(Default)]
pub struct MemoryDeadLetters(Mutex<Vec<DeadLetter>>);

impl DeadLetters for MemoryDeadLetters {
    fn put(&self, letter: DeadLetter) -> PortFuture<'_, Result<(), StoreError>> {
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !letters.iter().any(|stored| stored.key == letter.key) {
            letters.push(letter);
        }
        Box::pin(async { Ok(()) })
    }

    fn list(&self, after: u64, limit: usize) -> PortFuture<'_, Result<Vec<StoredDeadLetter>, StoreError>> {
        let letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = (1u64..).zip(letters.iter()).filter(|(position, _)| *position > after);
        let list = numbered
            .take(limit)
            .map(|(position, letter)| StoredDeadLetter { position, letter: letter.clone() });
        let list = list.collect();
        Box::pin(async move { Ok(list) })
    }
}

/// Snapshots in memory.
#[derive(Default)]
pub struct MemorySnapshots(Mutex<BTreeMap<OrderRef, Vec<u8>>>);

impl Snapshots for MemorySnapshots {
    fn load<'a>(&'a self, order: &'a OrderRef) -> PortFuture<'a, Option<Vec<u8>>> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(order).cloned();
        Box::pin(async move { found })
    }

    fn save(&self, order: &OrderRef, bytes: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(order.clone(), bytes);
    }
}

/// A fixed list of commands.
pub struct MemoryInbox {
    id: InboxId,
    bodies: Vec<Body>,
    next: usize,
}

impl MemoryInbox {
    /// An inbox named `name` that holds `bodies`.
    #[must_use]
    pub fn new(name: &str, bodies: Vec<Body>) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&sha256(name.as_bytes())[..16]);
        Self { id, bodies, next: 0 }
    }
}

impl MemoryInbox {
    fn read(&self, from: usize, count: usize) -> Vec<Delivery> {
        let numbered = (1u64..).zip(&self.bodies).skip(from).take(count);
        numbered.map(|(position, body)| Delivery { position, body: body.clone() }).collect()
    }
}

impl CommandInbox for MemoryInbox {
    fn id(&self) -> InboxId {
        self.id
    }

    fn next(&mut self, max: usize) -> PortFuture<'_, Result<Vec<Delivery>, InboxError>> {
        Box::pin(async move {
            let from = self.next;
            self.next = (from + max).min(self.bodies.len());
            Ok(self.read(from, self.next - from))
        })
    }

    fn reads_again(&self) -> bool {
        true
    }

    fn again(
        &mut self,
        after: u64,
        up_to: u64,
        max: usize,
    ) -> PortFuture<'_, Result<Vec<Delivery>, InboxError>> {
        Box::pin(async move {
            let given = usize::try_from(up_to).unwrap_or(usize::MAX).min(self.next);
            let from = usize::try_from(after).unwrap_or(usize::MAX);
            Ok(self.read(from, given.saturating_sub(from).min(max)))
        })
    }
}
