//! What a committer knows, and how its partition is taken over.

use std::sync::Arc;

use ractor::{ActorProcessingErr, ActorRef};
use retailflow_engine::codec::fence::IntakeFloor;
use retailflow_engine::keys::Hash;
use retailflow_engine::ports::CommitError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::end::CommitterError;
use super::gather::GroupQueue;
use crate::context::PartitionContext;
use crate::messages::{CommitterMsg, PartitionMsg, Ticket};
use crate::mutant::Mutant;
use crate::world::ProbePoint;

/// Given at the start.
pub(crate) struct CommitterArgs {
    pub(crate) context: Arc<PartitionContext>,
    /// Notified when this committer has taken the partition over.
    pub(crate) owner: ActorRef<PartitionMsg>,
    /// The epoch in which this node last owned the partition, where another node may have taken it since.
    pub(crate) was_epoch: Option<u64>,
}

pub(crate) struct CommitterState {
    pub(super) context: Arc<PartitionContext>,
    pub(super) owner: ActorRef<PartitionMsg>,
    pub(super) was_epoch: Option<u64>,
    pub(super) epoch: u64,
    pub(super) group: u64,
    pub(super) previous: Hash,
    pub(super) intake: Vec<IntakeFloor>,
    pub(super) waiting: GroupQueue,
    /// Callers that want to confirm that this node still owns the partition. At most one for each command in flight.
    pub(super) barriers: Vec<oneshot::Sender<()>>,
    /// Probes of the engine's own that ask whether the log takes writes, one at a time.
    pub(super) probes: Vec<Ticket>,
    /// A log that owes an answer is probed again soon.
    pub(super) probe_scheduled: bool,
    pub(super) flush_queued: bool,
    /// The log refuses records, and that was logged once: each refused command would otherwise write a line.
    pub(super) is_refused: bool,
    pub(super) retry_queued: bool,
    /// When an entry that was too large was last logged: any caller can send large commands.
    pub(super) too_large_reported_at: Option<Instant>,
}

impl CommitterState {
    pub(super) fn new(args: CommitterArgs) -> Self {
        Self {
            context: args.context,
            owner: args.owner,
            was_epoch: args.was_epoch,
            epoch: 0,
            group: 0,
            previous: retailflow_engine::keys::GENESIS,
            intake: Vec::new(),
            waiting: GroupQueue::default(),
            barriers: Vec::new(),
            probes: Vec::new(),
            probe_scheduled: false,
            flush_queued: false,
            is_refused: false,
            retry_queued: false,
            too_large_reported_at: None,
        }
    }

    /// Writes a fence with the next epoch: from now on the log refuses every older owner.
    pub(super) async fn take_over(
        &mut self,
        myself: ActorRef<CommitterMsg>,
    ) -> Result<(), ActorProcessingErr> {
        self.context.settings.probe(ProbePoint::PartitionTakeOver, || self.context.partition.to_string())?;
        loop {
            let head = self.context.ports.log.head(self.context.partition).await?;
            let last = head.fence.as_ref();
            // After a restart, do not fence an owner with a newer epoch.
            if let Some((after, last)) = self.was_epoch.zip(last).filter(|(was, last)| last.epoch > *was) {
                tracing::warn!(event = "partition_owner_newer", partition = %self.context.partition, was = after, now = last.epoch, "another owner came meanwhile");
                return Err(CommitterError::Fenced(self.context.partition, last.epoch).into());
            }
            self.epoch = last.map_or(1, |fence| fence.epoch + 1);
            self.group = last.map_or(0, |fence| fence.group);
            self.previous = head.hash;
            let regressed = |why| CommitterError::Regressed(self.context.partition, why);
            self.context.last_committed.check(self.group, self.previous).map_err(regressed)?;
            self.intake = last.map(|fence| fence.intake.clone()).unwrap_or_default();
            let group = self.next_group(Vec::new(), Vec::new());
            match self.append(&group).await {
                Ok(_) => break,
                // Another owner wrote in between: read the head again, and try a higher epoch.
                Err(CommitError::Fenced { .. }) => {}
                Err(CommitError::LogRegressed(why)) => {
                    return Err(CommitterError::Regressed(self.context.partition, why).into());
                }
                Err(error) => {
                    return Err(CommitterError::TakeOver(self.context.partition, error.to_string()).into());
                }
            }
        }
        tracing::debug!(partition = %self.context.partition, epoch = self.epoch, "partition taken over");
        Ok(self.owner.cast(PartitionMsg::Ready(myself, self.epoch))?)
    }

    /// Maps the log's error to the reason why this committer ends.
    pub(super) fn ended(&self, error: CommitError) -> CommitterError {
        CommitterError::of(self.context.partition, error)
    }

    /// The log owes an answer: the commands that wait for it give their permits back.
    pub(super) fn mark_late(&self) {
        if !self.context.settings.is(Mutant::PermitsUntilAnswered) {
            self.context.table.mark_late(self.context.partition);
        }
    }
}
