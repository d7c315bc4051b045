//! A log of which some partitions answer nobody for a while, and a participant that does the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{
    Commit, CommitError, EventLog, Group, KeyStanding, LogIdentity, LogPosition, LoggedGroup, ParkedOrder,
    Participant, PartitionHead, PortFuture, ReadError, Settlement, StepAnswer, StepRequest, StoredRecord,
};
use tokio::sync::watch;

/// A log's own limit for an answer, as that on NATS has.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Whether it is stuck now.
#[derive(Clone)]
pub(super) struct Switch(watch::Sender<bool>);

impl Switch {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(super) fn set(&self, stuck: bool) {
        self.0.send_replace(stuck);
    }

    async fn well(&self) {
        // The sender is ours: it is never closed.
        let _ = self.0.subscribe().wait_for(|stuck| !stuck).await;
    }
}

pub(super) struct StuckLog {
    pub(super) inner: Arc<dyn EventLog>,
    pub(super) stuck: BTreeSet<PartitionId>,
    pub(super) switch: Switch,
}

impl StuckLog {
    fn home(&self, order: &OrderRef) -> PartitionId {
        partition_of(order, self.inner.identity().partitions)
    }

    /// Waits while the partition is stuck. False: it did not answer in time.
    async fn answers(&self, partition: PartitionId) -> bool {
        if !self.stuck.contains(&partition) {
            return true;
        }
        tokio::time::timeout(ANSWER_MAX, self.switch.well()).await.is_ok()
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        partition: PartitionId,
        read: impl FnOnce(&'a dyn EventLog) -> PortFuture<'a, Result<T, ReadError>> + Send + 'a,
    ) -> PortFuture<'a, Result<T, ReadError>> {
        if !self.stuck.contains(&partition) {
            return read(self.inner.as_ref());
        }
        Box::pin(async move {
            match self.answers(partition).await {
                true => read(self.inner.as_ref()).await,
                false => Err(ReadError::Unavailable("it did not answer".into())),
            }
        })
    }
}

impl EventLog for StuckLog {
    fn identity(&self) -> LogIdentity {
        self.inner.identity()
    }

    fn commit(&self, group: Group) -> PortFuture<'_, Result<Commit, CommitError>> {
        if !self.stuck.contains(&group.fence.partition) {
            return self.inner.commit(group);
        }
        Box::pin(async move {
            match self.answers(group.fence.partition).await {
                true => self.inner.commit(group).await,
                false => Err(CommitError::Unknown("it did not answer".into())),
            }
        })
    }

    fn probe(&self, partition: PartitionId) -> PortFuture<'_, Result<(), CommitError>> {
        if !self.stuck.contains(&partition) {
            return self.inner.probe(partition);
        }
        Box::pin(async move {
            match self.answers(partition).await {
                true => self.inner.probe(partition).await,
                false => Err(CommitError::Unknown("it did not answer".into())),
            }
        })
    }

    fn head(&self, partition: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>> {
        self.read(partition, move |log| log.head(partition))
    }

    fn seems_new(&self, order: &OrderRef) -> bool {
        self.inner.seems_new(order)
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        self.read(self.home(order), move |log| log.read_order(order, after_revision))
    }

    fn read_some<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
        decisions: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        self.read(self.home(order), move |log| log.read_some(order, after_revision, decisions))
    }

    fn find_decision<'a>(
        &'a self,
        order: &'a OrderRef,
        command: &'a CommandKey,
    ) -> PortFuture<'a, Result<Option<Vec<StoredRecord>>, ReadError>> {
        self.read(self.home(order), move |log| log.find_decision(order, command))
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        self.read(partition, move |log| log.parked(partition))
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        self.read(self.home(order), move |log| log.parked_commands(order, after_sequence, limit))
    }

    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        self.inner.scan(after, limit_bytes)
    }
}

/// A participant that answers nobody while it is stuck: it holds what it is asked, and answers afterwards.
pub(super) struct StuckParticipant {
    pub(super) inner: Arc<dyn Participant>,
    pub(super) switch: Switch,
}

impl Participant for StuckParticipant {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async move {
            self.switch.well().await;
            self.inner.perform(request).await
        })
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async move {
            self.switch.well().await;
            self.inner.query(request).await
        })
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async move {
            self.switch.well().await;
            self.inner.settle(request).await
        })
    }
}
