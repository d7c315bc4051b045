//! What others have of a running node.

use std::sync::Arc;

use ractor::ActorRef;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::Command;
use retailflow_engine::ports::InboxId;
use retailflow_engine::wire::{Code, Outcome};
use tokio::sync::oneshot;

use super::life::RootLife;
use crate::admission::AdmissionControl;
use crate::context::NodeContext;
use crate::floor::{Floors, InboxRegistration};
use crate::messages::{NodeMsg, ReleaseCounts, ReleaseError, ReleaseRequest};
use crate::node_metrics::NodeMetrics;
use crate::outcome::refusal;
use crate::world::{Ports, Settings};

/// Why nothing is done about an order here.
pub(crate) const NOT_HERE: &str =
    "the order's partition is run by another node, or on its way to one; ask again";

/// A running node. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    pub(crate) root: ActorRef<NodeMsg>,
    pub(crate) shared: Arc<NodeContext>,
    pub(super) life: Arc<RootLife>,
}

impl NodeHandle {
    /// Decides the commands that wait behind a parked order, in order, and takes its mark away. When that is broken off
    /// the order stays parked and nothing is lost: asked again, what was decided is replayed. `operator` is recorded.
    ///
    /// # Errors
    /// [`ReleaseError`], which says what stopped it.
    pub async fn release_parked(
        &self,
        order: &OrderRef,
        operator: &str,
    ) -> Result<ReleaseCounts, ReleaseError> {
        self.end_parking(order, operator, false).await
    }

    /// As [`NodeHandle::release_parked`], but the commands are rejected as `discarded`. Where the order cannot record
    /// that, because it was never placed, they become dead letters.
    ///
    /// # Errors
    /// [`ReleaseError`], which says what stopped it.
    pub async fn discard_parked(
        &self,
        order: &OrderRef,
        operator: &str,
    ) -> Result<ReleaseCounts, ReleaseError> {
        self.end_parking(order, operator, true).await
    }

    async fn end_parking(
        &self,
        order: &OrderRef,
        operator: &str,
        discard: bool,
    ) -> Result<ReleaseCounts, ReleaseError> {
        if self.shared.orders.admission.is_closed() {
            return Err(ReleaseError::Unavailable("the node stops".into()));
        }
        if !self.accepts(order) {
            return Err(ReleaseError::Unavailable(NOT_HERE.into()));
        }
        let (reply, answer) = oneshot::channel();
        self.shared.routes.release(ReleaseRequest {
            order: order.clone(),
            operator: operator.into(),
            discard,
            reply,
        });
        answer.await.unwrap_or(Err(ReleaseError::Lost))
    }

    pub(crate) fn refuse(&self, command: &Command, code: Code) -> Outcome {
        self.refuse_with(command, code, code.meaning())
    }

    pub(crate) fn refuse_named(&self, order: &OrderRef, key: &CommandKey, code: Code) -> Outcome {
        refusal(order, key, code, code.meaning(), self.shared.orders.admission.retry_after_ms())
    }

    pub(crate) fn refuse_with(&self, command: &Command, code: Code, message: impl Into<String>) -> Outcome {
        let retry_after_ms = self.shared.orders.admission.retry_after_ms();
        refusal(&command.order, &command.key, code, message, retry_after_ms)
    }

    pub(crate) fn metrics(&self) -> &NodeMetrics {
        &self.shared.orders.metrics
    }

    pub(crate) fn admission(&self) -> &AdmissionControl {
        &self.shared.orders.admission
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.shared.orders.ports
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.orders.settings
    }

    /// The floors, which follow this inbox from now on: one for all partitions, or that of one.
    pub(crate) fn floors(&self, inbox: InboxId, only: Option<PartitionId>) -> (&Floors, InboxRegistration) {
        let following = self.shared.floors.follow(inbox, only);
        (&self.shared.floors, following)
    }

    pub(crate) fn partition(&self, command: &Command) -> PartitionId {
        partition_of(&command.order, self.shared.orders.committers.partitions())
    }

    /// Waits until the node's root has ended without being asked to: from then on everything is refused here, and only another
    /// process can go on. Never, if it is stopped or killed.
    pub async fn wait_ended(&self) {
        self.life.ended().await;
    }

    /// Whether it has.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.life.has_ended()
    }
}
