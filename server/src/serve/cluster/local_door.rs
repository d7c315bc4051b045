//! The node's own door, for what is its own: what it says from memory alone it says only while it surely is the owner.
//!
//! What is recorded is true whoever says it, and what is decided is proven by its fence. That an order is not known is neither: a
//! node that was frozen for a while may remember an order as absent that another one has placed since.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use retailflow_actors::NodeHandle;
use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{CommandDoor, EndParkingError, EventLog, Ownership, PortFuture};
use retailflow_engine::wire::admin::ReleaseReport;
use retailflow_engine::wire::{Code, CommandEvent, Outcome};
use tokio::time::{Instant, timeout};

/// Why a node that may be the owner no more says nothing.
const NOT_SURE: &str = "whether this node still runs the order's partition is not sure; ask again";
const RETRY_AFTER_MS: u64 = 500;

/// The door of this node alone.
pub(super) struct LocalDoor {
    node: NodeHandle,
    log: Arc<dyn EventLog>,
    partitions: u16,
    /// Known once the node has joined; before that it runs nothing.
    ownership: OnceLock<Arc<dyn Ownership>>,
}

impl LocalDoor {
    pub(super) fn new(node: NodeHandle, log: Arc<dyn EventLog>) -> Self {
        Self { node, partitions: log.identity().partitions, log, ownership: OnceLock::new() }
    }

    /// The node has joined.
    pub(super) fn joined(&self, ownership: Arc<dyn Ownership>) {
        // It joins once.
        let _ = self.ownership.set(ownership);
    }

    pub(super) fn holds(&self, order: &OrderRef) -> bool {
        self.node.accepts(order)
    }

    /// Whether it is so, beyond this node's memory: as the log says, or behind a fence of its own.
    async fn is_unknown(&self, order: &OrderRef) -> bool {
        if self.ownership.get().is_some_and(|ownership| ownership.is_sure()) {
            // A session may have ended without our hearing of it, in a machine that was paused: the log is asked all the same.
            return self.log.read_order(order, 0).await.is_ok_and(|records| records.is_empty());
        }
        self.node.confirm_ownership(partition_of(order, self.partitions)).await
    }
}

impl CommandDoor for LocalDoor {
    fn refuses(&self, tenant: &TenantId) -> Option<Outcome> {
        self.node.refuses(tenant)
    }

    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        Box::pin(async move {
            let until = Instant::now() + deadline;
            let (order, key) = (command.order.clone(), command.key.clone());
            let outcome = CommandDoor::ask(&self.node, command, actor, deadline).await;
            if outcome.code != Code::OrderNotFound {
                return outcome;
            }
            match timeout(until.saturating_duration_since(Instant::now()), self.is_unknown(&order)).await {
                Ok(true) => outcome,
                Ok(false) | Err(_) => Outcome::refused(&order, &key, Code::Unavailable, NOT_SURE)
                    .with_retry_after_ms(RETRY_AFTER_MS),
            }
        })
    }

    /// As any reader: the log is read, whoever runs the partition.
    fn dry_run(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        self.node.dry_run(command, actor, deadline)
    }

    fn end_parking<'a>(
        &'a self,
        order: &'a OrderRef,
        operator: &'a str,
        discard: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>> {
        self.node.end_parking(order, operator, discard)
    }
}
