//! The log: the truth, and the fence that decides who may write.

use std::sync::Arc;

use super::PortFuture;
use crate::codec::fence::Fence;
use crate::ids::{CommandKey, OrderRef, PartitionId, TimestampMs};
use crate::keys::{GENESIS, Hash};
use crate::wire::Code;

/// A place in a log. Opaque but for its order: a later record of the same partition has a higher one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(pub u64);

/// What the first record of a log says; a node that differs refuses to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    /// Drawn at random when the log was created.
    pub log_id: [u8; 16],
    /// The cluster's name.
    pub cluster: String,
    /// P: how many partitions orders are spread over.
    pub partitions: u16,
    /// S: how many shards (streams) hold them.
    pub shards: u16,
    /// When it was created.
    pub created: TimestampMs,
}

/// What the commit of a record does to its order's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineChange {
    /// As it was.
    Keep,
    /// Due at this time from now on.
    Set(TimestampMs),
    /// Nothing is waited for any more.
    Clear,
}

/// One order's record in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEntry {
    /// Whose record.
    pub order: OrderRef,
    /// How many decisions the order's log must hold before this record.
    pub expected_revision: u64,
    /// How many it holds after it.
    pub next_revision: u64,
    /// What becomes of its deadline.
    pub deadline: DeadlineChange,
    /// The encoded record.
    pub bytes: Arc<[u8]>,
}

/// A record beside the orders' chains: park marks and parked commands. Unconditional within its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlEntry {
    /// The order it is about.
    pub order: OrderRef,
    /// The encoded control record.
    pub bytes: Arc<[u8]>,
}

/// What is appended at once, all or none. The fence is its first entry; its `digest` covers the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Who writes, as which group, after which.
    pub fence: Fence,
    /// At most one a order.
    pub records: Vec<OrderEntry>,
    /// Park marks and parked commands.
    pub controls: Vec<ControlEntry>,
}

impl Group {
    /// Whether it may follow its partition's last fence, given with its hash; `None` in a partition that nobody has written
    /// yet. Every log decides by this who may write.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] and [`CommitError::LogRegressed`].
    pub fn follows(&self, head: Option<(&Fence, Hash)>) -> Result<(), CommitError> {
        let (epoch, last, hash) =
            head.map_or((0, 0, GENESIS), |(fence, hash)| (fence.epoch, fence.group, hash));
        let fence = &self.fence;
        if fence.epoch < epoch || (head.is_some() && fence.epoch == epoch && fence.group <= last) {
            return Err(CommitError::Fenced { epoch });
        }
        if fence.group > last + 1 {
            let partition = fence.partition;
            let why = format!("group {} of partition {partition} follows group {last}", fence.group);
            return Err(CommitError::LogRegressed(why));
        }
        if fence.group != last + 1 || fence.previous != hash {
            return Err(CommitError::Fenced { epoch });
        }
        Ok(())
    }
}

/// The group is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Where it stands.
    pub position: LogPosition,
}

/// Why a group was not acknowledged, by what the committer does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written. Send the others without this order: its record is of another revision, and it rebuilds and decides again; or
    /// a command of its queue stands under this number already, and takes the next one.
    #[error("order {0} has been written by someone else")]
    Conflict(OrderRef),
    /// Nothing was written, and nothing ever will be under this epoch: stop and answer nothing.
    #[error("a higher epoch ({epoch}) owns the partition")]
    Fenced {
        /// The epoch found in the log.
        epoch: u64,
    },
    /// It may be written now, later or never. Propose the identical group until it is resolved, and no other.
    #[error("the outcome of the group is unknown: {0}")]
    Unknown(String),
    /// Nothing was written; there is no room. The group may be given up or proposed again.
    #[error("the log takes no more for now: {0}")]
    Unavailable(String),
    /// As [`CommitError::Unavailable`], where room is not what is missing: whoever keeps the log does not answer, or has too much to do.
    #[error("the log does not take it now: {0}")]
    Unreachable(String),
    /// As [`CommitError::Unavailable`], where there is room, and other advice: the process may open no further file, and the log
    /// needs one.
    #[error("the process may open no further file: {0}")]
    OutOfFiles(String),
    /// This attempt wrote nothing, and none with this group ever will: it is larger than the log takes, or one entry of it is.
    /// Write its entries in smaller groups; what is refused alone cannot be written at all.
    #[error("the group is larger than the log takes: {why}")]
    TooLarge {
        /// The entry that is too large by itself, counted over the records and then the controls, where the log can tell.
        entry: Option<usize>,
        /// How large, and what is allowed, in words.
        why: String,
    },
    /// The log has lost what it had acknowledged: stop and page.
    #[error("the log lost acknowledged data: {0}")]
    LogRegressed(String),
    /// The log can't be used by this process any more (a failed sync): end the process. Never retried, because
    /// after a failed sync the kernel may have dropped the pages.
    #[error("the log failed for good: {0}")]
    Broken(String),
}

impl CommitError {
    /// How what the group holds is refused, where this attempt wrote nothing for want of room, of files or of an answer.
    #[must_use]
    pub fn refused_as(&self) -> Option<Code> {
        match self {
            Self::Unavailable(_) => Some(Code::StorageFull),
            Self::Unreachable(_) => Some(Code::Unavailable),
            Self::OutOfFiles(_) => Some(Code::OutOfFiles),
            _ => None,
        }
    }
}

