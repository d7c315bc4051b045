//! Group commit: many orders' records, one durable append, fenced.
//!
//! One group is in flight a partition. While it is, proposals gather in the mailbox (bounded by the permits that their
//! commands hold) and make the next group. What the log answers decides what the orders are told; an answer that is
//! not known is asked for again with the identical group, and nothing else is proposed before it is resolved.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use retailflow_engine::codec::fence::{Fence, IntakeFloor, fence_hash, group_digest};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::keys::Hash;
use retailflow_engine::ports::{Commit, CommitError, ControlEntry, Group, OrderEntry};
use retailflow_engine::wire::Code;
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use self::end::{CommitterError, is_fenced, is_regressed};
use self::gather::Waiting;
use crate::floor::Floors;
use crate::last_committed::Acknowledged;
use crate::mutant::Mutant;
use crate::node_metrics::Sight;
use crate::order::OrderMsg;
use crate::parking::ControlTicket;
use crate::partition::PartitionMsg;
use crate::partition_table::Held;
use crate::world::{Ports, ProbePoint, Settings};

mod end;
mod gather;
mod probe;
mod refused;

/// A log that has not answered after this time is late: callers who wait for it keep nobody else waiting.
const LATE: Duration = Duration::from_millis(100);

/// What a committer is told.
pub(crate) enum CommitterMsg {
    /// An order's record.
    Propose(Proposal),
    /// Park marks and parked commands.
    Control(ControlProposal),
    /// Write what has gathered.
    Flush,
    /// Write the floor if it has moved; answered when that is durable.
    Floor(oneshot::Sender<()>),
    /// Write a fence, if only to see that it can be written; answered when it is durable.
    Prove(oneshot::Sender<()>),
    /// Find out whether the log takes writes, without leaving anything in it.
    Probe(Ticket),
    /// Write what has gathered, and the floor if it has moved; answered when that is durable.
    Seal(oneshot::Sender<()>),
    /// See whether the log takes something again.
    TryAgain,
}

/// What an order is told of its proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proposed {
    /// Durable.
    Committed,
    /// Someone else has written the order: rebuild and decide again.
    Conflict,
    /// Not written, and how what it holds is refused: the log takes no more for now.
    Unavailable(Code, String),
    /// Not written, and it will not be: the log takes no record of this size.
    TooLarge(String),
    /// Nobody knows, or nobody may tell: answer nothing.
    Lost,
}

/// An order's record on its way into a group. Dropped without an answer it reports itself lost.
pub(crate) struct Proposal {
    pub(crate) entry: OrderEntry,
    pub(crate) ticket: Ticket,
    /// Somebody waits for it: a caller, or who reads an inbox.
    pub(crate) is_asked: bool,
}

/// The way back to the order.
pub(crate) struct Ticket {
    order: Option<ActorRef<OrderMsg>>,
    number: u64,
}

impl Ticket {
    pub(crate) fn new(order: ActorRef<OrderMsg>, number: u64) -> Self {
        Self { order: Some(order), number }
    }

    /// One that tells nobody.
    fn nobodys() -> Self {
        Self { order: None, number: 0 }
    }

    fn resolve(mut self, proposed: Proposed) {
        self.tell(proposed);
    }

