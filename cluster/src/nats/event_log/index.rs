//! What of a partition's control records and deadlines stands now, in memory.
//!
//! It is made of the stream when it is first asked for, kept current by our own groups, and read again when the last fence
//! shows that someone else has written. Control records are only ever added, so those that came since are enough; a
//! deadline goes without a trace some time after it was cleared, so of those all are read again.
//!
//! It holds what is open: parked orders and the sequences of what waits behind them, and orders that wait for something.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::keys::{GENESIS, Hash};
use retailflow_engine::ports::{DeadlineChange, DueOrder, Group, ReadError};
use tokio::sync::MutexGuard;

use super::commit::Refresh;
use super::{Inner, Writing};
use crate::nats::api::END;
use crate::nats::subjects;

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

impl Index {
    /// Takes in a group of ours that was stored, if the index was current up to the group before.
    pub(super) fn follow(
        &mut self,
        group: &Group,
        hash: &Hash,
        controls: &[Control],
        sequence: u64,
        end: u64,
    ) {
        if self.at != Some(group.fence.previous) {
            return;
        }
        for (at, control) in (sequence + 1 + group.records.len() as u64..).zip(controls) {
            self.control(control, at);
        }
        for record in &group.records {
            match record.deadline {
                DeadlineChange::Keep => {}
                DeadlineChange::Set(at) => self.deadline(&record.order, Some(at)),
                DeadlineChange::Clear => self.deadline(&record.order, None),
            }
        }
        self.controls_to = end;
        self.at = Some(*hash);
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
    pub(super) async fn index(&self, partition: PartitionId) -> Result<MutexGuard<'_, Writing>, ReadError> {
        let mut writing = self.writing(partition).await?;
        self.refresh(&mut writing, partition).await.map_err(|refresh| match refresh {
            Refresh::Trouble(trouble) => trouble.into(),
            Refresh::Regressed(why) => ReadError::Damaged(why),
        })?;
        self.bring_up(&mut writing, partition).await?;
        Ok(writing)
    }

    /// The same as far as whoever writes the partition here knows: after its own groups nobody is asked.
    pub(super) async fn own_index(
        &self,
        partition: PartitionId,
    ) -> Result<MutexGuard<'_, Writing>, ReadError> {
        let mut writing = self.writing(partition).await?;
        if !writing.is_ours() {
            drop(writing);
            return self.index(partition).await;
        }
        self.bring_up(&mut writing, partition).await?;
        Ok(writing)
    }

    async fn writing(&self, partition: PartitionId) -> Result<MutexGuard<'_, Writing>, ReadError> {
        let all = self.partitions.get(usize::from(partition.0));
        let all = all.ok_or_else(|| ReadError::Unavailable(format!("there is no partition {partition}")))?;
        Ok(all.writing.lock().await)
    }

    /// Reads what the index lacks up to the head that is known.
    async fn bring_up(&self, writing: &mut Writing, partition: PartitionId) -> Result<(), ReadError> {
        let (hash, end) = writing.head.as_ref().map_or((GENESIS, 0), |head| (head.hash, head.end));
        if writing.index.at != Some(hash) {
            // Not current until all of it was read.
            writing.index.at = None;
            self.read_controls(partition, &mut writing.index, end).await?;
            self.read_deadlines(partition, &mut writing.index, end).await?;
            writing.index.at = Some(hash);
        }
        Ok(())
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
                return Ok(self.api.reaches(&stream, to).await?);
            }
        }
    }
}

/// What is read into an index at once, in bytes.
const PIECE_BYTES: usize = 4 << 20;