/// Why a read gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Passing trouble: try again.
    #[error("the log cannot be read now: {0}")]
    Unavailable(String),
    /// The stored bytes are not what was written; the text names the place.
    #[error("the log is damaged: {0}")]
    Damaged(String),
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Where it stands.
    pub position: LogPosition,
    /// The encoded record.
    pub bytes: Vec<u8>,
}

/// The last fence of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionHead {
    /// The last fence, or none in a partition that nobody has written yet.
    pub fence: Option<Fence>,
    /// Its hash, or `GENESIS`.
    pub hash: Hash,
}

/// An order that is parked, found without reading its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedOrder {
    /// Which order.
    pub order: OrderRef,
    /// Why, for people.
    pub reason: String,
    /// The highest sequence of a command that waits behind it: how many wait, unless one was given up on the way to the
    /// log. The next command takes the sequence after it, so that none is given twice.
    pub queued: u64,
}

/// An entry of a group as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedEntry {
    /// An order's record.
    Record(Vec<u8>),
    /// A control record.
    Control(Vec<u8>),
}

/// A group as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedGroup {
    /// Where it stands.
    pub position: LogPosition,
    /// The encoded fence.
    pub fence: Vec<u8>,
    /// What followed it.
    pub entries: Vec<LoggedEntry>,
}

/// The log of all partitions.
///
/// - `commit` MUST append all entries of the group or none, and MUST return `Ok` only when they are durable to
///   the class the log claims.
/// - `commit` MUST refuse with `Fenced` a group whose epoch is lower than that of the partition's last fence.
/// - `commit` MUST refuse with `Conflict` a group holding a record whose `expected_revision` is not the order's;
///   it names one such order.
/// - `commit` MUST refuse with `Conflict` a group holding a parked command under a number that one has behind the order's present
///   mark, or that it gives twice.
/// - `commit` MUST answer `Ok` to a group identical to the partition's last one, and write nothing.
/// - `commit` MUST answer `TooLarge`, and never `Unavailable` or `Unknown`, to a group that it will not take however often it is
///   sent, because of its size or that of an entry.
/// - `commit` MUST answer `LogRegressed` when the group follows one that the log does not have.
/// - `read_order` MUST show every acknowledged record of the order, in order, at once after the acknowledgement.
/// - `head`, `parked`, `parked_commands` and `scan` MUST agree with what was acknowledged.
/// - `parked_commands` MUST give what waits behind the order's present park mark, in the order of sequences, each
///   sequence once, byte for byte as appended; nothing that came before a release, nothing
///   that came while there was no mark, and nothing of an order that is not parked.
/// - `parked_commands` MUST give fewer than `limit` only where no more wait: callers read in pieces.
/// - A reader MUST NOT see a group in part.
/// - `probe` MUST leave nothing that a reader sees, and nothing that grows however often it is called.
pub trait EventLog: Send + Sync {
    /// What the first record says.
    fn identity(&self) -> LogIdentity;

    /// Appends a group.
    ///
    /// # Errors
    /// [`CommitError`], by what to do next.
    fn commit(&self, group: Group) -> PortFuture<'_, Result<Commit, CommitError>>;

    /// Writes as a commit into the partition does, to the same class of durability, and leaves nothing behind: whether the
    /// log takes writes, and how long that takes. Says nothing of who owns the partition.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`] and [`CommitError::OutOfFiles`] where a commit would be refused so now,
    /// [`CommitError::Unknown`] where nothing was heard, [`CommitError::Broken`].
    fn probe(&self, partition: PartitionId) -> PortFuture<'_, Result<(), CommitError>>;

    /// The partition's last fence.
    ///
    /// # Errors
    /// [`ReadError`].
    fn head(&self, partition: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>>;

    /// Whether the order has no record, told from memory by whoever writes its partition: nothing is read for it, and `false` says
    /// nothing. MUST be `false` where a record of the order was acknowledged here, or stood before the last fence written here.
    /// Somebody who took the partition over since may have written one: what is built on it is then refused by `commit`.
    fn seems_new(&self, _order: &OrderRef) -> bool {
        false
    }

    /// An order's records that hold decisions after `after_revision`, oldest first; empty for an unknown order.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>>;

    /// As [`EventLog::read_order`], but only up to the record that holds decision `after_revision + decisions`, where the
    /// log finds it without reading those after it; where it does not, all.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read_some<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
        _decisions: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        self.read_order(order, after_revision)
    }

    /// Records of the order of which one holds the decision on this command, if there is any; `None` where only reading all
    /// of them would tell. MUST hold the record of every acknowledged decision on it.
    ///
    /// # Errors
    /// [`ReadError`].
    fn find_decision<'a>(
        &'a self,
        _order: &'a OrderRef,
        _command: &'a CommandKey,
    ) -> PortFuture<'a, Result<Option<Vec<StoredRecord>>, ReadError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The parked orders of a partition, in the order of their names.
    ///
    /// # Errors
    /// [`ReadError`].
    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>>;

    /// The encoded parked commands that wait behind an order's mark, of higher sequences than `after_sequence` (0 for the
    /// beginning), `limit` at most; empty for an order that is not parked. What is read while the order is released may
    /// be from before or after.
    ///
    /// # Errors
    /// [`ReadError`].
    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>>;

    /// Groups of all partitions after `after` (`LogPosition(0)` for the beginning), about `limit_bytes` of them;
    /// empty at the end.
    ///
    /// # Errors
    /// [`ReadError`].
    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>>;
}
