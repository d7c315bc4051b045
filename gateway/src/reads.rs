//! How reads share the node: so many of one order, of one tenant, and of all.
//!
//! - Each read is a task of its own that holds its permits to its end: a caller who leaves earlier does not make room for one
//!   more than the limit.
//! - A read whose caller has gone ends with the piece that it is at ([`CallerGone`]): nobody waits for the rest.

use std::future::Future;

use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::wire::Code;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use std::sync::Arc;

use crate::answer::Refusal;
use crate::read_failure::timed_out;
use crate::shares::{Shares, share_of};

/// Reads of one order at once: a long one keeps memory and a thread for as long as it takes.
const ORDER_MAX: usize = 2;
/// Reads of one tenant at once, at least: one that hangs does not stop the tenant's others.
const TENANT_MIN: usize = 2;

/// The reads of one door.
pub(crate) struct Reads {
    orders: Shares<OrderRef>,
    tenants: Shares<TenantId>,
    all: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// Whether the caller has gone.
#[derive(Clone)]
pub(crate) struct CallerGone(CancellationToken);

impl CallerGone {
    /// # Errors
    /// When nobody waits any more.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.0.is_cancelled() { Err(timed_out()) } else { Ok(()) }
    }
}

impl Reads {
    pub(crate) fn new(max: usize, tenant_percent: usize) -> Self {
        Self {
            orders: Shares::new(ORDER_MAX),
            tenants: Shares::new(share_of(max, tenant_percent, TENANT_MIN)),
            all: Arc::new(Semaphore::new(max)),
            tasks: TaskTracker::new(),
        }
    }

    /// Waits for its turn, and for the read, until `until`.
    pub(crate) async fn run<T, F>(
        &self,
        until: Instant,
        tenant: &TenantId,
        order: Option<&OrderRef>,
        read: impl FnOnce(CallerGone) -> F,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let turn = async {
            let of_order = match order {
                Some(order) => Some(self.orders.take(order).await?),
                None => None,
            };
            let of_tenant = self.tenants.take(tenant).await?;
            Some((of_order, of_tenant, Arc::clone(&self.all).acquire_owned().await.ok()?))
        };
        // No semaphore is ever closed; were one, nothing could be read either.
        let Ok(Some(permits)) = timeout_at(until, turn).await else {
            let text = "more is being read than the node can take; ask again, later";
            return Err(Refusal::new(Code::Overloaded, text));
        };
        let gone = CancellationToken::new();
        let _caller = gone.clone().drop_guard();
        let read = read(CallerGone(gone));
        let task = self.tasks.spawn(async move {
            let done = read.await;
            drop(permits);
            done
        });
        match timeout_at(until, task).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(Refusal::internal()),
            Err(_) => Err(timed_out()),
        }
    }

    /// Waits for reads whose callers have gone.
    pub(crate) async fn end(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
