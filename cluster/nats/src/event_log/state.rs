//! What is known of a log and of its partitions, in memory.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_nats::Client;
use parking_lot::Mutex;
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::keys::Hash;
use retailflow_engine::ports::{LogIdentity, ReadError};
use tokio::sync::{Semaphore, watch};

use super::changelog::{Changelog, Indexed};
use super::deadlines::OpenDeadlines;
use super::new_orders::NewOrderIndex;
use super::outage::Outage;
use super::parks::Parks;
use super::places::Places;
use crate::api::Api;

pub(super) struct Inner {
    pub(super) identity: LogIdentity,
    pub(super) publish: Client,
    pub(super) api: Api,
    pub(super) commit_timeout: Duration,
    pub(super) whole_timeout: Duration,
    pub(super) regressed_after: Duration,
    pub(super) partitions: Vec<Partition>,
    /// Who lists a partition's orders.
    pub(super) learning: Semaphore,
    /// Why nothing but fences is written now.
    pub(super) no_room: Mutex<Option<Arc<str>>>,
}

pub(super) struct Partition {
    pub(super) writing: tokio::sync::Mutex<Writing>,
    pub(super) places: Mutex<Places>,
    pub(super) new_orders: Mutex<NewOrderIndex>,
    /// This and `deadlines` are locked before `writing`, never while that is held.
    pub(super) parks: tokio::sync::Mutex<Parks>,
    pub(super) parks_changes: Mutex<Changelog<<Parks as Indexed>::Change>>,
    pub(super) deadlines: tokio::sync::Mutex<OpenDeadlines>,
    pub(super) deadlines_changes: Mutex<Changelog<<OpenDeadlines as Indexed>::Change>>,
    /// The end of its latest group that is known to be stored whole: what it has there or before may be shown.
    pub(super) settled: AtomicU64,
    /// The end of its latest group that was acknowledged here.
    pub(super) stored: watch::Sender<u64>,
    /// What has kept it from being written, since the last time that it was.
    pub(super) write_outage: Mutex<Option<Outage>>,
}

/// What whoever commits to a partition knows of it.
#[derive(Default)]
pub(super) struct Writing {
    /// The last group, if `known`; none in a partition that nobody has written yet.
    pub(super) head: Option<Head>,
    /// Whether `head` was read or written, and nothing has cast doubt on it since.
    pub(super) known: bool,
    /// The last group acknowledged here: the log may never fall behind it.
    pub(super) acknowledged: Option<(u64, Hash)>,
    /// The group that was sent and of which nobody knows whether it is stored.
    pub(super) in_doubt: Option<Hash>,
}

/// A partition's last group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) fence: Fence,
    pub(super) hash: Hash,
    /// The sequence of its fence.
    pub(super) sequence: u64,
    /// The sequence of its last message.
    pub(super) end: u64,
}

impl Inner {
    pub(super) fn partition(&self, partition: PartitionId) -> Result<&Partition, ReadError> {
        let all = self.partitions.get(usize::from(partition.0));
        all.ok_or_else(|| ReadError::Unavailable(format!("there is no partition {partition}")))
    }
}
