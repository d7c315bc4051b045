//! The releases that go on at one tenant.

use std::collections::HashMap;
use std::sync::Arc;

use ractor::ActorRef;
use retailflow_engine::ids::{OrderId, OrderRef};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::drainer::Drainer;
use crate::context::OrderContext;
use crate::messages::{Crash, DrainCommand, ReleaseCounts, ReleaseError, TenantMsg};

/// The releases that go on at one tenant. They end with it.
#[derive(Default)]
pub(crate) struct Releases {
    going_on: HashMap<OrderId, (mpsc::Sender<Crash>, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Releases {
    pub(crate) fn crashed(&self, order: &OrderId, crash: Crash) {
        if let Some((drainer, _)) = self.going_on.get(order) {
            // A drainer that does not wait for it ignores it.
            drop(drainer.try_send(crash));
        }
    }

    pub(crate) fn is_going_on(&self, order: &OrderId) -> bool {
        self.going_on.get(order).is_some_and(|(drainer, _)| !drainer.is_closed())
    }

    /// The releases of orders that leave are aborted. What one had read of an order's queue must not be taken for what the order has
    /// when it comes back: the mark may be another one by then.
    pub(crate) fn partition_released(&mut self, leaves: impl Fn(&OrderId) -> bool) {
        self.going_on.retain(|order, (_, task)| {
            let leaves = leaves(order);
            if leaves {
                task.abort();
            }
            !leaves
        });
    }

    /// Begins to release an order; `reply` gets the result.
    pub(crate) fn start(
        &mut self,
        shared: Arc<OrderContext>,
        tenant: ActorRef<TenantMsg>,
        (order, operator, discard): (OrderRef, Box<str>, bool),
        reply: oneshot::Sender<Result<ReleaseCounts, ReleaseError>>,
    ) {
        while self.tasks.try_join_next().is_some() {}
        let (crashed, crashes) = mpsc::channel(4);
        let going_on = order.order.clone();
        let released = ReleaseCounts::default();
        let mut drainer = Drainer { order, operator, discard, shared, tenant, crashes, after: 0, released };
        let task = self.tasks.spawn(async move {
            let ended = drainer.run().await;
            if let Err(error) = &ended {
                tracing::error!(event = "order_release_failed", order = %drainer.order, %error, "an order was not released");
                drop(drainer.send(DrainCommand::Aborted));
            }
            drop(reply.send(ended));
        });
        self.going_on.insert(going_on, (crashed, task));
    }

    /// It goes on no more.
    pub(crate) fn remove(&mut self, order: &OrderId) {
        self.going_on.remove(order);
    }
}
