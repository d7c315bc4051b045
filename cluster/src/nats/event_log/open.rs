//! The open orders of a partition, by the time at which someone must look again. A deadline goes without a trace some time after it was
//! cleared, so all are read again when somebody else has written.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::keys::Hash;
use retailflow_engine::ports::{DueOrder, ReadError};
use tokio::sync::MutexGuard;

use super::Inner;
use super::index::{Kept, PIECE_BYTES, catch_up};
use crate::nats::api::{END, Trouble};
use crate::nats::subjects;

/// Deadlines that are asked for one by one at once.
const READS_AT_ONCE: usize = 32;

/// The deadlines of a partition.
#[derive(Debug, Default)]
pub(super) struct Open {
    at: Option<Hash>,
    pub(super) due: BTreeSet<DueOrder>,
    by_order: HashMap<OrderRef, TimestampMs>,
}

impl Kept for Open {
    /// An order and its deadline, if it still has one.
    type Change = (OrderRef, Option<TimestampMs>);

    fn at(&mut self) -> &mut Option<Hash> {
        &mut self.at
    }

    fn take_in(&mut self, (order, at): Self::Change) {
        self.deadline(&order, at);
    }
}

impl Open {
    fn deadline(&mut self, order: &OrderRef, at: Option<TimestampMs>) {
        let before = match at {
            Some(at) => self.by_order.insert(order.clone(), at),
            None => self.by_order.remove(order),
        };
        if let Some(before) = before {
            self.due.remove(&DueOrder { at: before, order: order.clone() });
        }
        if let Some(at) = at {
            self.due.insert(DueOrder { at, order: order.clone() });
        }
    }
}

impl Inner {
    /// The deadlines of a partition, current up to the leader's last fence.
    pub(super) async fn open_orders(
        &self,
        partition: PartitionId,
    ) -> Result<MutexGuard<'_, Open>, ReadError> {
        let here = self.partition(partition)?;
        let mut open = here.open.lock().await;
        let (hash, end) = self.caught_up(partition, &mut *open, &here.open_since).await?;
        if open.at != Some(hash) {
            open.at = None;
            self.read_deadlines(partition, &mut open, end).await?;
            open.at = Some(hash);
            catch_up(&mut *open, &here.open_since);
        }
        Ok(open)
    }

    async fn read_deadlines(
        &self,
        partition: PartitionId,
        open: &mut Open,
        to: u64,
    ) -> Result<(), ReadError> {
        let (stream, filter) = (self.stream(partition), subjects::deadlines_of(partition));
        open.due.clear();
        open.by_order.clear();
        // Before: whatever a replica is behind by then, it may show as open although it was cleared, and that is gone.
        let all_current = self.api.info(&stream).await?.all_current;
        let mut from = 1;
        loop {
            // Up to the very end: a newer group may have taken an older one's deadline away.
            let (messages, ended) = self.api.range(&stream, &filter, from, END, PIECE_BYTES).await?;
            for message in messages {
                let deadline = Deadline::decode(&message.payload);
                let deadline = deadline.map_err(|error| message.unreadable(&stream, &error))?;
                open.deadline(&deadline.order, deadline.at);
                from = message.sequence + 1;
            }
            if ended {
                break;
            }
        }
        self.api.reaches(&stream, to).await?;
        if !all_current {
            self.confirm_deadlines(partition, open).await?;
        }
        Ok(())
    }

    /// Asks the leader for each.
    async fn confirm_deadlines(&self, partition: PartitionId, open: &mut Open) -> Result<(), ReadError> {
        let stream = self.stream(partition);
        let orders: Vec<OrderRef> = open.by_order.keys().cloned().collect();
        let ask = |order: OrderRef| {
            let stream = &stream;
            async move {
                let found = self.api.last(stream, &subjects::deadline(partition, &order)).await?;
                let deadline = found.map(|message| {
                    Deadline::decode(&message.payload).map_err(|error| message.unreadable(stream, &error))
                });
                Ok::<_, Trouble>((order, deadline.transpose()?.and_then(|deadline| deadline.at)))
            }
        };
        let mut asked = stream::iter(orders).map(ask).buffer_unordered(READS_AT_ONCE);
        while let Some((order, at)) = asked.try_next().await? {
            open.deadline(&order, at);
        }
        Ok(())
    }
}
