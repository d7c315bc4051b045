//! What of a partition's control records and deadlines stands now, in memory.
//!
//! It is made of the stream when it is first asked for, kept current by our own groups, and read again when the last fence
//! shows that someone else has written. Control records are only ever added, so those that came since are enough; a
//! deadline goes without a trace some time after it was cleared, so of those all are read again.
//!
//! It holds what is open: parked orders and the sequences of what waits behind them, and orders that wait for something.
//!
//! Reading a large partition takes seconds, and groups go on meanwhile: each leaves what it changed in [`Since`], which is taken in
//! before anything is shown.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::keys::{GENESIS, Hash};
use retailflow_engine::ports::{DeadlineChange, DueOrder, Group, ReadError};
use tokio::sync::MutexGuard;

use super::Inner;
use super::commit::Refresh;
use crate::nats::api::{END, Trouble};
use crate::nats::subjects;

/// What is read into an index at once, in bytes.
const PIECE_BYTES: usize = 4 << 20;
/// Changes that may wait until somebody looks at the index; beyond them it is read again.
const SINCE_MAX: usize = 100_000;
/// Deadlines that are asked for one by one at once.
const READS_AT_ONCE: usize = 32;

/// A parked order.
#[derive(Debug, Default)]
pub(super) struct Park {
    pub(super) reason: String,
    /// The highest sequence that waited.
    pub(super) queued: u64,
    /// Where the commands stand that wait, by their own sequence.
    pub(super) waiting: BTreeMap<u64, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    /// The fence up to which it is current; none before it is made.
    at: Option<Hash>,
    /// Control records up to this sequence of the stream are in it.
    controls_to: u64,
    pub(super) parks: BTreeMap<OrderRef, Park>,
    pub(super) due: BTreeSet<DueOrder>,
    by_order: HashMap<OrderRef, TimestampMs>,
}

/// A group of ours that was stored: what it changed.
struct Change {
    previous: Hash,
    hash: Hash,
    controls: Vec<(u64, Control)>,
    deadlines: Vec<(OrderRef, Option<TimestampMs>)>,
    end: u64,
}

/// What our own groups changed since the index was last looked at.
#[derive(Default)]
pub(super) struct Since {
    /// Whether there is an index, or will be.
    wanted: bool,
    changes: Vec<Change>,
    size: usize,
}

impl Since {
    /// A group of ours was stored.
    pub(super) fn note(&mut self, group: &Group, hash: &Hash, controls: &[Control], sequence: u64, end: u64) {
        if !self.wanted {
            return;
        }
        let places = sequence + 1 + group.records.len() as u64..;
        let changed = group.records.iter().filter_map(|record| match record.deadline {
            DeadlineChange::Keep => None,
            DeadlineChange::Set(at) => Some((record.order.clone(), Some(at))),
            DeadlineChange::Clear => Some((record.order.clone(), None)),
        });
        let change = Change {
            previous: group.fence.previous,
            hash: *hash,
            controls: places.zip(controls.iter().cloned()).collect(),
            deadlines: changed.collect(),
            end,
        };
        self.size += 1 + change.controls.len() + change.deadlines.len();
        self.changes.push(change);
        if self.size > SINCE_MAX {
            // Nobody has looked for long: whoever does so reads all of it.
            *self = Self::default();
        }
    }

    fn take(&mut self) -> Vec<Change> {
        self.wanted = true;
        self.size = 0;
        std::mem::take(&mut self.changes)
    }
}

impl Index {
    /// Takes in what our groups changed, as far as it follows what is here.
    fn catch_up(&mut self, changes: Vec<Change>) {
        for change in changes {
            if self.at != Some(change.previous) {
                continue;
            }
            for (at, control) in &change.controls {
                self.control(control, *at);
            }
            for (order, at) in &change.deadlines {
                self.deadline(order, *at);
            }
            self.controls_to = self.controls_to.max(change.end);
            self.at = Some(change.hash);
        }
    }

