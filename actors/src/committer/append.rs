//! Groups: put together, appended until the answer is known, and told to those who wait.

use std::time::Duration;

use ractor::ActorProcessingErr;
use retailflow_engine::codec::fence::{Fence, fence_hash, group_digest};
use retailflow_engine::ports::{Commit, CommitError, ControlEntry, Group, OrderEntry};
use tokio::time::Instant;

use super::end::CommitterError;
use super::state::CommitterState;
use crate::messages::ProposalResult;
use crate::mutant::Mutant;
use crate::world::ProbePoint;

/// A log that has not answered after this time is late: the commands that wait for it give their permits back.
pub(super) const LATE: Duration = Duration::from_millis(100);

impl CommitterState {
    /// Writes one fence for all callers that want to confirm ownership.
    pub(super) async fn write_barrier(&mut self) -> Result<(), ActorProcessingErr> {
        if !self.barriers.is_empty() {
            match self.write_fence().await? {
                true => self.release_barriers(),
                // The callers ask again.
                false => self.barriers.clear(),
            }
        }
        Ok(())
    }

    pub(super) fn release_barriers(&mut self) {
        for reply in self.barriers.drain(..) {
            // A caller that no longer waits does not need the answer.
            let _ = reply.send(());
        }
    }

    /// Whether a group was written.
    pub(super) async fn flush(&mut self) -> Result<bool, ActorProcessingErr> {
        let (mut proposals, mut controls) = self.waiting.gather(&self.context.settings.config.log);
        while !proposals.is_empty() || !controls.is_empty() {
            let records = proposals.iter().map(|proposal| proposal.entry.clone()).collect();
            let marks = controls.iter().map(|control| control.entry.clone()).collect();
            let group = self.next_group(records, marks);
            self.context
                .settings
                .probe(ProbePoint::CommitterBefore, || self.context.partition.to_string())?;
            let begun = Instant::now();
            match self.append(&group).await {
                Ok(_) => {
                    self.context.metrics.commit_seconds.record(begun.elapsed());
                    self.context.metrics.group_records.record(proposals.len() as f64);
                    self.context
                        .settings
                        .probe(ProbePoint::CommitterAfter, || self.context.partition.to_string())?;
                    proposals
                        .into_iter()
                        .for_each(|proposal| proposal.ticket.resolve(ProposalResult::Committed));
                    controls.into_iter().for_each(|control| control.ticket.durable());
                    return Ok(true);
                }
                Err(CommitError::Conflict(order)) => {
                    let at = proposals.iter().position(|proposal| proposal.entry.order == order);
                    if let Some(lost) = at.and_then(|at| proposals.remove(at)) {
                        lost.ticket.resolve(ProposalResult::Conflict);
                    } else if !self.return_taken_numbers(&order, &mut controls) {
                        let why = format!("a conflict of a foreign order {order}");
                        return Err(CommitterError::Broken(why).into());
                    }
                }
                Err(CommitError::TooLarge { entry, why }) => {
                    self.make_smaller(&mut proposals, &mut controls, entry, why);
                }
                Err(error) => {
                    let Some(code) = error.refused_as() else { return Err(self.ended(error).into()) };
                    let why = error.to_string();
                    for proposal in proposals {
                        proposal.ticket.resolve(ProposalResult::Unavailable(code, why.clone()));
                    }
                    for control in controls {
                        control.ticket.refused(code, why.clone());
                    }
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    pub(super) fn next_group(&self, records: Vec<OrderEntry>, controls: Vec<ControlEntry>) -> Group {
        let bytes =
            records.iter().map(|record| &*record.bytes).chain(controls.iter().map(|control| &*control.bytes));
        let fence = Fence {
            partition: self.context.partition,
            epoch: self.epoch,
            group: self.group + 1,
            previous: self.previous,
            digest: group_digest(bytes),
            entries: u32::try_from(records.len() + controls.len()).unwrap_or(u32::MAX),
            intake: self.context.floors.floor(self.context.partition, &self.intake),
            effects_floor: 0,
            node: self.context.settings.node.clone(),
            written: self.context.ports.clock.now(),
        };
        Group { fence, records, controls }
    }

    /// Appends until the answer is known.
    pub(super) async fn append(&mut self, group: &Group) -> Result<Commit, CommitError> {
        let answer = self.append_known(group).await;
        self.note_capacity(&answer);
        if self.context.table.is_late(self.context.partition) {
            self.context.table.clear_late(self.context.partition);
        }
        answer
    }

    /// Appends, and retries the identical group while the answer is unknown.
    async fn append_known(&mut self, group: &Group) -> Result<Commit, CommitError> {
        let timeout = Duration::from_millis(self.context.settings.config.commit.timeout_ms);
        let supervision = &self.context.settings.config.supervision;
        let mut delay_ms = supervision.delay_min_ms.max(1);
        let mut in_doubt = false;
        loop {
            match self.try_append(group, timeout).await {
                Ok(commit) => {
                    let bytes =
                        group.fence.encode().map_err(|error| CommitError::Broken(error.to_string()))?;
                    self.previous = fence_hash(&bytes);
                    self.group = group.fence.group;
                    self.context.last_committed.set(self.group, self.previous);
                    self.intake.clone_from(&group.fence.intake);
                    return Ok(commit);
                }
                // Retrying never writes it, and another group must not be tried while an earlier attempt may still arrive: only a
                // take-over with a higher epoch ends the doubt.
                Err(CommitError::TooLarge { why, .. }) if in_doubt => {
                    let why = format!("a group in doubt cannot be sent again: {why}");
                    return Err(CommitError::Broken(why));
                }
                // A refusal now does not settle an earlier attempt: that may still be written.
                Err(error) if error.refused_as().is_some() && !in_doubt => return Err(error),
                Err(error) if error.refused_as().is_some() || matches!(error, CommitError::Unknown(_)) => {
                    let why = error.to_string();
                    in_doubt = true;
                    self.mark_late();
                    if self.context.settings.is(Mutant::GivesUpUnknown) {
                        return Err(CommitError::Unavailable(why));
                    }
                    tracing::warn!(event = "commit_in_doubt", partition = %self.context.partition, group = group.fence.group, %why, "asking again");
                    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                    delay_ms = (delay_ms * 2).min(supervision.delay_max_ms.max(1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One attempt. When the log is late, the commands that wait for it give their permits back.
    async fn try_append(&self, group: &Group, timeout: Duration) -> Result<Commit, CommitError> {
        let mut commit = self.context.ports.log.commit(group.clone());
        let begun = Instant::now();
        if let Ok(answer) = tokio::time::timeout(timeout.min(LATE), &mut commit).await {
            return answer;
        }
        self.mark_late();
        match tokio::time::timeout_at(begun + timeout, commit).await {
            Ok(answer) => answer,
            Err(_) => Err(CommitError::Unknown("the log did not answer in time".into())),
        }
    }

    /// Writes the floor if it has moved. Whether the log has it.
    pub(super) async fn write_floor(&mut self) -> Result<bool, CommitterError> {
        let floor = self.context.floors.floor(self.context.partition, &self.intake);
        if floor == self.intake { Ok(true) } else { self.write_fence().await }
    }

    /// Whether it could be written.
    pub(super) async fn write_fence(&mut self) -> Result<bool, CommitterError> {
        let group = self.next_group(Vec::new(), Vec::new());
        match self.append(&group).await {
            Ok(_) => Ok(true),
            // It goes with the next fence.
            Err(error) if error.refused_as().is_some() => Ok(false),
            Err(error) => Err(self.ended(error)),
        }
    }
}
