//! Permits at the door: what callers hold of their tenant's and the node's room while they wait for an outcome.
//!
//! A permit ends with its caller's wait, and with the time that its partition's log takes longer than it should
//! ([`crate::held`]): what stays in mailboxes then is bounded by partition, which is what can fail.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use retailflow_config::Admission;
use retailflow_engine::ids::{PartitionId, TenantId};
use retailflow_engine::wire::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a command takes of its tenant's and the node's room while somebody waits for its outcome.
#[derive(Debug)]
pub(crate) struct Permit {
    _share: OwnedSemaphorePermit,
    _tenant: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
    _background: Option<[OwnedSemaphorePermit; 2]>,
}

/// The limits of one tenant: all of its permits, the half of them for background work, and a share for each partition.
struct TenantLimiter {
    max: usize,
    all: Arc<Semaphore>,
    background: Arc<Semaphore>,
    /// Of each partition: the part of the room that commands for it may take.
    shares: Vec<OnceLock<Arc<Semaphore>>>,
}

impl TenantLimiter {
    fn new(max: usize, partitions: u16) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let shares = (0..partitions).map(|_| OnceLock::new()).collect();
        Self { max, all: semaphore(max), background: semaphore(half(max)), shares }
    }

    fn share(&self, partition: PartitionId) -> Arc<Semaphore> {
        let make = || Arc::new(Semaphore::new(share(self.max, self.shares.len())));
        self.shares.get(usize::from(partition.0)).map_or_else(make, |made| made.get_or_init(make).clone())
    }
}

fn half(room: usize) -> usize {
    room.div_ceil(2)
}

/// How much of a room the commands for one of so many partitions may take: what happens to one leaves room for the others.
pub(crate) fn share(room: usize, partitions: usize) -> usize {
    if partitions > 1 { (room - room / 4).max(1) } else { room }
}

/// Admission control of a node: a bulkhead for the node and one for each tenant.
pub(crate) struct AdmissionControl {
    node: Arc<Semaphore>,
    /// Half of the permits: background work, which waits for permits, never takes all of them from callers that fail fast.
    background: Arc<Semaphore>,
    node_max: usize,
    tenant_max: usize,
    partitions: u16,
    retry_after_ms: u64,
    tenants: Mutex<HashMap<TenantId, Arc<TenantLimiter>>>,
    closed: AtomicBool,
    /// Actors of any kind that failed, for the run's summary.
    pub(crate) crashes: AtomicU64,
}

