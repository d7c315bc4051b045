//! The log in memory: the port's promises in their simplest form.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::codec::control::Control;
use crate::codec::fence::{Fence, fence_hash};
use crate::ids::{OrderRef, PartitionId, TimestampMs};
use crate::keys::{GENESIS, partition_of};
use crate::ports::{
    Commit, CommitError, DeadlineChange, Deadlines, DueOrder, EventLog, Group, LogIdentity, LogPosition,
    LoggedEntry, LoggedGroup, ParkedOrder, PartitionHead, PortFuture, ReadError, StoreError, StoredRecord,
    number_taken,
};

#[derive(Default)]
struct State {
    groups: Vec<LoggedGroup>,
    heads: BTreeMap<PartitionId, PartitionHead>,
    orders: BTreeMap<OrderRef, Vec<(u64, StoredRecord)>>,
    deadlines: BTreeMap<OrderRef, TimestampMs>,
    parked: BTreeMap<OrderRef, ParkedOrder>,
    /// By sequence, what waits behind the marks.
    waiting: BTreeMap<OrderRef, BTreeMap<u64, Vec<u8>>>,
}

/// A log that lives as long as this value.
pub struct MemoryLog {
    identity: LogIdentity,
    state: Mutex<State>,
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new(identity: LogIdentity) -> Self {
        Self { identity, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`EventLog::commit`], at once.
    ///
    /// # Errors
    /// As the port says; and `Broken` for a group that contradicts itself, which only a mistake of ours makes.
    pub fn commit_now(&self, group: &Group) -> Result<Commit, CommitError> {
        let encode = |error: crate::codec::CodecError| CommitError::Unavailable(error.to_string());
        let fence_bytes = group.fence.encode().map_err(encode)?;
        let hash = fence_hash(&fence_bytes);
        let controls = super::check::group(group, self.identity.partitions).map_err(CommitError::Broken)?;
        let mut state = self.lock();
        let partition = group.fence.partition;
        if let Some(head) = state.heads.get(&partition)
            && head.fence.is_some()
            && head.hash == hash
        {
            let at = |group: &&LoggedGroup| group.fence == fence_bytes;
            let position = state.groups.iter().rev().find(at).map(|group| group.position).unwrap_or_default();
            return Ok(Commit { position });
        }
        let head = state.heads.get(&partition);
        group.follows(head.and_then(|head| Some((head.fence.as_ref()?, head.hash))))?;
        let mut written = BTreeSet::new();
        for record in &group.records {
            let revision =
                state.orders.get(&record.order).and_then(|all| all.last()).map_or(0, |last| last.0);
            if revision != record.expected_revision || !written.insert(&record.order) {
                return Err(CommitError::Conflict(record.order.clone()));
            }
        }
        let marked = |order: &OrderRef| Ok::<_, CommitError>(state.parked.contains_key(order));
        let waits = |order: &OrderRef, number: u64| {
            Ok(state.waiting.get(order).is_some_and(|waiting| waiting.contains_key(&number)))
        };
        if let Some(order) = number_taken([], &controls, marked, waits)? {
            return Err(CommitError::Conflict(order));
        }
        let position = LogPosition(state.groups.len() as u64 + 1);
        let records = group.records.iter().map(|record| LoggedEntry::Record(record.bytes.to_vec()));
        let control_bytes = group.controls.iter().map(|control| LoggedEntry::Control(control.bytes.to_vec()));
        let entries = records.chain(control_bytes).collect();
        for record in &group.records {
            let stored = StoredRecord { position, bytes: record.bytes.to_vec() };
            state.orders.entry(record.order.clone()).or_default().push((record.next_revision, stored));
            match record.deadline {
                DeadlineChange::Keep => {}
                DeadlineChange::Set(at) => drop(state.deadlines.insert(record.order.clone(), at)),
                DeadlineChange::Clear => drop(state.deadlines.remove(&record.order)),
            }
        }
        for (control, entry) in controls.into_iter().zip(&group.controls) {
            state.control(control, &entry.bytes);
        }
        state.groups.push(LoggedGroup { position, fence: fence_bytes, entries });
        state.heads.insert(partition, PartitionHead { fence: Some(group.fence.clone()), hash });
        Ok(Commit { position })
    }

    /// All groups, for checkers.
    #[must_use]
    pub fn groups(&self) -> Vec<LoggedGroup> {
        self.lock().groups.clone()
    }

    /// The orders of a partition that have a record.
    #[must_use]
    pub fn orders(&self, partition: PartitionId) -> BTreeSet<OrderRef> {
        let here = |order: &&OrderRef| partition_of(order, self.identity.partitions) == partition;
        self.lock().orders.keys().filter(here).cloned().collect()
    }

    /// The digest of a group's entries, as its fence must carry it.
    #[must_use]
    pub fn digest_of(group: &Group) -> crate::keys::Hash {
        super::check::digest_of(group)
    }
}

impl State {
    fn control(&mut self, control: Control, bytes: &[u8]) {
        match control {
            Control::Park { order, reason, .. } => {
                self.parked.entry(order.clone()).or_insert(ParkedOrder { order, reason, queued: 0 });
            }
            Control::ParkedCommand { order, sequence, .. } => {
                if let Some(parked) = self.parked.get_mut(&order) {
                    parked.queued = parked.queued.max(sequence);
                    let waiting = self.waiting.entry(order).or_default();
                    waiting.entry(sequence).or_insert_with(|| bytes.to_vec());
                }
            }
            Control::Release { order, .. } => {
                self.parked.remove(&order);
                self.waiting.remove(&order);
            }
        }
    }
}

impl EventLog for MemoryLog {
    fn identity(&self) -> LogIdentity {
        self.identity.clone()
    }

