//! The reference adapters of which one part is sick for a while, and the times of what happened at them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::keys::partition_of;
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::ports::{
    Commit, CommitError, Deadlines, DueOrder, EventLog, Group, KeyStanding, LogIdentity, LogPosition,
    LoggedGroup, ParkedOrder, Participant, Participants, PartitionHead, Performed, PortFuture, ReadError,
    Role, Settlement, StepAnswer, StepRequest, StoreError, StoredRecord,
};
use retailflow_engine::wire::command::Step;
use retailflow_testkit::simulated::SimParticipants;

use super::cast::FIRST;
use super::plan::{CrowdPlan, Sickness};
use crate::time::{Dice, WorldClock};

/// Greatest delay of a call, in milliseconds.
const LATENCY_MAX_MS: u64 = 4;
/// Delays of an append, as of a replicated log, in milliseconds.
const APPEND_MS: std::ops::Range<u64> = 3..8;
/// So often others go first, at most.
const HOPS_MAX: u64 = 12;
/// What a read that is not answered waits at most, as a client's own limit would have it.
const READ_MAX: Duration = Duration::from_millis(1_000);
/// One order in so many is charged another amount.
const CONTRADICTED_OF: u64 = 8;

/// When the sickness lasts.
#[derive(Clone, Copy)]
pub(super) struct Spell {
    pub(super) clock: WorldClock,
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

impl Spell {
    pub(super) fn is_on(&self) -> bool {
        (self.from_ms..self.until_ms).contains(&self.clock.elapsed_ms())
    }

    async fn over(&self) {
        let left_ms = self.until_ms.saturating_sub(self.clock.elapsed_ms());
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
    }
}

/// Lets others go first, a few times: whose turn it is when much happens in one millisecond is chance, too.
async fn hops(dice: &Dice) {
    let mut left = dice.below(HOPS_MAX);
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A record of an order was acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Committed {
    pub(super) next_revision: u64,
    /// When it was first proposed.
    pub(super) proposed_ms: u64,
    pub(super) acknowledged_ms: u64,
}

/// A call of a participant for an order.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) key: Arc<str>,
    pub(super) role: Role,
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

/// What happened to each order, and when.
#[derive(Default)]
pub(super) struct Timeline {
    pub(super) commits: Mutex<BTreeMap<OrderRef, Vec<Committed>>>,
    pub(super) calls: Mutex<BTreeMap<OrderRef, Vec<Call>>>,
    /// Orders of which a participant said what contradicts what was asked, and when it did first.
    pub(super) contradicted: Mutex<BTreeMap<OrderRef, u64>>,
}

/// A log of which one partition is sick.
pub(super) struct SickLog {
    inner: Arc<MemoryLog>,
    sickness: Sickness,
    spell: Spell,
    timeline: Arc<Timeline>,
    dice: Dice,
    /// The orders of partitions that the node writes.
    there: Mutex<BTreeMap<PartitionId, BTreeSet<OrderRef>>>,
    /// By partition, number of a group and epoch: when it was first proposed.
    proposed: Mutex<BTreeMap<(PartitionId, u64, u64), u64>>,
}

impl SickLog {
    pub(super) fn new(
        inner: Arc<MemoryLog>,
        sickness: Sickness,
        spell: Spell,
        timeline: Arc<Timeline>,
        dice: Dice,
    ) -> Self {
        Self { inner, sickness, spell, timeline, dice, there: Mutex::default(), proposed: Mutex::default() }
    }

    async fn append(&self, group: Group) -> Result<Commit, CommitError> {
        let partition = group.fence.partition;
        let number = (partition, group.fence.epoch, group.fence.group);
        let proposed_ms = *self.proposed.lock().entry(number).or_insert(self.spell.clock.elapsed_ms());
        if let Some(there) = self.there.lock().get_mut(&partition) {
            there.extend(group.records.iter().map(|record| record.order.clone()));
        }
        tokio::time::sleep(Duration::from_millis(
            APPEND_MS.start + self.dice.below(APPEND_MS.end - APPEND_MS.start),
        ))
        .await;
        if self.spell.is_on() {
            if self.sickness.silences(partition, self.inner.identity().partitions) {
                self.spell.over().await;
                return Err(CommitError::Unknown("it did not answer".into()));
            }
            if self.sickness == Sickness::Replaced(partition) && group.fence.node == FIRST {
                return Err(CommitError::Broken("this node cannot write there".into()));
            }
        }
        let answer = self.inner.commit_now(&group);
        hops(&self.dice).await;
        match &answer {
            Ok(_) => {
                let mut there = self.there.lock();
                there.entry(partition).or_insert_with(|| self.inner.orders(partition));
                let acknowledged_ms = self.spell.clock.elapsed_ms();
                let mut commits = self.timeline.commits.lock();
                for record in &group.records {
                    let next_revision = record.next_revision;
                    let committed = Committed { next_revision, proposed_ms, acknowledged_ms };
                    commits.entry(record.order.clone()).or_default().push(committed);
                }
            }
            Err(CommitError::Fenced { .. } | CommitError::Conflict(_)) => {
                drop(self.there.lock().remove(&partition));
            }
            Err(_) => {}
        }
        answer
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        partition: PartitionId,
        read: PortFuture<'a, Result<T, ReadError>>,
    ) -> PortFuture<'a, Result<T, ReadError>> {
        Box::pin(async move {
            if self.sickness == Sickness::Reads(partition) && self.spell.is_on() {
                return match tokio::time::timeout(READ_MAX, self.spell.over()).await {
                    Ok(()) => read.await,
                    Err(_) => Err(ReadError::Unavailable("it did not answer".into())),
                };
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            read.await
        })
    }

    fn partition(&self, order: &OrderRef) -> PartitionId {
        partition_of(order, self.inner.identity().partitions)
    }
}

impl EventLog for SickLog {
    fn identity(&self) -> LogIdentity {
        self.inner.identity()
    }

    fn commit(&self, group: Group) -> PortFuture<'_, Result<Commit, CommitError>> {
        Box::pin(self.append(group))
    }

    fn probe(&self, partition: PartitionId) -> PortFuture<'_, Result<(), CommitError>> {
        self.inner.probe(partition)
    }