    fn tell(&mut self, proposed: Proposed) {
        if let Some(order) = self.order.take() {
            // An order that is gone rebuilds from the log when it is needed again.
            drop(order.cast(OrderMsg::Resolved { number: self.number, proposed }));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tell(Proposed::Lost);
    }
}

/// A control record, and the way back to its tenant.
pub(crate) struct ControlProposal {
    pub(crate) entry: ControlEntry,
    pub(crate) ticket: ControlTicket,
}

/// Given at the start.
pub(crate) struct CommitterArgs {
    pub(crate) partition: PartitionId,
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<Settings>,
    pub(crate) floors: Arc<Floors>,
    /// Told when the log is late.
    pub(crate) held: Arc<Held>,
    pub(crate) sight: Arc<Sight>,
    /// The last group that this node saw acknowledged: a log that lacks it lost data.
    pub(crate) acknowledged: Arc<Acknowledged>,
    /// Told when the partition is ours.
    pub(crate) owner: ActorRef<PartitionMsg>,
    /// The epoch in which this partition was ours before a committer ended, where others may have taken it.
    pub(crate) was_epoch: Option<u64>,
}

pub(crate) struct CommitterState {
    partition: PartitionId,
    ports: Ports,
    settings: Arc<Settings>,
    floors: Arc<Floors>,
    held: Arc<Held>,
    sight: Arc<Sight>,
    acknowledged: Arc<Acknowledged>,
    owner: ActorRef<PartitionMsg>,
    was_epoch: Option<u64>,
    epoch: u64,
    group: u64,
    previous: Hash,
    intake: Vec<IntakeFloor>,
    waiting: Waiting,
    /// Who wants to know whether the partition is still ours. At most one for each command under way.
    proves: Vec<oneshot::Sender<()>>,
    /// Who wants to know whether the log takes writes: the engine's own, one at a time.
    probes: Vec<Ticket>,
    /// A log that owes an answer is probed again soon.
    probes_again: bool,
    flush_queued: bool,
    /// The log takes no more for now, and that was said: anybody can have a command refused, and a line written for each.
    is_refused: bool,
    try_again_queued: bool,
    /// When it was last said that an entry was too large: anybody can send large commands.
    told_too_large: Option<Instant>,
}

/// The committer of one partition.
pub(crate) struct Committer;

impl Actor for Committer {
    type Msg = CommitterMsg;
    type State = CommitterState;
    type Arguments = CommitterArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(CommitterState {
            partition: args.partition,
            ports: args.ports,
            settings: args.settings,
            floors: args.floors,
            held: args.held,
            sight: args.sight,
            acknowledged: args.acknowledged,
            owner: args.owner,
            was_epoch: args.was_epoch,
            epoch: 0,
            group: 0,
            previous: retailflow_engine::keys::GENESIS,
            intake: Vec::new(),
            waiting: Waiting::default(),
            proves: Vec::new(),
            probes: Vec::new(),
            probes_again: false,
            flush_queued: false,
            is_refused: false,
            try_again_queued: false,
            told_too_large: None,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.take_over(myself).await
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CommitterMsg::Propose(proposal) => state.waiting.push(proposal),
            CommitterMsg::Control(control) => state.waiting.controls.push_back(control),
            CommitterMsg::Flush => {
                state.flush_queued = false;
                // Who asked before this group is written is answered by it: behind it in the mailbox are those who ask later.
                if state.flush().await? {
                    state.proved();
                    state.probed(&Proposed::Committed);
                }
                state.prove().await?;
                state.probe(&myself).await?;
            }
            CommitterMsg::Floor(reply) => {
                if state.write_floor().await? {
                    let _ = reply.send(());
                }
            }
            CommitterMsg::Prove(reply) => state.proves.push(reply),
            CommitterMsg::Probe(ticket) => state.wants_probe(ticket),
            CommitterMsg::TryAgain => state.try_again().await?,
            CommitterMsg::Seal(reply) => {
                while !state.waiting.is_empty() {
                    state.flush().await?;
                }
                if state.write_floor().await? {
                    let _ = reply.send(());
                }
            }
        }
        if state.settings.is(Mutant::AFenceForEach) {
            state.prove().await?;
        }
        let waiting = !(state.waiting.is_empty() && state.proves.is_empty() && state.probes.is_empty());
        if waiting && !state.flush_queued {
            state.flush_queued = true;
            myself.cast(CommitterMsg::Flush)?;
        }
        state.queue_try_again(&myself);
        Ok(())
    }
}

impl CommitterState {
    /// Writes a fence with the next epoch: from now on the log refuses every older owner.
    async fn take_over(&mut self, myself: ActorRef<CommitterMsg>) -> Result<(), ActorProcessingErr> {
        self.settings.probe(ProbePoint::PartitionTakeOver, || self.partition.to_string())?;
        loop {
            let head = self.ports.log.head(self.partition).await?;
            let last = head.fence.as_ref();
            // Ours before it ended: who came after it is not driven out again by somebody who was only started anew.
            if let Some((after, last)) = self.was_epoch.zip(last).filter(|(was, last)| last.epoch > *was) {
                tracing::warn!(partition = %self.partition, was = after, now = last.epoch, "another owner came meanwhile");
                return Err(CommitterError::Fenced(self.partition, last.epoch).into());
            }
            self.epoch = last.map_or(1, |fence| fence.epoch + 1);
            self.group = last.map_or(0, |fence| fence.group);
            self.previous = head.hash;
            self.acknowledged.check(self.partition, self.group, self.previous)?;
            self.intake = last.map(|fence| fence.intake.clone()).unwrap_or_default();
            let group = self.next_group(Vec::new(), Vec::new());
            match self.append(&group).await {
                Ok(_) => break,
                // Someone wrote in between: read again, and try with a higher epoch.
                Err(CommitError::Fenced { .. }) => {}
                Err(CommitError::LogRegressed(why)) => {
                    return Err(CommitterError::Regressed(self.partition, why).into());
                }
                Err(error) => return Err(CommitterError::TakeOver(self.partition, error.to_string()).into()),
            }
        }
        tracing::debug!(partition = %self.partition, epoch = self.epoch, "partition taken over");
        Ok(self.owner.cast(PartitionMsg::Ready(myself, self.epoch))?)
    }

