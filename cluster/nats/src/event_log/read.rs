//! Reading heads and orders, up to what the leader says is there.

use std::sync::atomic::Ordering;
use std::time::Duration;

use retailflow_engine::codec::fence::{Fence, fence_hash};
use retailflow_engine::codec::record;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{ReadError, StoredRecord};
use tokio::time::Instant;

use super::places::Place;
use super::scan::position;
use super::state::{Head, Inner};
use crate::answers::ApiFailure;
use crate::api::StoredMessage;
use crate::subjects;

/// Between two looks at a group that is being stored.
const WHOLE_PAUSE: Duration = Duration::from_millis(2);

impl Inner {
    pub(super) fn shard(&self, partition: PartitionId) -> u16 {
        subjects::shard_of(partition, self.identity.shards)
    }

    pub(super) fn stream(&self, partition: PartitionId) -> String {
        subjects::stream(self.shard(partition))
    }

    /// The last group of a partition, whole, as the leader has it.
    pub(super) async fn read_head(&self, partition: PartitionId) -> Result<Option<Head>, ApiFailure> {
        if partition.0 >= self.identity.partitions {
            return Ok(None);
        }
        let stream = self.stream(partition);
        let Some(stored) = self.api.last(&stream, &subjects::fence(partition)).await? else {
            return Ok(None);
        };
        let fence = Fence::decode(&stored.payload);
        let fence = fence.map_err(|error| stored.unreadable(&stream, &error))?;
        self.await_whole(partition, &stored).await?;
        let end = stored.group_end();
        Ok(Some(Head { fence, hash: fence_hash(&stored.payload), sequence: stored.sequence, end }))
    }

    /// Waits until the group of this message is stored whole. The server stores a batch's messages one after another: who
    /// reads in the meantime, or after a crash that tore one, must not take a part for the whole.
    pub(super) async fn await_whole(
        &self,
        partition: PartitionId,
        of: &StoredMessage,
    ) -> Result<(), ApiFailure> {
        let (stream, end) = (self.stream(partition), of.group_end());
        let settled = &self.partitions[usize::from(partition.0)].settled;
        let torn = || {
            ApiFailure::Strange(format!(
                "{stream}: the group of {} at {} is not whole",
                of.subject, of.sequence
            ))
        };
        let begun = Instant::now();
        while end > of.sequence && settled.load(Ordering::Acquire) < end {
            match self.api.at(&stream, end).await? {
                Some(last) if last.number == of.of && last.of == of.of => {}
                // Another group's, in its place.
                Some(_) => return Err(torn()),
                // A deadline that is superseded by now is gone; what comes behind it is there.
                None if self.api.info(&stream).await?.last_sequence >= end => {}
                None if begun.elapsed() > self.whole_timeout => return Err(torn()),
                None => {
                    tokio::time::sleep(WHOLE_PAUSE).await;
                    continue;
                }
            }
            settled.fetch_max(end, Ordering::AcqRel);
        }
        Ok(())
    }

    pub(super) async fn read_order(
        &self,
        order: &OrderRef,
        after_revision: u64,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        let partition = partition_of(order, self.identity.partitions);
        let (shard, stream) = (self.shard(partition), self.stream(partition));
        let subject = subjects::record(partition, order);
        let Some(last) = self.api.last(&stream, &subject).await? else { return Ok(Vec::new()) };
        self.await_whole(partition, &last).await?;
        let summary = summary(order, &stream, &last)?;
        let place = Place { sequence: last.sequence, revision: summary.next_revision };
        self.partitions[usize::from(partition.0)].places.lock().note(order, place);
        if summary.next_revision <= after_revision {
            return Ok(Vec::new());
        }
        let mut all = if summary.expected_revision <= after_revision {
            Vec::new()
        } else {
            self.api.range(&stream, &subject, 1, last.sequence - 1, usize::MAX).await?.0
        };
        all.push(last);
        let mut records = Vec::with_capacity(all.len());
        let mut reached = None;
        for stored in all {
            let summary = self::summary(order, &stream, &stored)?;
            if let Some(reached) = reached.filter(|reached| *reached != summary.expected_revision) {
                let (sequence, expected) = (stored.sequence, summary.expected_revision);
                let why =
                    format!("{stream}, sequence {sequence}: revision {expected} after {reached} of {order}");
                return Err(ReadError::Damaged(why));
            }
            reached = Some(summary.next_revision);
            if summary.next_revision > after_revision {
                let position = position(shard, stored.sequence);
                records.push(StoredRecord { position, bytes: stored.payload });
            }
        }
        Ok(records)
    }
}

fn summary(
    order: &OrderRef,
    stream: &str,
    stored: &StoredMessage,
) -> Result<record::RecordSummary, ReadError> {
    let summary = record::summary(&stored.payload).map_err(|error| stored.unreadable(stream, &error))?;
    if summary.order != *order {
        let (at, other) = (stored.sequence, &summary.order);
        return Err(ReadError::Damaged(format!(
            "{stream}, sequence {at}: a record of {other}, not of {order}"
        )));
    }
    Ok(summary)
}
