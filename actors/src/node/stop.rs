//! How a node stops.

use std::time::Duration;

use retailflow_engine::ids::PartitionId;
use tokio::sync::oneshot;

use super::handle::NodeHandle;
use crate::messages::CommitterMsg;

/// Time for actors to end after they were stopped.
const END_MAX: Duration = Duration::from_secs(5);
/// The least time for that, also at the deadline of a stop.
const END_MIN: Duration = Duration::from_millis(200);

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReport {
    /// Every command in flight was answered, and the floors are durable.
    pub drained: bool,
    /// Commands abandoned at the deadline. Their callers got no answer, and may send the same id again.
    pub abandoned: usize,
}

impl NodeHandle {
    /// From now on new commands are refused as `draining`.
    pub fn close(&self) {
        self.shared.orders.admission.close();
    }

    /// Stops: refuses what is new, finishes and answers what is in flight, writes the floors, ends the actors. At
    /// the deadline what is left is given up; nothing that was answered is lost by that.
    pub async fn stop(self, deadline: Duration) -> StopReport {
        self.close();
        // What does not end by itself is ended within the deadline, too.
        let ends_by = tokio::time::Instant::now() + deadline;
        let until = ends_by - (deadline / 4).min(END_MAX);
        let mut drained =
            tokio::time::timeout_at(until, self.shared.orders.admission.drained()).await.is_ok();
        for partition in self.owned_partitions() {
            let empty = self.shared.orders.table.wait_empty(partition);
            drained &= tokio::time::timeout_at(until, empty).await.is_ok();
        }
        drained &= tokio::time::timeout_at(until, self.shared.orders.effects.close()).await.is_ok();
        for partition in self.owned_partitions() {
            drained &= tokio::time::timeout_at(until, self.seal(partition)).await == Ok(true);
        }
        let abandoned = self.shared.orders.table.in_flight();
        drop(tokio::time::timeout_at(until, self.shared.newcomers.close()).await);
        self.shared.newcomers.kill();
        self.end(ends_by).await;
        StopReport { drained, abandoned }
    }

    pub(crate) async fn seal(&self, partition: PartitionId) -> bool {
        let Some(committer) = self.shared.orders.committers.get(partition) else { return false };
        let (reply, sealed) = oneshot::channel();
        committer.cast(CommitterMsg::Seal(reply)).is_ok() && sealed.await.is_ok()
    }

    /// Ends all actors at once, as a crash of the process would. Nothing that was answered is lost.
    pub async fn kill(self) {
        self.close();
        self.shared.newcomers.kill();
        self.root.kill();
        self.shared.orders.effects.close().await;
        self.life.join(END_MAX).await;
    }

    async fn end(&self, by: tokio::time::Instant) {
        let most = || by.saturating_duration_since(tokio::time::Instant::now()).clamp(END_MIN, END_MAX);
        // Orders end before committers, and both before the root: no committer is killed during an append.
        self.root.stop_children_and_wait(None, Some(most() / 2)).await;
        self.root.stop(None);
        self.life.join(most()).await;
    }
}
