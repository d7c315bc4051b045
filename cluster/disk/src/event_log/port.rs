//! The [`EventLog`] port.

use std::sync::Arc;

use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::GENESIS;
use retailflow_engine::ports::{
    Commit, CommitError, EventLog, Group, LogIdentity, LogPosition, LoggedGroup, ParkedOrder, PartitionHead,
    PortFuture, ReadError, StoredRecord,
};
use tokio::sync::{Semaphore, oneshot};

use super::committer::Request;
use super::{DiskLog, Inner, controls};
use crate::index::{IndexError, Lookup};
use crate::log::group::{self, EntryKind};
use crate::log::writer::QueueError;
use crate::log::{FrameKind, LogError, Position};

impl From<IndexError> for super::Trouble {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged(_) => Self::Lost(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<LogError> for super::Trouble {
    fn from(error: LogError) -> Self {
        match error {
            // A newer version's record is whole: an upgrade reads it.
            LogError::Io { .. } | LogError::Unsupported { .. } => Self::Unavailable(error.to_string()),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl From<super::Trouble> for ReadError {
    fn from(trouble: super::Trouble) -> Self {
        match trouble {
            super::Trouble::Unavailable(why) | super::Trouble::Lost(why) => Self::Unavailable(why),
            super::Trouble::Damaged(why) => Self::Damaged(why),
        }
    }
}

/// What a read goes to. Each has turns of its own: reads that hang on one disk keep none of the other waiting.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// The segments of the log, by way of the index.
    Records,
    /// What the index alone holds: marks, deadlines, tenants, dead letters.
    Index,
}

/// How many reads of each source run at a time. More bring nothing from a disk, and each thread that the runtime makes
/// for them keeps some megabytes of the allocator's: 500 of them held 2 GB while all open orders were woken (measured).
#[derive(Debug)]
pub(super) struct Turns {
    records: Arc<Semaphore>,
    index: Arc<Semaphore>,
}

pub(super) const RECORD_READS_MAX: usize = 16;
const INDEX_READS_MAX: usize = 8;

impl Default for Turns {
    fn default() -> Self {
        let turns = |max| Arc::new(Semaphore::new(max));
        Self { records: turns(RECORD_READS_MAX), index: turns(INDEX_READS_MAX) }
    }
}

/// Runs what may touch the disk off the async threads, when it has its turn.
pub(super) async fn blocking<T, E>(
    inner: &Arc<Inner>,
    source: Source,
    work: impl FnOnce(&Inner) -> Result<T, super::Trouble> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<super::Trouble>,
{
    let turns = match source {
        Source::Records => &inner.turns.records,
        Source::Index => &inner.turns.index,
    };
    let Ok(turn) = Arc::clone(turns).acquire_owned().await else {
        return Err(super::Trouble::Unavailable(CLOSED.into()).into());
    };
    let inner = Arc::clone(inner);
    let read = move || {
        // A read that nobody waits for any more holds its turn until it is done: the disk is still at it.
        let _turn = turn;
        let done = work(&inner);
        if let Err(super::Trouble::Lost(why)) = &done {
            // The index is a cache: its damage is no order's fault. The process ends, and builds it again.
            inner.fail(why);
        }
        if let Err(super::Trouble::Damaged(why)) = &done {
            inner.note_damage(why);
        }
        done
    };
    let done = tokio::task::spawn_blocking(read).await;
    // A panic in a reader, or a runtime that is going down.
    let done = done.unwrap_or_else(|error| Err(super::Trouble::Unavailable(error.to_string())));
    done.map_err(E::from)
}

impl Inner {
    fn parked_commands(
        &self,
        order: &OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, super::Trouble> {
        let partitions = self.identity.partitions;
        let waiting = controls::parked_commands(&self.index, order, partitions, after_sequence, limit)?;
        let command = |(wanted, position)| {
            let entry = self.reader.entry(position)?;
            let what = |why: String| {
                LogError::damaged(position, format!("order {order}, parked command {wanted}: {why}"))
            };
            if entry.kind != EntryKind::Control {
                return Err(what("a record stands there".into()).into());
            }
            let decoded = Control::decode(&entry.bytes).map_err(|error| {
                let what = format!("order {order}, parked command {wanted}");
                super::Trouble::undecodable(position, &what, &error)
            })?;
            match decoded {
                Control::ParkedCommand { order: of, sequence, .. } if of == *order && sequence == wanted => {
                    Ok(entry.bytes)
                }
                other => {
                    Err(what(format!("another control record of order {} stands there", other.order()))
                        .into())
                }
            }
        };
        waiting.into_iter().map(command).collect()
    }

    pub(super) fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> Result<Vec<LoggedGroup>, super::Trouble> {
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
}

impl DiskLog {
    /// Sends a group to the writer; where the disk must be asked for orders' places, that is done first, beside it.
    fn send_group(
        &self,
        group: Group,
        answer: oneshot::Sender<Result<Commit, CommitError>>,
    ) -> Result<(), QueueError<Request>> {
        let keys = group.records.iter().map(|record| self.inner.key(&record.order));
        let unknown: Vec<_> = keys.filter(|key| self.inner.places.unknown(key)).collect();
        let request = Request::Commit(Box::new(group), answer);
        let runtime = match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !unknown.is_empty() => runtime,
            _ => return self.send(request),
        };
        let (inner, writer) = (Arc::clone(&self.inner), Arc::downgrade(&self.writer));
        runtime.spawn_blocking(move || {
            // Trouble is met again, and told, by the writer.
            unknown.iter().for_each(|key| drop(inner.places.read(key)));
            let sent = match writer.upgrade() {
                Some(writer) => writer.read().send(request),
                None => Err(QueueError::Closed(request)),
            };
            let (request, error) = match sent {
                Ok(()) => return,
                Err(QueueError::Full(request)) => (request, CommitError::Unavailable(FULL.into())),
                Err(QueueError::Closed(request)) => (request, CommitError::Broken(CLOSED.into())),
            };
            if let Request::Commit(_, answer) = request {
                drop(answer.send(Err(error)));
            }
        });
        Ok(())
    }

    pub(super) fn send(&self, request: Request) -> Result<(), QueueError<Request>> {
        self.writer.read().send(request)
    }
}

const CLOSED: &str = "the log is closed";
const FULL: &str = "the log's queue is full";

impl EventLog for DiskLog {
    fn identity(&self) -> LogIdentity {
        self.inner.identity.clone()
    }

    fn commit(&self, group: Group) -> PortFuture<'_, Result<Commit, CommitError>> {
        let (answer, receiver) = oneshot::channel();
        // Sent at once, not when first polled: a caller may drop the future, and the group is then on its way.
        let sent = self.send_group(group, answer);
        Box::pin(async move {
            match sent {
                Ok(()) => {}
                Err(QueueError::Full(_)) => {
                    return Err(CommitError::Unavailable(FULL.into()));
                }
                Err(QueueError::Closed(_)) => return Err(CommitError::Broken(CLOSED.into())),
            }
            receiver.await.unwrap_or_else(|_| Err(CommitError::Broken(self.inner.ended())))
        })
    }

    fn probe(&self, _partition: PartitionId) -> PortFuture<'_, Result<(), CommitError>> {
        let (answer, receiver) = oneshot::channel();
        // All partitions are in one file.
        let sent = self.send(Request::Probe(answer));
        Box::pin(async move {
            match sent {
                Ok(()) => {}
                Err(QueueError::Full(_)) => return Err(CommitError::Unavailable(FULL.into())),
                Err(QueueError::Closed(_)) => return Err(CommitError::Broken(CLOSED.into())),
            }
            receiver.await.unwrap_or_else(|_| Err(CommitError::Broken(self.inner.ended())))
        })
    }

    fn head(&self, partition: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>> {
        let head = self.inner.heads.read().get(&partition.0).cloned();
        let head = match head {
            Some(head) => PartitionHead { fence: Some(head.fence), hash: head.hash },
            None => PartitionHead { fence: None, hash: GENESIS },
        };
        Box::pin(std::future::ready(Ok(head)))
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        let key = self.inner.key(order);
        // New orders, and orders that the caller knows to the end: answered without a thread.
        let known = match self.inner.places.lookup(&key) {
            Lookup::Found(place) => place.revision <= after_revision,
            Lookup::Absent | Lookup::AskDisk => self.inner.places.absent(&key),
        };
        if known {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        let order = order.clone();
        Box::pin(blocking(&self.inner, Source::Records, move |inner| {
            inner.read_order(&order, after_revision)
        }))
    }

    fn read_some<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
        decisions: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        let order = order.clone();
        Box::pin(blocking(&self.inner, Source::Records, move |inner| {
            inner.read_some(&order, after_revision, decisions)
        }))
    }

    fn find_decision<'a>(
        &'a self,
        order: &'a OrderRef,
        command: &'a CommandKey,
    ) -> PortFuture<'a, Result<Option<Vec<StoredRecord>>, ReadError>> {
        let (order, command) = (order.clone(), command.clone());
        Box::pin(blocking(&self.inner, Source::Records, move |inner| inner.find_decision(&order, &command)))
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        Box::pin(blocking(&self.inner, Source::Index, move |inner| {
            Ok(controls::parked(&inner.index, partition)?)
        }))
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        let order = order.clone();
        let read = move |inner: &Inner| inner.parked_commands(&order, after_sequence, limit);
        Box::pin(blocking(&self.inner, Source::Records, read))
    }

    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        Box::pin(blocking(&self.inner, Source::Records, move |inner| inner.scan(after, limit_bytes)))
    }
}
