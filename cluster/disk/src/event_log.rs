//! The log on one machine: [`EventLog`](retailflow_engine::ports::EventLog) and its neighbours over the segment log and its index.
//!
//! Invariants:
//! - The log is the truth. The index is built from it, is never ahead of it, and is thrown away when in doubt.
//! - One thread checks every condition and writes, so a condition that held when it was checked holds when the group
//!   is durable.
//! - What was written is made visible (index, heads, parks, tenants) after it is durable and before it is
//!   acknowledged: a read after the acknowledgement sees it, and no read sees what is not durable.
//!
//! Index keys begin with the order's partition, so that one partition's deadlines and parks can be told from the
//! others' without reading a record.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use retailflow_engine::codec::CodecError;
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::{self, Hash};
use retailflow_engine::ports::{LogIdentity, TenantSetting};
use tokio::sync::watch;

use self::port::Turns;
use super::index::{Index, IndexError, IndexOptions};
use super::log::{LogError, LogOptions, LogReader, Place, Position, Writer};
pub use backup::DiskBackup;
use committer::Request;
use places::Places;

mod backup;
mod committer;
mod controls;
mod long;
mod open;
mod places;
mod port;
pub mod scrub;
mod stores;
mod tail;
#[cfg(test)]
mod tests;

pub(super) use long::{KnownRecords, LONG_MIN, LongOrders};
pub use open::{CatchUp, OpenError, OpenReport};
pub(super) use tail::Tail;

/// How a [`DiskLog`] is set up.
#[derive(Debug, Clone)]
pub struct DiskLogOptions {
    /// Sizes of the segment log.
    pub log: LogOptions,
    /// Sizes of the index.
    pub index: IndexOptions,
    /// Groups and notes that may wait for the writer; over it, a commit answers `Unavailable`. One group a partition
    /// is in flight, so P and a few is enough.
    pub queue_max: usize,
    /// Places of orders kept in memory beside the index.
    pub places_max: usize,
    /// A log of up to so many bytes is read as a whole before it is opened, so that damage anywhere is refused (0.3 s
    /// for 240 MB, measured). In a larger one only the end is, and the scrubber reads the rest.
    pub check_max_bytes: u64,
}

impl Default for DiskLogOptions {
    fn default() -> Self {
        Self {
            log: LogOptions::default(),
            index: IndexOptions::default(),
            queue_max: 1024,
            places_max: 65_536,
            check_max_bytes: 512 << 20,
        }
    }
}

/// The durable log of one machine. Close it with [`DiskLog::close`]; dropping it drains the queue and marks the clean
/// stop too, but leaves the index behind.
pub struct DiskLog {
    inner: Arc<Inner>,
    writer: Arc<RwLock<Writer<Request>>>,
    scrubber: Mutex<Option<scrub::Scrubber>>,
    lock: Mutex<Option<Box<dyn retailflow_os::files::LockGuard>>>,
}

/// The end of a partition's chain of groups.
#[derive(Debug, Clone)]
struct Head {
    fence: Fence,
    hash: Hash,
    position: Position,
}

/// What readers and the writer share. Everything in here is durable.
struct Inner {
    identity: LogIdentity,
    reader: LogReader,
    index: Arc<Index>,
    places: Places,
    heads: RwLock<BTreeMap<u16, Head>>,
    tenants: RwLock<BTreeMap<TenantId, TenantSetting>>,
    tail: Arc<Tail>,
    long: RwLock<Option<Weak<dyn LongOrders>>>,
    turns: Turns,
    failed: watch::Sender<Option<Arc<str>>>,
    /// The first damage that a read came upon.
    damage: Mutex<Option<String>>,
    /// Records of orders that were read one by one, for tests.
    #[cfg(test)]
    records_read: std::sync::atomic::AtomicU64,
}

impl Inner {
    fn key(&self, order: &OrderRef) -> [u8; 16] {
        order_key(order, self.identity.partitions)
    }

    fn fail(&self, reason: &str) {
        tracing::error!(reason, "the log failed for good");
        self.failed.send_replace(Some(reason.into()));
    }

