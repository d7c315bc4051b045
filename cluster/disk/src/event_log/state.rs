//! What readers and the writer of a log share, and how orders are named in its index.
//!
//! Index keys begin with the order's partition, so that one partition's deadlines and parks can be told from the
//! others' without reading a record.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::{self, Hash};
use retailflow_engine::ports::{LogIdentity, LogPosition, LoggedGroup, ReadError, TenantSetting};
use tokio::sync::watch;

use super::failure::LogFailure;
use super::long_orders::LongOrders;
use super::places::Places;
use super::read_permits::ReadPermits;
use super::tail::Tail;
use crate::log::{FrameKind, LogError, LogReader, Position, group};
use retailflow_index::{Index, IndexError};

/// The end of a partition's chain of groups.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) fence: Fence,
    pub(super) hash: Hash,
    pub(super) position: Position,
}

/// What readers and the writer share. Everything in here is durable.
pub(super) struct Inner {
    pub(super) identity: LogIdentity,
    pub(super) reader: LogReader,
    pub(super) index: Arc<Index>,
    pub(super) places: Places,
    pub(super) heads: RwLock<BTreeMap<u16, Head>>,
    pub(super) tenants: RwLock<BTreeMap<TenantId, TenantSetting>>,
    pub(super) tail: Arc<Tail>,
    pub(super) long: RwLock<Option<Weak<dyn LongOrders>>>,
    pub(super) permits: ReadPermits,
    pub(super) failed: watch::Sender<Option<Arc<str>>>,
    /// The first damage that a read came upon.
    pub(super) damage: Mutex<Option<String>>,
    /// Records of orders that were read one by one, for tests.
    #[cfg(test)]
    pub(super) records_read: std::sync::atomic::AtomicU64,
}

impl Inner {
    pub(super) fn key(&self, order: &OrderRef) -> [u8; 16] {
        order_key(order, self.identity.partitions)
    }

    pub(super) fn fail(&self, reason: &str) {
        tracing::error!(event = "log_failed", reason, "the log failed for good");
        self.failed.send_replace(Some(reason.into()));
    }

    /// A read came upon bytes that are not what was written. The rest of the log may be whole.
    pub(super) fn note_damage(&self, why: &str) {
        let mut damage = self.damage.lock();
        if damage.is_none() {
            tracing::error!(
                event = "log_damage",
                why,
                "the log is damaged; take a backup of what is whole, and see `retailflow verify`"
            );
            *damage = Some(why.to_owned());
        }
    }

    /// A request was dropped unanswered. A writer that is closed answers all; so it panicked.
    pub(super) fn ended(&self) -> String {
        let reason = "the log's writer ended without an answer";
        self.fail(reason);
        reason.into()
    }

    /// What a failed index says. A damaged one does not heal: it has to be built again, and so the log opened anew. One that
    /// cannot be read or written now may be later.
    pub(super) fn lost(&self, error: &IndexError) -> String {
        let reason = error.to_string();
        if matches!(error, IndexError::Damaged(_)) {
            self.fail(&reason);
        }
        reason
    }

    /// The groups after `after`, about `limit_bytes` of them; none at the end.
    pub(super) fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> Result<Vec<LoggedGroup>, LogFailure> {
        let mut after = Some(Position(after.0)).filter(|after| after.0 != 0);
        loop {
            let frames = self.reader.frames_after(after, limit_bytes.max(1))?;
            let Some(last) = frames.last() else { return Ok(Vec::new()) };
            after = Some(last.position);
            let mut groups = Vec::with_capacity(frames.len());
            for frame in frames.iter().filter(|frame| frame.kind == FrameKind::Group) {
                groups.push(group::logged(frame).map_err(|why| LogError::damaged(frame.position, why))?);
            }
            // Frames that are no groups must not look like the end.
            if !groups.is_empty() {
                return Ok(groups);
            }
        }
    }

    /// A read's outcome in the port's words.
    pub(super) fn read_outcome<T>(&self, done: Result<T, LogFailure>) -> Result<T, ReadError> {
        if let Err(LogFailure::Lost(why)) = &done {
            // The index is a cache: its damage is no order's fault. The process ends, and builds it again.
            self.fail(why);
        }
        Ok(done?)
    }
}

/// The partition's number, then 112 bits of the order's name.
pub(super) fn order_key(order: &OrderRef, partitions: u16) -> [u8; 16] {
    let mut key = keys::order_key(order);
    key[..2].copy_from_slice(&keys::partition_of(order, partitions).0.to_be_bytes());
    key
}

pub(super) fn key_partition(key: &[u8; 16]) -> PartitionId {
    PartitionId(u16::from_be_bytes([key[0], key[1]]))
}

/// The positions of the partitions' last groups, as they are stored with the index's cursor.
pub(super) fn encode_heads(heads: impl Iterator<Item = (u16, Position)>) -> Vec<u8> {
    heads
        .flat_map(|(partition, position)| {
            let [a, b] = partition.to_be_bytes();
            let mut entry = [a, b, 0, 0, 0, 0, 0, 0, 0, 0];
            entry[2..].copy_from_slice(&position.0.to_be_bytes());
            entry
        })
        .collect()
}

pub(super) fn decode_heads(bytes: &[u8]) -> BTreeMap<u16, Position> {
    let (entries, _) = bytes.as_chunks::<10>();
    let entry = |entry: &[u8; 10]| {
        let [a, b, rest @ ..] = *entry;
        (u16::from_be_bytes([a, b]), Position(u64::from_be_bytes(rest)))
    };
    entries.iter().map(entry).collect()
}

/// Orders' new places that are not durable yet.
pub(super) type Pending<T> = HashMap<[u8; 16], T>;
pub(super) type Keys = HashSet<[u8; 16]>;