impl AdmissionControl {
    pub(crate) fn new(admission: &Admission, partitions: u16) -> Self {
        Self {
            node: Arc::new(Semaphore::new(admission.in_flight_max)),
            background: Arc::new(Semaphore::new(half(admission.in_flight_max))),
            node_max: admission.in_flight_max,
            tenant_max: admission.tenant_in_flight_max,
            partitions: partitions.max(1),
            retry_after_ms: admission.retry_after_ms,
            tenants: Mutex::default(),
            closed: AtomicBool::new(false),
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

    fn tenant(&self, tenant: &TenantId, in_flight_max: Option<u32>) -> Arc<TenantLimiter> {
        let max = in_flight_max.map_or(self.tenant_max, |max| (max as usize).clamp(1, self.node_max));
        let mut tenants = self.tenants.lock();
        match tenants.get(tenant) {
            // An operator may have set another limit meanwhile: what was let in under the old one leaves the old room.
            Some(room) if room.max == max => room.clone(),
            _ => {
                // Entries of idle tenants are dropped before the map grows beyond what can be busy at once.
                if tenants.len() > self.node_max {
                    tenants.retain(|_, room| Arc::strong_count(&room.all) > 1 || Arc::strong_count(room) > 1);
                }
                let room = Arc::new(TenantLimiter::new(max, self.partitions));
                tenants.insert(tenant.clone(), room.clone());
                room
            }
        }
    }

    /// Why nothing of this tenant would be let in at this moment.
    pub(crate) fn refusal(&self, tenant: &TenantId) -> Option<Code> {
        if self.is_closed() {
            return Some(Code::Draining);
        }
        if self.node.available_permits() == 0 {
            return Some(Code::Overloaded);
        }
        let full = self.tenants.lock().get(tenant).is_some_and(|room| room.all.available_permits() == 0);
        full.then_some(Code::Throttled)
    }

    /// Lets a command in at once or says why not. The narrower room first: nothing wide is held for want of something narrow.
    pub(crate) fn try_enter(
        &self,
        tenant: &TenantId,
        in_flight_max: Option<u32>,
        partition: PartitionId,
    ) -> Result<Permit, Code> {
        if self.is_closed() {
            return Err(Code::Draining);
        }
        let room = self.tenant(tenant, in_flight_max);
        let of_share = room.share(partition).try_acquire_owned().map_err(|_| Code::Throttled)?;
        let of_tenant = room.all.clone().try_acquire_owned().map_err(|_| Code::Throttled)?;
        let of_node = self.node.clone().try_acquire_owned().map_err(|_| Code::Overloaded)?;
        Ok(Permit { _share: of_share, _tenant: of_tenant, _node: of_node, _background: None })
    }

    /// Lets a command in as soon as there is room: back-pressure for a reader that can wait. `shares`: it has half of the room
    /// at most, so that others get in beside it. Nothing of the node's is held while it waits for its tenant's.
    pub(crate) async fn enter(
        &self,
        tenant: &TenantId,
        in_flight_max: Option<u32>,
        partition: PartitionId,
        shares: bool,
    ) -> Result<Permit, Code> {
        let draining = |_| Code::Draining;
        let room = self.tenant(tenant, in_flight_max);
        let background_of_tenant = match shares {
            true => Some(room.background.clone().acquire_owned().await.map_err(draining)?),
            false => None,
        };
        let of_share = room.share(partition).acquire_owned().await.map_err(draining)?;
        let of_tenant = room.all.clone().acquire_owned().await.map_err(draining)?;
        let background = match background_of_tenant {
            Some(of_tenant) => {
                Some([of_tenant, self.background.clone().acquire_owned().await.map_err(draining)?])
            }
            None => None,
        };
        let of_node = self.node.clone().acquire_owned().await.map_err(draining)?;
        if self.is_closed() {
            return Err(Code::Draining);
        }
        Ok(Permit { _share: of_share, _tenant: of_tenant, _node: of_node, _background: background })
    }

    /// Permits given out: commands admitted for whose outcome somebody waits.
    pub(crate) fn in_flight(&self) -> usize {
        self.node_max.saturating_sub(self.node.available_permits())
    }

    /// Waits until every permit is back.
    pub(crate) async fn drained(&self) {
        let all = u32::try_from(self.node_max).unwrap_or(u32::MAX);
        // An error would mean that the semaphore was closed, which nobody does.
        drop(self.node.acquire_many(all).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: PartitionId = PartitionId(0);

    fn admission(in_flight_max: usize, tenant_in_flight_max: usize) -> AdmissionControl {
        let admission = retailflow_config::Config::default().admission;
        AdmissionControl::new(&Admission { in_flight_max, tenant_in_flight_max, ..admission }, 1)
    }

    #[test]
    fn a_tenants_limit_that_is_set_while_it_has_commands_under_way_holds_at_once() {
        let (admission, tenant) = (admission(16, 2), TenantId::parse("shop").unwrap());
        let under_way: Vec<_> = (0..2).map(|_| admission.try_enter(&tenant, None, HERE).unwrap()).collect();
        assert_eq!(admission.try_enter(&tenant, None, HERE).unwrap_err(), Code::Throttled);
        let more: Vec<_> = (0..4).map(|_| admission.try_enter(&tenant, Some(4), HERE).unwrap()).collect();
        assert_eq!(admission.try_enter(&tenant, Some(4), HERE).unwrap_err(), Code::Throttled);
        drop((under_way, more));
        let _one = admission.try_enter(&tenant, Some(1), HERE).unwrap();
        assert_eq!(admission.try_enter(&tenant, Some(1), HERE).unwrap_err(), Code::Throttled);
    }

    /// Who waits for its own tenant's room holds nothing of the node's meanwhile.
    #[tokio::test(start_paused = true)]
    async fn a_tenant_at_its_limit_keeps_no_other_from_the_nodes_room() {
        let admission = admission(4, 2);
        let (busy, other) = (TenantId::parse("busy").unwrap(), TenantId::parse("other").unwrap());
        let _all: Vec<_> = (0..2).map(|_| admission.try_enter(&busy, None, HERE).unwrap()).collect();
        let mut waiting = Vec::new();
        for _ in 0..8 {
            let mut enters = Box::pin(admission.enter(&busy, None, HERE, true));
            assert!(futures_util::poll!(&mut enters).is_pending());
            waiting.push(enters);
        }
        let mut enters = std::pin::pin!(admission.enter(&other, None, HERE, true));
        assert!(futures_util::poll!(&mut enters).is_ready());
    }
}