    /// A read came upon bytes that are not what was written. The rest of the log may be whole.
    fn note_damage(&self, why: &str) {
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
    fn ended(&self) -> String {
        let reason = "the log's writer ended without an answer";
        self.fail(reason);
        reason.into()
    }

    /// What a failed index says. A damaged one does not heal: it has to be built again, and so the log opened anew. One that
    /// cannot be read or written now may be later.
    fn lost(&self, error: &IndexError) -> String {
        let reason = error.to_string();
        if matches!(error, IndexError::Damaged(_)) {
            self.fail(&reason);
        }
        reason
    }
}

/// Why a read or a note failed, before it is told in a port's words.
#[derive(Debug)]
enum Trouble {
    Unavailable(String),
    /// The index has failed, and heals only by being built again.
    Lost(String),
    Damaged(String),
}

impl Trouble {
    /// What stands at `position` cannot be decoded. A newer version's record is whole: an upgrade reads it.
    fn undecodable(position: Position, what: &str, error: &CodecError) -> Self {
        match error {
            CodecError::Unsupported { .. } => {
                Self::Unavailable(format!("{what}: {}: {error}", Place(position)))
            }
            error => LogError::damaged(position, format!("{what}: {error}")).into(),
        }
    }
}

/// The partition's number, then 112 bits of the order's name.
fn order_key(order: &OrderRef, partitions: u16) -> [u8; 16] {
    let mut key = keys::order_key(order);
    key[..2].copy_from_slice(&keys::partition_of(order, partitions).0.to_be_bytes());
    key
}

fn key_partition(key: &[u8; 16]) -> PartitionId {
    PartitionId(u16::from_be_bytes([key[0], key[1]]))
}

/// The positions of the partitions' last groups, as they are stored with the index's cursor.
fn encode_heads(heads: impl Iterator<Item = (u16, Position)>) -> Vec<u8> {
    heads
        .flat_map(|(partition, position)| {
            let [a, b] = partition.to_be_bytes();
            let mut entry = [a, b, 0, 0, 0, 0, 0, 0, 0, 0];
            entry[2..].copy_from_slice(&position.0.to_be_bytes());
            entry
        })
        .collect()
}

fn decode_heads(bytes: &[u8]) -> BTreeMap<u16, Position> {
    let (entries, _) = bytes.as_chunks::<10>();
    let entry = |entry: &[u8; 10]| {
        let [a, b, rest @ ..] = *entry;
        (u16::from_be_bytes([a, b]), Position(u64::from_be_bytes(rest)))
    };
    entries.iter().map(entry).collect()
}

impl DiskLog {
    /// Holds the reason once the log has failed for good; the process must then end.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.inner.failed.subscribe()
    }

    /// What tokens that strangers are shown can be sealed with, after a derivation of their own. Shown to nobody.
    #[must_use]
    pub fn secret(&self) -> [u8; 16] {
        self.inner.reader.secret()
    }

    /// The first damage that a read of this process came upon, if any.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        self.inner.damage.lock().clone()
    }

    /// Sizes of the index, for gauges.
    #[must_use]
    pub fn index_stats(&self) -> super::index::IndexStats {
        self.inner.index.stats()
    }

    /// Takes no more, makes durable what waits, marks the clean stop, writes the index, gives up the lock. Blocks.
    pub fn close(&self) {
        self.writer.write().close();
        drop(self.scrubber.lock().take());
        if let Err(error) = self.inner.index.close() {
            tracing::warn!(%error, "the index was not written; it is caught up at the next start");
        }
        *self.lock.lock() = None;
    }
}

impl Drop for DiskLog {
    fn drop(&mut self) {
        // Not left to the writer's own end: a read of places that is under way may hold it for a moment longer.
        self.writer.write().close();
    }
}

/// The folders of a log under its data folder.
fn folders(data: &std::path::Path) -> (PathBuf, PathBuf) {
    (data.join("log"), data.join("index"))
}

/// Orders' new places that are not durable yet.
type Pending<T> = HashMap<[u8; 16], T>;
type Keys = HashSet<[u8; 16]>;
