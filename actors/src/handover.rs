//! Partitions that come and go while a node runs: take-over, hand-over, stop (design section 7).
//!
//! - **Taken over**: the fence is written first, so that no other owner can write any more; then the park marks are read; only then
//!   are commands let in.
//! - **Handed over**: nothing is let in; what is under way is finished and answered; its orders leave memory, so that the
//!   next owner's records are not missed when it comes back; the floor is written; the committer ends.
//! - **Stopped**: the same without waiting for anything. Commands in flight get no answer: a caller that asks again, at any node, gets the
//!   first outcome.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::metric;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::floor::InboxRegistration;
use crate::messages::{CommitterMsg, NodeMsg, TenantsMsg};
use crate::node::NodeHandle;

/// What ends without waiting for commands has so long; it hangs on actors alone, none of which waits for long.
const END_MAX: Duration = Duration::from_secs(10);

/// For a committer to end, and then for its partition's actor.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How a hand-over went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandoverReport {
    /// All that was under way was answered, and the floor is durable.
    pub drained: bool,
}

impl NodeHandle {
    /// Runs a partition from now on: writes its fence, then lets commands in. `false` when that could not be done in
    /// time, or it was given up meanwhile; it is tried on until [`Self::stop_partition`]. PartitionTable already: does nothing.
    pub async fn take_over(&self, partition: PartitionId, time: Duration) -> bool {
        let table = &self.shared.orders.table;
        let begun = Instant::now();
        let until = begun + time;
        if table.acquire(partition) {
            if self.root.cast(NodeMsg::StartPartition(partition)).is_err() {
                return false;
            }
        } else if table.accepts(partition) || !table.owns(partition) {
            return table.accepts(partition);
        }
        let fenced = self.shared.orders.committers.present(partition);
        if timeout_at(until, fenced).await.is_err() {
            return false;
        }
        // Behind the fence the marks are the last owner's last word.
        let marks = match timeout_at(until, self.shared.orders.ports.log.parked(partition)).await {
            Ok(Ok(marks)) => Arc::from(marks),
            Ok(Err(error)) => {
                tracing::warn!(event = "park_marks_unread", %partition, %error, "the park marks cannot be read");
                return false;
            }
            Err(_) => return false,
        };
        let opened =
            self.notify_tenants(until, |ack| TenantsMsg::PartitionAcquired(partition, marks, ack)).await
                && table.open(partition);
        if opened {
            self.shared.orders.effects.partition_acquired(partition);
            metrics::histogram!(metric::TAKE_OVER_SECONDS.name).record(begun.elapsed());
        }
        opened
    }

    /// Gives a partition up in good order, within `time`; whatever is not finished by then is given up with it.
    pub async fn hand_over(&self, partition: PartitionId, time: Duration) -> HandoverReport {
        let table = &self.shared.orders.table;
        if !table.begin_draining(partition) {
            return HandoverReport { drained: false };
        }
        let until = Instant::now() + time;
        let mut drained = timeout_at(until, table.wait_empty(partition)).await.is_ok();
        self.evict_partition(partition).await;
        drained &= timeout_at(until, self.seal(partition)).await == Ok(true);
        self.end_partition(partition).await;
        HandoverReport { drained }
    }

    /// Gives a partition up at once: another one owns it.
    pub async fn stop_partition(&self, partition: PartitionId) {
        // From here on its orders are neither started nor restarted.
        if self.shared.orders.table.release(partition) {
            self.evict_partition(partition).await;
            self.end_partition(partition).await;
        }
    }

    /// The next partition of which this node has seen that another one writes it. It has stopped by itself, and is to be
    /// released, or taken over again, as the owner of partitions says.
    pub async fn next_fenced(&self) -> PartitionId {
        self.shared.orders.table.next_fenced().await
    }

    /// Whether commands for the order are let in here.
    #[must_use]
    pub fn accepts(&self, order: &OrderRef) -> bool {
        let table = &self.shared.orders.table;
        table.accepts(partition_of(order, self.shared.orders.committers.partitions()))
    }