    /// Answers all who want to know whether the partition is still ours, with one fence.
    async fn prove(&mut self) -> Result<(), ActorProcessingErr> {
        if !self.proves.is_empty() {
            match self.write_fence().await? {
                true => self.proved(),
                // They ask again.
                false => self.proves.clear(),
            }
        }
        Ok(())
    }

    fn proved(&mut self) {
        for reply in self.proves.drain(..) {
            // Who no longer waits has no use for it.
            let _ = reply.send(());
        }
    }

    /// Whether a group was written.
    async fn flush(&mut self) -> Result<bool, ActorProcessingErr> {
        let (mut proposals, mut controls) = self.waiting.gather(&self.settings.config.log);
        while !proposals.is_empty() || !controls.is_empty() {
            let records = proposals.iter().map(|proposal| proposal.entry.clone()).collect();
            let marks = controls.iter().map(|control| control.entry.clone()).collect();
            let group = self.next_group(records, marks);
            self.settings.probe(ProbePoint::CommitterBefore, || self.partition.to_string())?;
            let begun = Instant::now();
            match self.append(&group).await {
                Ok(_) => {
                    self.sight.commit_seconds.record(begun.elapsed());
                    self.sight.group_records.record(proposals.len() as f64);
                    self.settings.probe(ProbePoint::CommitterAfter, || self.partition.to_string())?;
                    proposals.into_iter().for_each(|proposal| proposal.ticket.resolve(Proposed::Committed));
                    controls.into_iter().for_each(|control| control.ticket.durable());
                    return Ok(true);
                }
                Err(CommitError::Conflict(order)) => {
                    let at = proposals.iter().position(|proposal| proposal.entry.order == order);
                    if let Some(lost) = at.and_then(|at| proposals.remove(at)) {
                        lost.ticket.resolve(Proposed::Conflict);
                    } else if !self.number_taken(&order, &mut controls) {
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
                        proposal.ticket.resolve(Proposed::Unavailable(code, why.clone()));
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

    fn next_group(&self, records: Vec<OrderEntry>, controls: Vec<ControlEntry>) -> Group {
        let bytes =
            records.iter().map(|record| &*record.bytes).chain(controls.iter().map(|control| &*control.bytes));
        let fence = Fence {
            partition: self.partition,
            epoch: self.epoch,
            group: self.group + 1,
            previous: self.previous,
            digest: group_digest(bytes),
            entries: u32::try_from(records.len() + controls.len()).unwrap_or(u32::MAX),
            intake: self.floors.floor(self.partition, &self.intake),
            effects_floor: 0,
            node: self.settings.node.clone(),
            written: self.ports.clock.now(),
        };
        Group { fence, records, controls }
    }

    /// Appends until the answer is known.
    async fn append(&mut self, group: &Group) -> Result<Commit, CommitError> {
        let answer = self.append_known(group).await;
        self.note_room(&answer);
        if self.held.is_late(self.partition) {
            self.held.on_time(self.partition);
        }
        answer
    }

    /// Appends, and asks again with the identical group while the answer is not known.
    async fn append_known(&mut self, group: &Group) -> Result<Commit, CommitError> {
        let timeout = Duration::from_millis(self.settings.config.commit.timeout_ms);
        let supervision = &self.settings.config.supervision;
        let mut delay_ms = supervision.delay_min_ms.max(1);
        let mut in_doubt = false;
        loop {
            match self.asked(group, timeout).await {
                Ok(commit) => {
                    let bytes =
                        group.fence.encode().map_err(|error| CommitError::Broken(error.to_string()))?;
                    self.previous = fence_hash(&bytes);
                    self.group = group.fence.group;
                    self.acknowledged.set(self.group, self.previous);
                    self.intake.clone_from(&group.fence.intake);
                    return Ok(commit);
                }
                // It is never written by asking on, and another group may not be tried while an earlier attempt may still be: only
                // taking over anew, with a higher epoch, ends that.
                Err(CommitError::TooLarge { why, .. }) if in_doubt => {
                    let why = format!("a group in doubt cannot be sent again: {why}");
                    return Err(CommitError::Broken(why));
                }
                // No room now says nothing of the time before: it may still be written.
                Err(error) if error.refused_as().is_some() && !in_doubt => return Err(error),
                Err(error) if error.refused_as().is_some() || matches!(error, CommitError::Unknown(_)) => {
                    let why = error.to_string();
                    in_doubt = true;
                    self.is_late();
                    if self.settings.is(Mutant::GivesUpUnknown) {
                        return Err(CommitError::Unavailable(why));
                    }
                    tracing::warn!(partition = %self.partition, group = group.fence.group, %why, "asking again");
                    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                    delay_ms = (delay_ms * 2).min(supervision.delay_max_ms.max(1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The log owes an answer: who waits for it keeps nobody else waiting.
    fn is_late(&self) {
        if !self.settings.is(Mutant::PermitsUntilAnswered) {
            self.held.late(self.partition);
        }
    }

    /// One try. While the log takes longer than it should, those who wait for it hold no permits.
    async fn asked(&self, group: &Group, timeout: Duration) -> Result<Commit, CommitError> {
        let mut commit = self.ports.log.commit(group.clone());
        let begun = Instant::now();
        if let Ok(answer) = tokio::time::timeout(timeout.min(LATE), &mut commit).await {
            return answer;
        }
        self.is_late();
        match tokio::time::timeout_at(begun + timeout, commit).await {
            Ok(answer) => answer,
            Err(_) => Err(CommitError::Unknown("the log did not answer in time".into())),
        }
    }

    /// Whether the floor in the log is the one that has been reached.
    async fn write_floor(&mut self) -> Result<bool, CommitterError> {
        let floor = self.floors.floor(self.partition, &self.intake);
        if floor == self.intake { Ok(true) } else { self.write_fence().await }
    }

    /// Whether it could be written.
    async fn write_fence(&mut self) -> Result<bool, CommitterError> {
        let group = self.next_group(Vec::new(), Vec::new());
        match self.append(&group).await {
            Ok(_) => Ok(true),
            // It goes with the next fence.
            Err(error) if error.refused_as().is_some() => Ok(false),
            Err(error) => Err(self.ended(error)),
        }
    }
}
