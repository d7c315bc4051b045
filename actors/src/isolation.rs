//! For tests: a log of which a partition can be stuck, and what others feel of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId, TimestampMs};
use retailflow_engine::keys::partition_of;
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::ports::{
    Commit, CommitError, EventLog, Group, LogIdentity, LogPosition, LoggedGroup, ParkedOrder, PartitionHead,
    PortFuture, ReadError, StoredRecord,
};
use tokio::sync::watch;

mod admission;
mod fences;
mod parking;
mod probe;
mod reads;
mod residents;
mod room;
mod settings;
mod silence;
mod sizes;
mod stopped;

pub(super) const PARTITIONS: u16 = 4;

/// What does not answer, by partition.
#[derive(Default)]
pub(super) struct Sick {
    /// Appends, which are done when it is well again.
    pub(super) commits: BTreeSet<PartitionId>,
    /// Appends of which is said at once that nobody knows.
    pub(super) unknown: BTreeSet<PartitionId>,
    /// Reads of any kind.
    pub(super) reads: BTreeSet<PartitionId>,
    /// Appends of this node fail for good.
    pub(super) broken: Option<String>,
    /// Appends find that the log lost what it had acknowledged.
    pub(super) regressed: BTreeSet<PartitionId>,
    /// An entry of more bytes is too large; `true`: which one it is, is not told.
    pub(super) entry_max: Option<(usize, bool)>,
    /// So many appends from now on find no room.
    pub(super) no_room: usize,
    /// Appends of records lose against somebody else's.
    pub(super) conflicts: bool,
    /// Appends of records that were tried.
    pub(super) tried: u64,
    /// Park marks are read as they were before anything was queued.
    pub(super) stale_marks: bool,
}

/// A log of which some partitions do not answer.
pub(super) struct SickLog {
    pub(super) inner: Arc<MemoryLog>,
    sick: Mutex<Sick>,
    changed: watch::Sender<()>,
    /// Reads that are not answered.
    reading: watch::Sender<usize>,
    partitions: u16,
}

impl SickLog {
    pub(super) fn new() -> Arc<Self> {
        let identity = LogIdentity {
            log_id: [1; 16],
            cluster: "test".into(),
            partitions: PARTITIONS,
            shards: PARTITIONS,
            created: TimestampMs(0),
        };
        let inner = Arc::new(MemoryLog::new(identity));
        Arc::new(Self {
            inner,
            sick: Mutex::default(),
            changed: watch::Sender::default(),
            reading: watch::Sender::new(0),
            partitions: PARTITIONS,
        })
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Sick)) {
        change(&mut self.sick.lock());
        self.changed.send_replace(());
    }

    async fn answers(&self, is_sick: impl Fn(&Sick) -> bool) {
        let mut changed = self.changed.subscribe();
        let _ = changed.wait_for(|()| !is_sick(&self.sick.lock())).await;
    }

    async fn readable(&self, partition: PartitionId) {
        self.reading.send_modify(|reading| *reading += 1);
        self.answers(|sick| sick.reads.contains(&partition)).await;
        self.reading.send_modify(|reading| *reading -= 1);
    }

    /// Appends of records that were tried.
    pub(super) fn tried(&self) -> u64 {
        self.sick.lock().tried
    }

    /// Reads that wait for an answer.
    pub(super) fn reading(&self) -> usize {
        *self.reading.borrow()
    }

    /// Waits until so many reads wait for an answer.
    pub(super) async fn reads_wait(&self, count: usize) {
        let _ = self.reading.subscribe().wait_for(|reading| *reading >= count).await;
    }
}

/// Orders of a tenant that live in a partition.
pub(super) fn orders_of(tenant: &str, partition: PartitionId, prefix: &str, count: usize) -> Vec<OrderRef> {
    let tenant = TenantId::parse(tenant).unwrap();
    let named = |number: u32| OrderId::parse(&format!("{prefix}-{number}")).unwrap();
    let orders = (0..).map(|number| OrderRef { tenant: tenant.clone(), order: named(number) });
    orders.filter(|order| partition_of(order, PARTITIONS) == partition).take(count).collect()
}

impl EventLog for SickLog {
    fn identity(&self) -> LogIdentity {
        self.inner.identity()
    }

    fn commit(&self, group: Group) -> PortFuture<'_, Result<Commit, CommitError>> {
        Box::pin(async move {
            if self.sick.lock().broken.as_deref() == Some(group.fence.node.as_str()) {
                return Err(CommitError::Broken("the test wants it so".into()));
            }
            let partition = group.fence.partition;
            if let Some(record) = group.records.first() {
                let mut sick = self.sick.lock();
                sick.tried += 1;
                if sick.conflicts {
                    return Err(CommitError::Conflict(record.order.clone()));
                }
            }
            if self.sick.lock().regressed.contains(&partition) {
                return Err(CommitError::LogRegressed("the test wants it so".into()));
            }
            if self.sick.lock().unknown.contains(&partition) {
                return Err(CommitError::Unknown("no leader".into()));
            }
            let entry_max = self.sick.lock().entry_max;
            if let Some((max, unnamed)) = entry_max {
                let records = group.records.iter().map(|record| record.bytes.len());
                let mut sizes = records.chain(group.controls.iter().map(|control| control.bytes.len()));
                if let Some(at) = sizes.position(|bytes| bytes > max) {
                    let entry = Some(at).filter(|_| !unnamed);
                    return Err(CommitError::TooLarge { entry, why: format!("at most {max} bytes") });
                }
            }
            let no_room = {
                let mut sick = self.sick.lock();
                let no_room = sick.no_room > 0;
                sick.no_room = sick.no_room.saturating_sub(1);
                no_room
            };
            if no_room {
                return Err(CommitError::Unavailable("the test wants it so".into()));
            }
            self.answers(|sick| sick.commits.contains(&partition)).await;
            self.inner.commit_now(&group)
        })
    }

    fn probe(&self, partition: PartitionId) -> PortFuture<'_, Result<(), CommitError>> {
        Box::pin(async move {
            if self.sick.lock().unknown.contains(&partition) {
                return Err(CommitError::Unknown("no leader".into()));
            }
            if self.sick.lock().no_room > 0 {
                return Err(CommitError::Unavailable("the test wants it so".into()));
            }
            self.answers(|sick| sick.commits.contains(&partition)).await;
            Ok(())
        })
    }

    fn head(&self, partition: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>> {
        self.inner.head(partition)
    }

    fn seems_new(&self, order: &OrderRef) -> bool {
        !self.inner.orders(partition_of(order, self.partitions)).contains(order)
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        Box::pin(async move {
            self.readable(partition_of(order, self.partitions)).await;
            self.inner.read_order(order, after_revision).await
        })
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        Box::pin(async move {
            self.readable(partition).await;
            let mut parked = self.inner.parked(partition).await?;
            if self.sick.lock().stale_marks {
                parked.iter_mut().for_each(|parked| parked.queued = 0);
            }
            Ok(parked)
        })
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        Box::pin(async move {
            self.readable(partition_of(order, self.partitions)).await;
            self.inner.parked_commands(order, after_sequence, limit).await
        })
    }

    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        self.inner.scan(after, limit_bytes)
    }
}