    fn commit(&self, group: Group) -> PortFuture<'_, Result<Commit, CommitError>> {
        Box::pin(async move { self.commit_now(&group) })
    }

    fn probe(&self, _partition: PartitionId) -> PortFuture<'_, Result<(), CommitError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn head(&self, partition: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>> {
        let none = PartitionHead { fence: None, hash: GENESIS };
        let head = self.lock().heads.get(&partition).cloned().unwrap_or(none);
        Box::pin(async move { Ok(head) })
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        let state = self.lock();
        let all = state.orders.get(order).map(Vec::as_slice).unwrap_or_default();
        let records =
            all.iter().filter(|(next, _)| *next > after_revision).map(|(_, stored)| stored.clone()).collect();
        Box::pin(async move { Ok(records) })
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        let partitions = self.identity.partitions;
        let here = |parked: &&ParkedOrder| partition_of(&parked.order, partitions) == partition;
        let parked = self.lock().parked.values().filter(here).cloned().collect();
        Box::pin(async move { Ok(parked) })
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        let state = self.lock();
        let waiting = state.waiting.get(order).into_iter();
        let later = waiting.flat_map(|all| all.range((Bound::Excluded(after_sequence), Bound::Unbounded)));
        let commands = later.take(limit).map(|(_, bytes)| bytes.clone()).collect();
        Box::pin(async move { Ok(commands) })
    }

    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        let state = self.lock();
        let mut groups = Vec::new();
        let mut bytes = 0;
        for group in state.groups.iter().filter(|group| group.position > after) {
            if bytes >= limit_bytes.max(1) {
                break;
            }
            bytes += group.fence.len();
            for entry in &group.entries {
                let (LoggedEntry::Record(entry) | LoggedEntry::Control(entry)) = entry;
                bytes += entry.len();
            }
            groups.push(group.clone());
        }
        Box::pin(async move { Ok(groups) })
    }
}

impl Deadlines for MemoryLog {
    fn list(
        &self,
        partition: PartitionId,
        after: Option<&DueOrder>,
        until: TimestampMs,
        limit: usize,
    ) -> PortFuture<'_, Result<Vec<DueOrder>, StoreError>> {
        let partitions = self.identity.partitions;
        let state = self.lock();
        let due = state.deadlines.iter().filter(|(_, at)| **at <= until);
        let here = due.filter(|(order, _)| partition_of(order, partitions) == partition);
        let mut list: Vec<DueOrder> =
            here.map(|(order, at)| DueOrder { at: *at, order: order.clone() }).collect();
        list.retain(|due| after.is_none_or(|after| due > after));
        list.sort();
        list.truncate(limit);
        Box::pin(async move { Ok(list) })
    }
}

/// The fence of a group on `head`, in an epoch. For tests and adapters' suites.
#[must_use]
pub fn next_fence(head: &PartitionHead, partition: PartitionId, epoch: u64) -> Fence {
    Fence {
        partition,
        epoch,
        group: head.fence.as_ref().map_or(1, |fence| fence.group + 1),
        previous: head.hash,
        digest: GENESIS,
        entries: 0,
        intake: Vec::new(),
        effects_floor: 0,
        node: "test".into(),
        written: TimestampMs(0),
    }
}
