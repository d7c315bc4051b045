//! The ports beside the log: deadlines, snapshots, dead letters, tenants.

use retailflow_engine::codec::control::Note;
use retailflow_engine::codec::record;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId, TimestampMs};
use retailflow_engine::ports::{
    DeadLetter, DeadLetters, Deadlines, DueOrder, PortFuture, Snapshots, StoreError, StoredDeadLetter,
    TenantSetting, Tenants,
};
use tokio::sync::oneshot;

use super::blocking::blocking;
use super::committer::Request;
use super::controls;
use super::disk_log::DiskLog;
use super::failure::LogFailure;
use super::read_permits::Source;
use super::state::{Inner, key_partition};
use crate::log::writer::QueueError;
use crate::log::{LogError, Position};

/// Deadlines looked through at once for those of one partition.
const DEADLINES_PAGE: usize = 4_096;

impl Inner {
    fn deadlines(
        &self,
        partition: PartitionId,
        after: Option<(i64, [u8; 16])>,
        until: TimestampMs,
        limit: usize,
    ) -> Result<Vec<DueOrder>, LogFailure> {
        let mut due = Vec::new();
        let mut after = after;
        while due.len() < limit {
            let page = self.index.deadlines(until.0, after, DEADLINES_PAGE)?;
            let ended = page.len() < DEADLINES_PAGE;
            after = page.last().map(|(at, key, _)| (*at, *key));
            let here = page.into_iter().filter(|(_, key, _)| key_partition(key) == partition);
            for (at, _, position) in here.take(limit - due.len()) {
                let position = Position(position);
                let entry = self.reader.entry(position)?;
                let summary = record::summary(&entry.bytes)
                    .map_err(|error| LogFailure::undecodable(position, "a due order's record", &error))?;
                due.push(DueOrder { at: TimestampMs(at), order: summary.order });
            }
            if ended {
                break;
            }
        }
        Ok(due)
    }

    fn letters(&self, after: u64, limit: usize) -> Result<Vec<StoredDeadLetter>, LogFailure> {
        let mut letters = Vec::new();
        for position in controls::letters(&self.index, after, limit)? {
            let frame = self.reader.frame(position)?;
            match Note::decode(&frame.payload) {
                Ok(Note::DeadLetter(letter)) => {
                    letters.push(StoredDeadLetter { position: position.0, letter })
                }
                Ok(_) => return Err(LogError::damaged(position, "no dead letter stands here").into()),
                Err(error) => return Err(LogError::damaged(position, error.to_string()).into()),
            }
        }
        Ok(letters)
    }
}

impl DiskLog {
    fn put_note(&self, note: Note) -> PortFuture<'_, Result<(), StoreError>> {
        let (answer, receiver) = oneshot::channel();
        let sent = self.send(Request::Put(Box::new(note), answer));
        Box::pin(async move {
            let why = match sent {
                Ok(()) => {
                    return receiver
                        .await
                        .unwrap_or_else(|_| Err(StoreError::Unavailable(self.inner.ended())));
                }
                Err(QueueError::Full(_)) => "the log's queue is full",
                Err(QueueError::Closed(_)) => "the log is closed",
            };
            Err(StoreError::Unavailable(why.into()))
        })
    }
}

impl Deadlines for DiskLog {
    fn list(
        &self,
        partition: PartitionId,
        after: Option<&DueOrder>,
        until: TimestampMs,
        limit: usize,
    ) -> PortFuture<'_, Result<Vec<DueOrder>, StoreError>> {
        let after = after.map(|due| (due.at.0, self.inner.key(&due.order)));
        Box::pin(blocking(&self.inner, Source::Index, move |inner| {
            inner.deadlines(partition, after, until, limit)
        }))
    }
}

impl Snapshots for DiskLog {
    fn load<'a>(&'a self, order: &'a OrderRef) -> PortFuture<'a, Option<Vec<u8>>> {
        let key = self.inner.key(order);
        if self.inner.places.absent(&key) {
            // A new order has none: nothing to leave the async threads for.
            return Box::pin(async { None });
        }
        Box::pin(async move {
            let loaded: Result<_, StoreError> = blocking(&self.inner, Source::Index, move |inner| {
                // For a filter that says "perhaps": a block is read without a lock, sled is not.
                let there = inner.places.read(&key)?.is_some();
                Ok(there.then(|| inner.index.load_snapshot(&key)).flatten())
            })
            .await;
            loaded.unwrap_or_default()
        })
    }

    fn save(&self, order: &OrderRef, bytes: Vec<u8>) {
        self.inner.index.save_snapshot(self.inner.key(order), bytes);
    }
}

impl DeadLetters for DiskLog {
    fn put(&self, letter: DeadLetter) -> PortFuture<'_, Result<(), StoreError>> {
        self.put_note(Note::DeadLetter(letter))
    }

    fn list(&self, after: u64, limit: usize) -> PortFuture<'_, Result<Vec<StoredDeadLetter>, StoreError>> {
        Box::pin(blocking(&self.inner, Source::Records, move |inner| inner.letters(after, limit)))
    }
}

impl Tenants for DiskLog {
    fn get(&self, tenant: &TenantId) -> Option<TenantSetting> {
        self.inner.tenants.read().get(tenant).cloned()
    }

    fn put(&self, setting: TenantSetting) -> PortFuture<'_, Result<(), StoreError>> {
        self.put_note(Note::Tenant(setting))
    }

    fn list(&self) -> Vec<TenantSetting> {
        self.inner.tenants.read().values().cloned().collect()
    }

    fn count(&self) -> usize {
        self.inner.tenants.read().len()
    }
}
