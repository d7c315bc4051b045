//! The log as a whole: its options, its opening and its end.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::ports::{LogIdentity, ReadError};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::outage::{Outage, WriteOutage};
use super::places::Places;
use super::scan::LoggedAt;
use super::state::{Inner, Partition};
use crate::api::Api;
use crate::connect::Connections;
use crate::identity::{self, IdentityError};
use crate::topology::{Topology, TopologyError};

/// How the log behaves here; nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsLogOptions {
    /// How long a group may be on its way before its outcome is `Unknown`, in milliseconds.
    pub commit_timeout_ms: u64,
    /// How long a reader waits for a group that is being stored, in milliseconds.
    pub whole_timeout_ms: u64,
    /// How long the log must lack a group that was acknowledged here before it is called regressed, in milliseconds: longer
    /// than a leader that was deposed may take to notice (about ten seconds).
    pub regressed_after_ms: u64,
    /// Orders a partition whose last sequence is remembered.
    pub orders_remembered_max: usize,
}

impl Default for NatsLogOptions {
    fn default() -> Self {
        Self {
            commit_timeout_ms: 5_000,
            whole_timeout_ms: 5_000,
            regressed_after_ms: 15_000,
            orders_remembered_max: 10_000,
        }
    }
}

/// Why the log cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Its streams are not there.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// It is another one.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl OpenError {
    /// Whether trying again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Topology(error) => error.may_pass(),
            Self::Identity(error) => error.may_pass(),
        }
    }
}

/// The log of all partitions on JetStream.
pub struct NatsLog {
    pub(super) inner: Arc<Inner>,
    pub(super) tasks: TaskTracker,
    /// They list the orders of partitions; nothing is lost with them.
    pub(super) learners: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl NatsLog {
    /// Opens the log in streams that are there ([`Topology::provision`]). The first one ever to do so begins it:
    /// `wanted.log_id` and `wanted.created` are then its own; otherwise what stands there holds.
    ///
    /// # Errors
    /// [`OpenError`]: the log is another one, was made for another topology, or cannot be read.
    pub async fn open(
        connections: &Connections,
        wanted: &LogIdentity,
        options: &NatsLogOptions,
    ) -> Result<Arc<Self>, OpenError> {
        Topology { partitions: wanted.partitions, shards: wanted.shards, replicas: 1 }.check()?;
        let api = Api::new(connections.read.clone(), connections.request_timeout);
        let identity = identity::agree(&api, wanted).await?;
        let partition = |_| Partition {
            writing: tokio::sync::Mutex::default(),
            places: Mutex::new(Places::new(options.orders_remembered_max)),
            new_orders: Mutex::default(),
            parks: tokio::sync::Mutex::default(),
            parks_changes: Mutex::default(),
            deadlines: tokio::sync::Mutex::default(),
            deadlines_changes: Mutex::default(),
            settled: AtomicU64::new(0),
            stored: watch::Sender::new(0),
            write_outage: Mutex::default(),
        };
        let inner = Inner {
            publish: connections.publish.clone(),
            api,
            commit_timeout: Duration::from_millis(options.commit_timeout_ms),
            whole_timeout: Duration::from_millis(options.whole_timeout_ms),
            regressed_after: Duration::from_millis(options.regressed_after_ms),
            partitions: (0..identity.partitions).map(partition).collect(),
            identity,
            learning: Semaphore::new(1),
            no_room: Mutex::default(),
        };
        let (tasks, learners) = (TaskTracker::new(), TaskTracker::new());
        Ok(Arc::new(Self { inner: Arc::new(inner), tasks, learners, stop: CancellationToken::new() }))
    }

    /// Changes with each group of the partition that is acknowledged here: its end in its stream.
    ///
    /// # Panics
    /// When there is no such partition.
    pub(crate) fn stored(&self, partition: PartitionId) -> watch::Receiver<u64> {
        self.inner.partitions[usize::from(partition.0)].stored.subscribe()
    }

    /// For how long a partition could not be written from here though that was tried, and why; `None` where the last try was answered.
    /// One that nobody tries to write is not known to be in trouble. Never waits.
    #[must_use]
    pub fn write_outage(&self, partition: PartitionId) -> Option<WriteOutage> {
        self.inner.partitions.get(usize::from(partition.0))?.write_outage.lock().as_ref().map(Outage::now)
    }

    /// Refuses records for want of room, for this reason, until it is told that there is none any more. What is in doubt is resolved all the
    /// same. For who sees a server's store run full: a replicated NATS whose store has reached its limit gives up all its leaders, and
    /// takes none again before it is restarted (ADR 35).
    pub fn refuse_for_room(&self, why: Option<&str>) {
        let mut now = self.inner.no_room.lock();
        if now.as_deref() != why {
            *now = why.map(Arc::from);
        }
    }

    /// What a partition has after `after`, a sequence in its stream: whole groups, without deadlines, about `limit_bytes` of
    /// them. Gives it, how far it was looked, and whether that is the end.
    pub(crate) async fn entries_after(
        &self,
        partition: PartitionId,
        after: u64,
        limit_bytes: usize,
    ) -> Result<(Vec<LoggedAt>, u64, bool), ReadError> {
        self.inner.entries_after(partition, after, limit_bytes).await
    }

    /// An order's park marks and what belongs to them, before a sequence.
    pub(crate) async fn controls_before(
        &self,
        order: &OrderRef,
        before: u64,
    ) -> Result<Vec<LoggedAt>, ReadError> {
        self.inner.controls_before(order, before).await
    }

    /// Takes no more groups and waits `at_most` for those in flight. Says whether all have ended.
    pub async fn close(&self, at_most: Duration) -> bool {
        self.tasks.close();
        self.learners.close();
        self.stop.cancel();
        self.learners.wait().await;
        tokio::time::timeout(at_most, self.tasks.wait()).await.is_ok()
    }
}