    fn control(&mut self, control: &Control, at: u64) {
        match control {
            Control::Park { order, reason, .. } => {
                let park = || Park { reason: reason.clone(), ..Park::default() };
                self.parks.entry(order.clone()).or_insert_with(park);
            }
            Control::ParkedCommand { order, sequence, .. } => {
                if let Some(park) = self.parks.get_mut(order) {
                    park.queued = park.queued.max(*sequence);
                    park.waiting.entry(*sequence).or_insert(at);
                }
            }
            Control::Release { order, .. } => drop(self.parks.remove(order)),
        }
    }

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
    /// The index of a partition, current up to the leader's last fence.
    pub(super) async fn index(&self, partition: PartitionId) -> Result<MutexGuard<'_, Index>, ReadError> {
        let here = self.partitions.get(usize::from(partition.0));
        let here =
            here.ok_or_else(|| ReadError::Unavailable(format!("there is no partition {partition}")))?;
        let mut index = here.index.lock().await;
        // Whatever is stored from here on is noted.
        index.catch_up(here.since.lock().take());
        let (hash, end) = {
            let mut writing = here.writing.lock().await;
            self.refresh(&mut writing, partition).await.map_err(|refresh| match refresh {
                Refresh::Trouble(trouble) => trouble.into(),
                Refresh::Regressed(why) => ReadError::Damaged(why),
            })?;
            index.catch_up(here.since.lock().take());
            writing.head.as_ref().map_or((GENESIS, 0), |head| (head.hash, head.end))
        };
        if index.at != Some(hash) {
            // Not current until all of it was read; the partition is written meanwhile.
            index.at = None;
            self.read_controls(partition, &mut index, end).await?;
            self.read_deadlines(partition, &mut index, end).await?;
            index.at = Some(hash);
            index.catch_up(here.since.lock().take());
        }
        Ok(index)
    }

    async fn read_controls(
        &self,
        partition: PartitionId,
        index: &mut Index,
        to: u64,
    ) -> Result<(), ReadError> {
        let (stream, filter) = (self.stream(partition), subjects::controls_of(partition));
        loop {
            let from = index.controls_to + 1;
            let (messages, ended) = self.api.range(&stream, &filter, from, to, PIECE_BYTES).await?;
            for message in messages {
                let control = Control::decode(&message.payload);
                let control = control.map_err(|error| message.unreadable(&stream, &error))?;
                index.control(&control, message.sequence);
                index.controls_to = message.sequence;
            }
            if ended {
                index.controls_to = index.controls_to.max(to);
                return Ok(());
            }
        }
    }

    async fn read_deadlines(
        &self,
        partition: PartitionId,
        index: &mut Index,
        to: u64,
    ) -> Result<(), ReadError> {
        let (stream, filter) = (self.stream(partition), subjects::deadlines_of(partition));
        index.due.clear();
        index.by_order.clear();
        // Before: whatever a replica is behind by then, it may show as open although it was cleared, and that is gone.
        let all_current = self.api.info(&stream).await?.all_current;
        let mut from = 1;
        loop {
            // Up to the very end: a newer group may have taken an older one's deadline away.
            let (messages, ended) = self.api.range(&stream, &filter, from, END, PIECE_BYTES).await?;
            for message in messages {
                let deadline = Deadline::decode(&message.payload);
                let deadline = deadline.map_err(|error| message.unreadable(&stream, &error))?;
                index.deadline(&deadline.order, deadline.at);
                from = message.sequence + 1;
            }
            if ended {
                break;
            }
        }
        self.api.reaches(&stream, to).await?;
        if !all_current {
            self.confirm_deadlines(partition, index).await?;
        }
        Ok(())
    }

    /// Asks the leader for each.
    async fn confirm_deadlines(&self, partition: PartitionId, index: &mut Index) -> Result<(), ReadError> {
        let stream = self.stream(partition);
        let open: Vec<OrderRef> = index.by_order.keys().cloned().collect();
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
        let mut asked = stream::iter(open).map(ask).buffer_unordered(READS_AT_ONCE);
        while let Some((order, at)) = asked.try_next().await? {
            index.deadline(&order, at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_taken_in_as_far_as_they_follow() {
        let deadline = |ms| Some(TimestampMs(ms));
        let order = retailflow_engine::contract::author::order("shop", "o");
        let change = |previous: u8, hash: u8, at| Change {
            previous: [previous; 32],
            hash: [hash; 32],
            controls: Vec::new(),
            deadlines: vec![(order.clone(), at)],
            end: u64::from(hash),
        };
        let mut index = Index { at: Some([1; 32]), ..Index::default() };
        index.catch_up(vec![change(0, 1, deadline(9)), change(1, 2, deadline(5)), change(2, 3, deadline(7))]);
        assert_eq!((index.at, index.controls_to), (Some([3; 32]), 3));
        assert_eq!(index.due.iter().map(|due| due.at.0).collect::<Vec<_>>(), [7]);
        index.catch_up(vec![change(8, 9, None)]);
        assert_eq!((index.at, index.due.len()), (Some([3; 32]), 1), "a group is missing in between");
    }
}