    fn head(&self, partition: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>> {
        self.read(partition, Box::pin(async move { self.inner.head(partition).await }))
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        let read = async move { self.inner.read_order(order, after_revision).await };
        self.read(self.partition(order), Box::pin(read))
    }

    fn seems_new(&self, order: &OrderRef) -> bool {
        self.there.lock().get(&self.partition(order)).is_some_and(|there| !there.contains(order))
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        self.read(partition, Box::pin(async move { self.inner.parked(partition).await }))
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        let read = async move { self.inner.parked_commands(order, after_sequence, limit).await };
        self.read(self.partition(order), Box::pin(read))
    }

    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        self.inner.scan(after, limit_bytes)
    }
}

/// The index of deadlines, which is read where the log is.
pub(super) struct SickDeadlines {
    pub(super) inner: Arc<MemoryLog>,
    pub(super) sickness: Sickness,
    pub(super) spell: Spell,
}

impl Deadlines for SickDeadlines {
    fn list(
        &self,
        partition: PartitionId,
        after: Option<&DueOrder>,
        until: TimestampMs,
        limit: usize,
    ) -> PortFuture<'_, Result<Vec<DueOrder>, StoreError>> {
        let after = after.cloned();
        Box::pin(async move {
            if self.sickness == Sickness::Reads(partition) && self.spell.is_on() {
                tokio::time::sleep(READ_MAX).await;
                return Err(StoreError::Unavailable("it did not answer".into()));
            }
            self.inner.list(partition, after.as_ref(), until, limit).await
        })
    }
}

struct SickParticipant {
    inner: Arc<dyn Participant>,
    role: Role,
    sickness: Sickness,
    spell: Spell,
    slow: Duration,
    timeline: Arc<Timeline>,
    dice: Dice,
}

/// All three, one of them perhaps sick.
pub(super) fn sick_participants(
    sim: &Arc<SimParticipants>,
    plan: &CrowdPlan,
    spell: Spell,
    timeline: &Arc<Timeline>,
    seed: u64,
) -> Participants {
    let ports = sim.ports();
    let of = |role: Role| -> Arc<dyn Participant> {
        Arc::new(SickParticipant {
            inner: ports.of(role).clone(),
            role,
            sickness: plan.sickness,
            spell,
            slow: Duration::from_millis(plan.config.effects.call_timeout_ms.saturating_sub(20)),
            timeline: timeline.clone(),
            dice: Dice::new(seed, 20 + role as u64),
        })
    };
    Participants {
        inventory: of(Role::Inventory),
        payments: of(Role::Payments),
        shipping: of(Role::Shipping),
        review: of(Role::Review),
    }
}

/// Is it one of those that payments charges another amount?
pub(super) fn is_contradicted(order: &OrderRef) -> bool {
    let digits = order.order.as_str().trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse::<u64>().is_ok_and(|number| number % CONTRADICTED_OF == 0)
}

impl SickParticipant {
    async fn call<T>(&self, request: &StepRequest, call: impl Future<Output = T>) -> T {
        let from_ms = self.spell.clock.elapsed_ms();
        // A call counts from its beginning, and again when it is answered: one that is given up was one, too.
        let at = {
            let mut calls = self.timeline.calls.lock();
            let calls = calls.entry(request.order.clone()).or_default();
            calls.push(Call { key: request.key.clone(), role: self.role, from_ms, until_ms: from_ms });
            calls.len() - 1
        };
        let is_sick = self.spell.is_on();
        match self.sickness {
            Sickness::Silent(role) if role == self.role && is_sick => self.spell.over().await,
            Sickness::Slow(role) if role == self.role && is_sick => tokio::time::sleep(self.slow).await,
            _ => tokio::time::sleep(Duration::from_millis(self.dice.below(LATENCY_MAX_MS))).await,
        }
        let answer = call.await;
        hops(&self.dice).await;
        let until_ms = self.spell.clock.elapsed_ms();
        if let Some(call) =
            self.timeline.calls.lock().get_mut(&request.order).and_then(|calls| calls.get_mut(at))
        {
            call.until_ms = until_ms;
        }
        answer
    }

    fn contradict(&self, request: &StepRequest, performed: Performed) -> Performed {
        let is_chosen = self.sickness == Sickness::Contradicts && is_contradicted(&request.order);
        if !is_chosen || request.step != Step::Authorize {
            return performed;
        }
        let now_ms = self.spell.clock.elapsed_ms();
        self.timeline.contradicted.lock().entry(request.order.clone()).or_insert(now_ms);
        Performed { amount_minor: Some(request.amount_minor + 1), ..performed }
    }
}

impl Participant for SickParticipant {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async move {
            match self.call(request, self.inner.perform(request)).await {
                StepAnswer::Done(performed) => StepAnswer::Done(self.contradict(request, performed)),
                other => other,
            }
        })
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async move {
            match self.call(request, self.inner.query(request)).await {
                KeyStanding::Answered(StepAnswer::Done(performed)) => {
                    KeyStanding::Answered(StepAnswer::Done(self.contradict(request, performed)))
                }
                other => other,
            }
        })
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async move {
            match self.call(request, self.inner.settle(request)).await {
                Settlement::Done(performed) => Settlement::Done(self.contradict(request, performed)),
                other => other,
            }
        })
    }
}
