//! The log in memory behind a network that loses answers, is late, refuses, and lets a competing writer in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::codec::fence::fence_hash;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::{hex, partition_of};
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::ports::{
    Commit, CommitError, EventLog, Group, LogIdentity, LogPosition, LoggedGroup, ParkedOrder, PartitionHead,
    PortFuture, ReadError, StoredRecord,
};

use crate::competing_writer::CompetingWriter;
use crate::faults::{Fault, FaultDeck};
use crate::trace::Trace;
use crate::watch::{Attempt, Watch};

/// Greatest delay of an append that comes after its answer, in milliseconds.
const LATE_MAX_MS: u64 = 600;

/// A [`MemoryLog`] with faults in front of it.
pub(crate) struct FaultyLog {
    pub(crate) inner: Arc<MemoryLog>,
    pub(crate) deck: Arc<FaultDeck>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) competing_writer: Arc<CompetingWriter>,
    pub(crate) watch: Arc<Watch>,
    /// The orders of partitions that the node writes, as far as it knows: a competing writer's are not in it.
    pub(crate) there: Mutex<BTreeMap<PartitionId, BTreeSet<OrderRef>>>,
}

impl FaultyLog {
    async fn delay(&self) {
        let delay_ms = self.deck.latency_ms();
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
    }

    /// The group reaches the log after its proposer was told that nobody knows.
    fn late(&self, group: Group) {
        let (inner, trace) = (self.inner.clone(), self.trace.clone());
        let delay_ms = 1 + self.deck.dice().below(LATE_MAX_MS);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            let answer = inner.commit_now(&group);
            trace.note(format!("late: {} {}", named(&group), describe(&answer)));
        });
    }

    async fn append(&self, group: Group) -> Result<Commit, CommitError> {
        let attempt = self.attempt(&group).await?;
        let was_in_doubt = self.watch.proposed(&attempt);
        let records: Vec<(OrderRef, u64)> =
            group.records.iter().map(|record| (record.order.clone(), record.expected_revision)).collect();
        if let Some(there) = self.there.lock().get_mut(&group.fence.partition) {
            there.extend(group.records.iter().map(|record| record.order.clone()));
        }
        let (name, partition) = (named(&group), group.fence.partition);
        self.delay().await;
        let fault = self.deck.append();
        let unknown = || Err(CommitError::Unknown("the world wants it so".into()));
        let answer = match fault {
            None => self.inner.commit_now(&group),
            Some(Fault::CompetingWriter) => {
                self.trace.note(self.competing_writer.take_over(&self.inner, &group, self.deck.dice()).await);
                self.inner.commit_now(&group)
            }
            Some(Fault::LostAnswer | Fault::Silent) => {
                let answer = self.inner.commit_now(&group);
                self.trace.note(format!("unheard: {name} {}", describe(&answer)));
                unknown()
            }
            Some(Fault::LateUnknown | Fault::LateSilent) => {
                self.late(group);
                unknown()
            }
            Some(Fault::NoRoom) => Err(CommitError::Unavailable("the world wants it so".into())),
            Some(_) => unknown(),
        };
        if matches!(fault, Some(Fault::Silent | Fault::LateSilent)) {
            self.trace.note(format!("no answer: {name}"));
            std::future::pending::<()>().await;
        }
        self.delay().await;
        self.trace.note(format!("append: {name} {}", describe(&answer)));
        self.remember(partition, &answer);
        self.watch.answered(&attempt, was_in_doubt, &answer, &records);
        answer
    }

    fn remember(&self, partition: PartitionId, answer: &Result<Commit, CommitError>) {
        let mut there = self.there.lock();
        match answer {
            Ok(_) => drop(there.entry(partition).or_insert_with(|| self.inner.orders(partition))),
            // Somebody else writes, or has written.
            Err(CommitError::Fenced { .. } | CommitError::Conflict(_)) => drop(there.remove(&partition)),
            Err(_) => {}
        }
    }

    async fn attempt(&self, group: &Group) -> Result<Attempt, CommitError> {
        let broken = |error: String| CommitError::Broken(error);
        let bytes = group.fence.encode().map_err(|error| broken(error.to_string()))?;
        let head = self.inner.head(group.fence.partition).await.map_err(|error| broken(error.to_string()))?;
        Ok(Attempt {
            partition: group.fence.partition,
            epoch: group.fence.epoch,
            number: group.fence.group,
            hash: fence_hash(&bytes),
            take_over: head.fence.is_none_or(|last| last.epoch < group.fence.epoch),
        })
    }

    fn read<'a, T>(
        &'a self,
        what: &'static str,
        read: PortFuture<'a, Result<T, ReadError>>,
    ) -> PortFuture<'a, Result<T, ReadError>>
    where
        T: Send + 'a,
    {
        Box::pin(async move {
            let delay_ms = self.deck.latency_ms() / 2;
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            if self.deck.read() {
                self.trace.note(format!("read fails: {what}"));
                return Err(ReadError::Unavailable("the world wants it so".into()));
            }
            read.await
        })
    }
}

/// A group's name in traces: its hash says what is in it.
fn named(group: &Group) -> String {
    let fence = &group.fence;
    let hash = fence.encode().map(|bytes| hex(&fence_hash(&bytes)[..4])).unwrap_or_default();
    let orders: Vec<String> =
        group.records.iter().map(|record| format!("{}@{}", record.order, record.expected_revision)).collect();
    format!(
        "p{} e{} g{} {hash} [{}] {} controls",
        fence.partition,
        fence.epoch,
        fence.group,
        orders.join(" "),
        group.controls.len()
    )
}

fn describe(answer: &Result<Commit, CommitError>) -> String {
    match answer {
        Ok(commit) => format!("→ position {}", commit.position.0),
        Err(error) => format!("→ {error:?}"),
    }
}

impl EventLog for FaultyLog {
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
        // Read when asked for, not when the future was made.
        self.read("head", Box::pin(async move { self.inner.head(partition).await }))
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        self.read("order", Box::pin(async move { self.inner.read_order(order, after_revision).await }))
    }

    fn seems_new(&self, order: &OrderRef) -> bool {
        let partition = partition_of(order, self.inner.identity().partitions);
        self.there.lock().get(&partition).is_some_and(|there| !there.contains(order))
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        self.read("parked", Box::pin(async move { self.inner.parked(partition).await }))
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        let read = async move { self.inner.parked_commands(order, after_sequence, limit).await };
        self.read("parked commands", Box::pin(read))
    }

    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        self.inner.scan(after, limit_bytes)
    }
}