    /// The open partitions, each with its term: a partition that was released and taken over again is in another one.
    #[must_use]
    pub fn terms(&self) -> Vec<(PartitionId, u64)> {
        let table = &self.shared.orders.table;
        let all = (0..self.shared.orders.committers.partitions()).map(PartitionId);
        all.filter_map(|partition| table.term(partition).map(|term| (partition, term))).collect()
    }

    /// Changes whenever [`Self::terms`] does.
    #[must_use]
    pub fn watch_terms(&self) -> watch::Receiver<u64> {
        self.shared.orders.table.subscribe()
    }

    /// Up to `position` an inbox of one partition has nothing that was not given to its intake, which has taken in all
    /// that it was given: its floor may rise so far. Without that a partition that nobody uses would keep others' commands
    /// from being trimmed.
    pub fn report_idle_floor(&self, of: InboxRegistration, position: u64) {
        self.shared.floors.mark_seen(of, position);
    }

    /// Writes the floors of a partition, if they have risen since its last fence. Whether they are durable.
    pub async fn write_floor(&self, partition: PartitionId) -> bool {
        let Some(committer) = self.shared.orders.committers.get(partition) else { return false };
        let (reply, written) = oneshot::channel();
        committer.cast(CommitterMsg::Floor(reply)).is_ok() && written.await.is_ok()
    }

    /// Writes an ownership barrier (a fence), and returns whether that was possible: then no other owner has written the partition before
    /// it, and this node's memory of it was current until then.
    pub async fn confirm_ownership(&self, partition: PartitionId) -> bool {
        let Some(committer) = self.shared.orders.committers.get(partition) else { return false };
        let (reply, written) = oneshot::channel();
        committer.cast(CommitterMsg::OwnershipBarrier(reply)).is_ok() && written.await.is_ok()
    }

    /// The partitions that are run here.
    #[must_use]
    pub fn owned_partitions(&self) -> Vec<PartitionId> {
        let all = (0..self.shared.orders.committers.partitions()).map(PartitionId);
        all.filter(|partition| self.shared.orders.table.owns(*partition)).collect()
    }

    /// Cancels the partition's effects and stops its orders.
    async fn evict_partition(&self, partition: PartitionId) {
        let partitions = self.shared.orders.committers.partitions();
        self.shared.orders.effects.running.abort_partition(partition, partitions);
        let until = Instant::now() + END_MAX;
        if !self.notify_tenants(until, |ack| TenantsMsg::PartitionReleased(partition, ack)).await {
            tracing::warn!(event = "partition_release_incomplete", %partition, "not all tenants have let a partition's orders go");
        }
        // An order that was deciding meanwhile may have asked for one more.
        self.shared.orders.effects.running.abort_partition(partition, partitions);
    }

    async fn end_partition(&self, partition: PartitionId) {
        self.shared.floors.forget(partition);
        self.shared.orders.table.release(partition);
        // At once: a new take-over must not use this committer.
        self.shared.orders.committers.set(partition, None);
        let (reply, released) = oneshot::channel();
        let asked = self.root.cast(NodeMsg::ReleasePartition(partition, reply)).is_ok();
        let ended = match timeout(END_MAX, released).await {
            Ok(Ok(Some(actor))) => {
                actor.stop_children_and_wait(None, Some(STOP_MAX)).await;
                actor.stop_and_wait(None, Some(STOP_MAX)).await.is_ok()
            }
            Ok(Ok(None)) => true,
            Ok(Err(_)) | Err(_) => false,
        };
        if !(asked && ended) {
            tracing::warn!(event = "committer_hangs", %partition, "a partition's committer does not end");
        }
        // A committer that was just starting may have registered itself meanwhile.
        self.shared.orders.committers.set(partition, None);
    }

    /// Sends a message to every tenant; each drops its end of the channel when it has handled it. Whether all did in time.
    async fn notify_tenants(
        &self,
        until: Instant,
        message: impl FnOnce(mpsc::Sender<std::convert::Infallible>) -> TenantsMsg,
    ) -> bool {
        let (ack, mut done) = mpsc::channel(1);
        // Through their supervisor: a tenant that is just being started gets it, too, or has read the marks already.
        self.shared.routes.broadcast(message(ack));
        timeout_at(until, done.recv()).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
