//! The ports.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::keys::{GENESIS, partition_of};
use retailflow_engine::ports::{
    Commit, CommitError, Deadlines, DueOrder, EventLog, Group, LogIdentity, LogPosition, LoggedGroup,
    ParkedOrder, PartitionHead, PortFuture, ReadError, StoreError, StoredRecord,
};

use super::nats_log::NatsLog;
use super::outage::Outage;
use super::state::Inner;
use crate::answers::ApiFailure;
use crate::batch;
use crate::errors::Refusal;
use crate::subjects;

/// Parked commands that are read one by one rather than as a range.
const FEW: usize = 16;

impl EventLog for NatsLog {
    fn identity(&self) -> LogIdentity {
        self.inner.identity.clone()
    }

    fn commit(&self, group: Group) -> PortFuture<'_, Result<Commit, CommitError>> {
        if self.tasks.is_closed() {
            let closed = CommitError::Broken("the log is closed".into());
            return Box::pin(std::future::ready(Err(closed)));
        }
        // A task of its own: a caller that goes away must not cut a batch off in its middle, nor leave a lock behind.
        let inner = Arc::clone(&self.inner);
        let (learners, stop) = (self.learners.clone(), self.stop.clone());
        let task = self.tasks.spawn(async move {
            let (begun, partition) = (tokio::time::Instant::now(), group.fence.partition);
            let committed = inner.commit(&group).await;
            if let Some(here) = inner.partitions.get(usize::from(partition.0)) {
                Outage::note(&mut here.write_outage.lock(), begun, &committed);
            }
            let committed = committed?;
            if let Some(due) = inner.orders_to_list(partition) {
                learners.spawn(async move {
                    stop.run_until_cancelled(inner.list_orders(partition, due)).await;
                });
            }
            Ok(committed)
        });
        Box::pin(async move {
            // A panic, or a runtime that is going down.
            task.await.unwrap_or_else(|error| Err(CommitError::Unknown(error.to_string())))
        })
    }

    fn probe(&self, partition: PartitionId) -> PortFuture<'_, Result<(), CommitError>> {
        Box::pin(self.inner.probe(partition))
    }

    fn head(&self, partition: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>> {
        Box::pin(async move {
            let head = self.inner.read_head(partition).await?;
            Ok(match head {
                Some(head) => PartitionHead { fence: Some(head.fence), hash: head.hash },
                None => PartitionHead { fence: None, hash: GENESIS },
            })
        })
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        Box::pin(self.inner.read_order(order, after_revision))
    }

    fn seems_new(&self, order: &OrderRef) -> bool {
        let partition = partition_of(order, self.inner.identity.partitions);
        self.inner.partitions[usize::from(partition.0)].new_orders.lock().is_absent(order)
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        Box::pin(async move {
            let parks = self.inner.parks(partition).await?;
            let parks = parks.parks.iter();
            let parked = parks.map(|(order, park)| ParkedOrder {
                order: order.clone(),
                reason: park.reason.clone(),
                queued: park.queued,
            });
            Ok(parked.collect())
        })
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        Box::pin(self.inner.parked_commands(order, after_sequence, limit))
    }

    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        Box::pin(self.inner.scan(after, limit_bytes))
    }
}

impl Deadlines for NatsLog {
    fn list(
        &self,
        partition: PartitionId,
        after: Option<&DueOrder>,
        until: TimestampMs,
        limit: usize,
    ) -> PortFuture<'_, Result<Vec<DueOrder>, StoreError>> {
        let after = after.cloned();
        Box::pin(async move {
            let open = self.inner.deadlines(partition).await.map_err(|error| match error {
                ReadError::Unavailable(why) => StoreError::Unavailable(why),
                ReadError::Damaged(why) => StoreError::Damaged(why),
            })?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let later = open.due.range((from, Bound::Unbounded));
            Ok(later.take_while(|due| due.at <= until).take(limit).cloned().collect())
        })
    }
}

impl Inner {
    /// One message, which takes the place of the one before it: it is stored by as many copies as a group.
    async fn probe(&self, partition: PartitionId) -> Result<(), CommitError> {
        let no_room = self.no_room.lock().clone();
        if let Some(why) = no_room {
            return Err(CommitError::Unavailable(why.to_string()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(batch::ROLLUP, "sub");
        let tried = self.api.publish(&subjects::probe(partition), headers, Bytes::new()).await;
        match tried {
            Ok(_) => Ok(()),
            // Nothing rests on it: whatever is refused, a commit may find out.
            Err(ApiFailure::Refused(error)) if error.refusal() != Refusal::Unclear => {
                Err(CommitError::Unavailable(error.to_string()))
            }
            Err(failure) => Err(CommitError::Unknown(failure.to_string())),
        }
    }

    async fn parked_commands(
        &self,
        order: &OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        let partition = partition_of(order, self.identity.partitions);
        let waiting: Vec<(u64, u64)> = {
            let parks = self.parks(partition).await?;
            let Some(park) = parks.parks.get(order) else { return Ok(Vec::new()) };
            let later = park.waiting.range((Bound::Excluded(after_sequence), Bound::Unbounded));
            later.take(limit).map(|(sequence, at)| (*sequence, *at)).collect()
        };
        let stream = self.stream(partition);
        let mut found: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        if waiting.len() <= FEW {
            let read = |(_, at): (u64, u64)| self.api.at(&stream, at);
            let mut read = stream::iter(waiting.iter().copied()).map(read).buffered(FEW);
            while let Some(message) = read.try_next().await? {
                found.extend(message.map(|message| (message.sequence, message.payload)));
            }
        } else {
            let places = waiting.iter().map(|(_, at)| *at);
            let first = places.clone().min().unwrap_or_default();
            let last = places.max().unwrap_or_default();
            let subject = subjects::control(partition, order);
            let (messages, _) = self.api.range(&stream, &subject, first, last, usize::MAX).await?;
            found.extend(messages.into_iter().map(|message| (message.sequence, message.payload)));
        }
        let command = |(sequence, at): (u64, u64)| {
            let damaged = |why: &str| {
                ReadError::Damaged(format!("{stream}, sequence {at}: {order}, command {sequence}: {why}"))
            };
            let bytes = found.remove(&at).ok_or_else(|| damaged("it is gone"))?;
            let place = || format!("{stream}, sequence {at}: {order}, command {sequence}");
            match Control::decode(&bytes).map_err(|error| ApiFailure::unreadable(place(), &error))? {
                Control::ParkedCommand { order: of, sequence: is, .. } if of == *order && is == sequence => {
                    Ok(bytes)
                }
                _ => Err(damaged("another control record stands there")),
            }
        };
        waiting.into_iter().map(command).collect()
    }
}
