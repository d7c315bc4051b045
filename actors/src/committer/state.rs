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
    /// Told when the partition is ours.
    pub(crate) owner: ActorRef<PartitionMsg>,
    /// The epoch in which this partition was ours before a committer ended, where others may have taken it.
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
    /// Who wants to know whether the partition is still ours. At most one for each command under way.
    pub(super) barriers: Vec<oneshot::Sender<()>>,
    /// Who wants to know whether the log takes writes: the engine's own, one at a time.
    pub(super) probes: Vec<Ticket>,
    /// A log that owes an answer is probed again soon.
    pub(super) probes_again: bool,
    pub(super) flush_queued: bool,
    /// The log takes no more for now, and that was said: anybody can have a command refused, and a line written for each.
    pub(super) is_refused: bool,
    pub(super) try_again_queued: bool,
    /// When it was last said that an entry was too large: anybody can send large commands.
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
            probes_again: false,
            flush_queued: false,
            is_refused: false,
            try_again_queued: false,
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
            // Ours before it ended: who came after it is not driven out again by somebody who was only started anew.
            if let Some((after, last)) = self.was_epoch.zip(last).filter(|(was, last)| last.epoch > *was) {
                tracing::warn!(partition = %self.context.partition, was = after, now = last.epoch, "another owner came meanwhile");
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
                // Someone wrote in between: read again, and try with a higher epoch.
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

    /// Why no more can be written.
    pub(super) fn ended(&self, error: CommitError) -> CommitterError {
        CommitterError::of(self.context.partition, error)
    }

    /// The log owes an answer: who waits for it keeps nobody else waiting.
    pub(super) fn is_late(&self) {
        if !self.context.settings.is(Mutant::PermitsUntilAnswered) {
            self.context.table.late(self.context.partition);
        }
    }
}
