//! Permits from intake to actor: they are what bounds every mailbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use retailflow_config::Admission;
use retailflow_engine::ids::TenantId;
use retailflow_engine::wire::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::held::Within;

/// Held by a command from the door until it is answered or dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _node: OwnedSemaphorePermit,
    _tenant: OwnedSemaphorePermit,
    _patient: Option<[OwnedSemaphorePermit; 2]>,
    within: Option<Within>,
}

impl Permit {
    /// It is for a command of this partition.
    pub(crate) fn within(mut self, within: Within) -> Self {
        self.within = Some(within);
        self
    }
}

/// A tenant's room, and the half of it that is open to what waits.
struct Room {
    all: Arc<Semaphore>,
    patient: Arc<Semaphore>,
}

fn half(room: usize) -> usize {
    room.div_ceil(2)
}

/// The gate in front of a node: a bulkhead for the node and one for each tenant.
pub(crate) struct Gate {
    node: Arc<Semaphore>,
    /// Half of the room: what waits for it never takes all from those who are refused when there is none.
    patient: Arc<Semaphore>,
    node_max: usize,
    tenant_max: usize,
    retry_after_ms: u64,
    tenants: Mutex<HashMap<TenantId, Arc<Room>>>,
    closed: AtomicBool,
    /// Live orders on the node, held here because all tenants share the limit.
    pub(crate) live: AtomicUsize,
    /// Actors of any kind that failed, for the run's summary.
    pub(crate) crashes: AtomicU64,
}

impl Gate {
    pub(crate) fn new(admission: &Admission) -> Self {
        Self {
            node: Arc::new(Semaphore::new(admission.in_flight_max)),
            patient: Arc::new(Semaphore::new(half(admission.in_flight_max))),
            node_max: admission.in_flight_max,
            tenant_max: admission.tenant_in_flight_max,
            retry_after_ms: admission.retry_after_ms,
            tenants: Mutex::default(),
            closed: AtomicBool::new(false),
            live: AtomicUsize::new(0),
            crashes: AtomicU64::new(0),
        }
    }

    pub(crate) fn retry_after_ms(&self) -> u64 {
        self.retry_after_ms
    }

    /// From now on everything new is refused as `draining`.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn tenant(&self, tenant: &TenantId, in_flight_max: Option<u32>) -> Arc<Room> {
        let max = in_flight_max.map_or(self.tenant_max, |max| (max as usize).clamp(1, self.node_max));
        let mut tenants = self.tenants.lock();
        match tenants.get(tenant) {
            Some(room) => room.clone(),
            None => {
                // Entries of idle tenants are dropped before the map grows beyond what can be busy at once.
                if tenants.len() > self.node_max {
                    tenants.retain(|_, room| Arc::strong_count(&room.all) > 1 || Arc::strong_count(room) > 1);
                }
                let semaphore = |permits| Arc::new(Semaphore::new(permits));
                let room = Arc::new(Room { all: semaphore(max), patient: semaphore(half(max)) });
                tenants.insert(tenant.clone(), room.clone());
                room
            }
        }
    }

    /// Why nothing of this tenant would be let in at this moment.
    pub(crate) fn is_full(&self, tenant: &TenantId) -> Option<Code> {
        if self.is_closed() {
            return Some(Code::Draining);
        }
        if self.node.available_permits() == 0 {
            return Some(Code::Overloaded);
        }
        let full = self.tenants.lock().get(tenant).is_some_and(|room| room.all.available_permits() == 0);
        full.then_some(Code::Throttled)
    }

    /// Lets a command in at once or says why not.
    pub(crate) fn try_enter(&self, tenant: &TenantId, in_flight_max: Option<u32>) -> Result<Permit, Code> {
        if self.is_closed() {
            return Err(Code::Draining);
        }
        let room = self.tenant(tenant, in_flight_max);
        let of_tenant = room.all.clone().try_acquire_owned().map_err(|_| Code::Throttled)?;
        let of_node = self.node.clone().try_acquire_owned().map_err(|_| Code::Overloaded)?;
        Ok(Permit { _node: of_node, _tenant: of_tenant, _patient: None, within: None })
    }

    /// Lets a command in as soon as there is room: back-pressure for a reader that can wait. `shares`: it has half of the room
    /// at most, so that others get in beside it.
    pub(crate) async fn enter(
        &self,
        tenant: &TenantId,
        in_flight_max: Option<u32>,
        shares: bool,
    ) -> Result<Permit, Code> {
        let draining = |_| Code::Draining;
        let room = self.tenant(tenant, in_flight_max);
        let patient = match shares {
            true => {
                let of_tenant = room.patient.clone().acquire_owned().await.map_err(draining)?;
                Some([of_tenant, self.patient.clone().acquire_owned().await.map_err(draining)?])
            }
            false => None,
        };
        let of_tenant = room.all.clone().acquire_owned().await.map_err(draining)?;
        let of_node = self.node.clone().acquire_owned().await.map_err(draining)?;
        if self.is_closed() {
            return Err(Code::Draining);
        }
        Ok(Permit { _node: of_node, _tenant: of_tenant, _patient: patient, within: None })
    }

    /// Commands admitted and not answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.node_max.saturating_sub(self.node.available_permits())
    }

    /// Waits until every admitted command is answered or dropped.
    pub(crate) async fn drained(&self) {
        let all = u32::try_from(self.node_max).unwrap_or(u32::MAX);
        // An error would mean that the semaphore was closed, which nobody does.
        drop(self.node.acquire_many(all).await);
    }
}
