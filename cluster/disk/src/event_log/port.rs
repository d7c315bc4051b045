//! The [`EventLog`] port.

use std::sync::Arc;

use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{CommandKey, OrderRef, PartitionId};
use retailflow_engine::keys::GENESIS;
use retailflow_engine::ports::{
    Commit, CommitError, EventLog, Group, LogIdentity, LogPosition, LoggedGroup, ParkedOrder, PartitionHead,
    PortFuture, ReadError, StoredRecord,
};
use tokio::sync::oneshot;

use super::blocking::{CLOSED, blocking};
use super::committer::Request;
use super::controls;
use super::disk_log::DiskLog;
use super::failure::LogFailure;
use super::read_permits::Source;
use super::state::Inner;
use crate::log::LogError;
use crate::log::group::EntryKind;
use crate::log::writer::QueueError;
use retailflow_index::Lookup;

impl Inner {
    fn parked_commands(
        &self,
        order: &OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, LogFailure> {
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
                LogFailure::undecodable(position, &what, &error)
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
}

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
