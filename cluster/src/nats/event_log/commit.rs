//! Committing a group: one atomic batch, and the truth about what became of it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::codec::fence::fence_hash;
use retailflow_engine::codec::record;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::{GENESIS, Hash, partition_of};
use retailflow_engine::ports::{Commit, CommitError, DeadlineChange, Group, OrderEntry};

use super::places::Place;
use super::scan::position;
use super::{Head, Inner, Writing, group_messages};
use crate::nats::api::Trouble;
use crate::nats::batch::{self, BatchMessage, GROUP_MESSAGES_MAX, HEADERS_MAX_BYTES};
use crate::nats::errors::{ApiError, Refusal};
use crate::nats::subjects::{self, Subject};

/// How often a group is sent because its conditions changed under it.
const ATTEMPTS_MAX: u32 = 5;
/// Reads of orders' last records that run at once.
const READS_AT_ONCE: usize = 32;
/// Before a group is sent again because another writer was at the same subject, in milliseconds, drawn below this.
const BUSY_PAUSE_MS: u64 = 20;
/// How long a cleared deadline stays in the stream, in seconds: longer than any replica that is read may be behind. Its
/// subject is gone with it, so that orders which are done cost the server nothing here.
const CLEARED_SECONDS: u64 = 3_600;

/// A group with what is made of it once, however often it is sent.
struct Prepared<'a> {
    group: &'a Group,
    partition: PartitionId,
    fence: Bytes,
    hash: Hash,
    controls: Vec<Control>,
    messages: usize,
}

/// What is known of the conditions of a group's records.
enum Conditions {
    /// The last sequence of each record's order.
    Hold(Vec<u64>),
    /// This order stands elsewhere.
    Stale(OrderRef),
}

impl Inner {
    pub(super) async fn commit(&self, group: &Group) -> Result<Commit, CommitError> {
        let prepared = self.prepare(group)?;
        let mut writing = self.partitions[usize::from(prepared.partition.0)].writing.lock().await;
        // Whether the last fence was read from the leader since this began.
        let mut read = false;
        // A refusal that is final if the group turns out not to be there.
        let mut refused: Option<ApiError> = None;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(commit) = self.standing(&mut writing, &prepared, &mut read).await? {
                return Ok(commit);
            }
            if let Some(error) = refused.take() {
                if error.refusal() == Refusal::Unclear {
                    writing.in_doubt = Some(prepared.hash);
                }
                return Err(writing.unresolved(&prepared.hash, error.to_string()));
            }
            let expected = match self.conditions(&prepared).await {
                Ok(Conditions::Hold(expected)) => expected,
                Ok(Conditions::Stale(order)) if read => return Err(CommitError::Conflict(order)),
                Ok(Conditions::Stale(_)) => {
                    // A higher epoch may be the reason.
                    writing.known = false;
                    continue;
                }
                Err(trouble) => return Err(writing.unresolved(&prepared.hash, trouble.to_string())),
            };
            let messages = messages(&prepared, writing.head.as_ref(), &expected);
            match batch::publish(&self.publish, messages, self.commit_timeout).await {
                Ok(sequence) => {
                    self.committed(&mut writing, &prepared, sequence);
                    return Ok(Commit { position: self.position(prepared.partition, sequence) });
                }
                Err(Trouble::Refused(error)) => {
                    // Not even this is believed before the last fence was read.
                    writing.known = false;
                    match error.refusal() {
                        Refusal::Condition => self.doubt(&prepared, &error).await,
                        Refusal::Busy => {
                            tokio::time::sleep(Duration::from_millis(fastrand::u64(..BUSY_PAUSE_MS))).await;
                        }
                        Refusal::NotTaken | Refusal::Unclear => refused = Some(error),
                    }
                }
                Err(trouble) => {
                    writing.known = false;
                    writing.in_doubt = Some(prepared.hash);
                    return Err(CommitError::Unknown(trouble.to_string()));
                }
            }
        }
        // The last answer was a refusal; whether it was true is seen in the last fence.
        if let Some(commit) = self.standing(&mut writing, &prepared, &mut read).await? {
            return Ok(commit);
        }
        let why = format!("other writers came in between {ATTEMPTS_MAX} times");
        Err(writing.unresolved(&prepared.hash, why))
    }

    /// Checks what needs no log, and makes what is sent.
    fn prepare<'a>(&self, group: &'a Group) -> Result<Prepared<'a>, CommitError> {
        let unavailable = |why: String| CommitError::Unavailable(why);
        let partition = group.fence.partition;
        if partition.0 >= self.identity.partitions {
            return Err(unavailable(format!("there is no partition {partition}")));
        }
        let orders = group.records.iter().map(|record| &record.order);
        let mut orders = orders.chain(group.controls.iter().map(|control| &control.order));
        let foreign = |order: &&OrderRef| partition_of(order, self.identity.partitions) != partition;
        if let Some(order) = orders.find(foreign) {
            return Err(unavailable(format!("order {order} does not belong to partition {partition}")));
        }
        // Readers count by it.
        if group.fence.entries as usize != group.records.len() + group.controls.len() {
            return Err(unavailable(format!("the fence counts {} entries", group.fence.entries)));
        }
        let messages = group_messages(group);
        if messages > GROUP_MESSAGES_MAX {
            let why = format!("a group of {messages} messages, at most {GROUP_MESSAGES_MAX}");
            return Err(unavailable(why));
        }
        let fence = group.fence.encode().map_err(|error| unavailable(error.to_string()))?;
        let decode = |bytes: &[u8]| Control::decode(bytes).map_err(|error| unavailable(error.to_string()));
        let controls =
            group.controls.iter().map(|entry| decode(&entry.bytes)).collect::<Result<Vec<_>, _>>()?;
        let sizes = group.records.iter().map(|record| record.bytes.len());
        let sizes = sizes.chain(group.controls.iter().map(|control| control.bytes.len()));
        let largest = sizes.chain([fence.len()]).max().unwrap_or_default() + HEADERS_MAX_BYTES;
        let max = self.publish.max_payload();
        if largest > max {
            let why = format!("a message of {largest} bytes; the server's max_payload is {max}");
            return Err(unavailable(why));
        }
        let hash = fence_hash(&fence);
        Ok(Prepared { group, partition, fence: fence.into(), hash, controls, messages })
    }

    /// Whether the group is the partition's last one (then it is committed) or may follow it. Refusals are final, so they
    /// are answered only by what the leader says now.
    async fn standing(
        &self,
        writing: &mut Writing,
        prepared: &Prepared<'_>,
        read: &mut bool,
    ) -> Result<Option<Commit>, CommitError> {
        loop {
            let fresh = !writing.known;
            if fresh {
                let head = self.read_head(prepared.partition).await;
                let head = head.map_err(|trouble| writing.unresolved(&prepared.hash, trouble.to_string()))?;
                self.saw(writing, prepared.partition, head).map_err(CommitError::LogRegressed)?;
                *read = true;
            }
            let head = writing.head.as_ref();
            match head.filter(|head| head.hash == prepared.hash) {
                Some(head) if fresh => {
                    let sequence = head.sequence;
                    self.committed(writing, prepared, sequence);
                    let position = self.position(prepared.partition, sequence);
                    return Ok(Some(Commit { position }));
                }
                Some(_) => {}
                None => match follows(prepared.group, head) {
                    Ok(()) => return Ok(None),
                    Err(refusal) if fresh => {
                        // Whatever was in doubt can never be stored behind this fence.
                        writing.in_doubt = None;
                        return Err(refusal);
                    }
                    Err(_) => {}
                },
            }
            writing.known = false;
        }
    }

    /// Takes note of the last group as the leader told it.
    ///
    /// # Errors
    /// The log has lost a group that was acknowledged here, in words.
    pub(super) fn saw(
        &self,
        writing: &mut Writing,
        partition: PartitionId,
        head: Option<Head>,
    ) -> Result<(), String> {
        let found = head.as_ref().map_or((0, GENESIS), |head| (head.fence.group, head.hash));
        if let Some(acknowledged) = writing.acknowledged
            && (found.0 < acknowledged.0 || (found.0 == acknowledged.0 && found.1 != acknowledged.1))
        {
            let (group, last) = (acknowledged.0, found.0);
            return Err(format!(
                "group {group} of partition {partition} was acknowledged; the log has group {last}"
            ));
        }
        if writing.head.as_ref().map_or(GENESIS, |head| head.hash) != found.1 {
            // Another writer, or a group of ours that nobody was sure of.
            self.partitions[usize::from(partition.0)].places.lock().clear();
        }
        writing.head = head;
        writing.known = true;
        Ok(())
    }

    /// The sequences that the records' conditions need: from memory where it fits, else from the leader.
    async fn conditions(&self, prepared: &Prepared<'_>) -> Result<Conditions, Trouble> {
        let records = &prepared.group.records;
        let mut written = BTreeSet::new();
        if let Some(twice) = records.iter().find(|record| !written.insert(&record.order)) {
            return Ok(Conditions::Stale(twice.order.clone()));
        }
        let places = &self.partitions[usize::from(prepared.partition.0)].places;
        let known = |record: &OrderEntry| match places.lock().get(&record.order) {
            Some(place) => (place.revision == record.expected_revision).then_some(place.sequence),
            // Most likely a new order: if it is not, the server refuses, and then it is looked up.
            None => (record.expected_revision == 0).then_some(0),
        };
        let mut expected: Vec<Option<u64>> = records.iter().map(known).collect();
        let missing: Vec<usize> = (0..records.len()).filter(|at| expected[*at].is_none()).collect();
        let look_up = |at: usize| async move {
            let place = self.read_place(prepared.partition, &records[at].order).await?;
            Ok::<_, Trouble>((at, place))
        };
        let mut looked_up = stream::iter(missing).map(look_up).buffer_unordered(READS_AT_ONCE);
        while let Some((at, place)) = looked_up.try_next().await? {
            let record = &records[at];
            if place.revision != record.expected_revision {
                return Ok(Conditions::Stale(record.order.clone()));
            }
            expected[at] = Some(place.sequence);
        }
        Ok(Conditions::Hold(expected.into_iter().flatten().collect()))
    }

    /// An order's last record, from the leader, remembered.
    async fn read_place(&self, partition: PartitionId, order: &OrderRef) -> Result<Place, Trouble> {
        let stream = self.stream(partition);
        let place = match self.api.last(&stream, &subjects::record(partition, order)).await? {
            None => Place { sequence: 0, revision: 0 },
            Some(last) => {
                let summary = record::summary(&last.payload);
                let summary = summary.map_err(|error| Trouble::Strange(format!("order {order}: {error}")))?;
                Place { sequence: last.sequence, revision: summary.next_revision }
            }
        };
        let mut places = self.partitions[usize::from(partition.0)].places.lock();
        places.forget(order);
        places.note(order, place);
        Ok(place)
    }

    /// After a condition failed: what is remembered of the order whose condition it was is replaced, or of all of them if
    /// that cannot be told.
    async fn doubt(&self, prepared: &Prepared<'_>, error: &ApiError) {
        let places = &self.partitions[usize::from(prepared.partition.0)].places;
        let found = match error.found_sequence() {
            Some(sequence) if sequence > 0 => {
                self.api.at(&self.stream(prepared.partition), sequence).await.ok().flatten()
            }
            _ => None,
        };
        match found.as_ref().and_then(|found| subjects::parse(&found.subject)) {
            // The fence is read anew in any case.
            Some(Subject::Fence(_)) => {}
            Some(Subject::Record(_, order)) if self.read_place(prepared.partition, &order).await.is_ok() => {}
            _ => {
                for record in &prepared.group.records {
                    places.lock().forget(&record.order);
                    drop(self.read_place(prepared.partition, &record.order).await);
                }
            }
        }
    }

    fn committed(&self, writing: &mut Writing, prepared: &Prepared<'_>, sequence: u64) {
        let Prepared { group, partition, hash, .. } = *prepared;
        let end = sequence + prepared.messages as u64 - 1;
        let mut places = self.partitions[usize::from(partition.0)].places.lock();
        for (at, record) in (sequence + 1..).zip(&group.records) {
            places.note(&record.order, Place { sequence: at, revision: record.next_revision });
        }
        drop(places);
        writing.index.follow(group, &hash, &prepared.controls, sequence, end);
        self.settled[usize::from(self.shard(partition))].fetch_max(end, Ordering::AcqRel);
        writing.head = Some(Head { fence: group.fence.clone(), hash, sequence, end });
        writing.known = true;
        writing.acknowledged = Some((group.fence.group, hash));
        writing.in_doubt = None;
    }

    pub(super) fn position(
        &self,
        partition: PartitionId,
        sequence: u64,
    ) -> retailflow_engine::ports::LogPosition {
        position(self.shard(partition), sequence)
    }
}

impl Writing {
    /// The answer where nothing was stored by this attempt: an earlier one of the same group may still be on its way.
    fn unresolved(&self, hash: &Hash, why: String) -> CommitError {
        if self.in_doubt.as_ref() == Some(hash) {
            CommitError::Unknown(why)
        } else {
            CommitError::Unavailable(why)
        }
    }
}

/// Whether a group may follow its partition's head.
fn follows(group: &Group, head: Option<&Head>) -> Result<(), CommitError> {
    let (epoch, last, hash) =
        head.map_or((0, 0, GENESIS), |head| (head.fence.epoch, head.fence.group, head.hash));
    let fence = &group.fence;
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

/// The batch: fence, records, controls, deadlines.
fn messages(prepared: &Prepared<'_>, head: Option<&Head>, expected: &[u64]) -> Vec<BatchMessage> {
    let (group, partition) = (prepared.group, prepared.partition);
    let mut messages = Vec::with_capacity(prepared.messages);
    let plain = |subject, expected, payload| BatchMessage { subject, expected, replaces: None, payload };
    let last = head.map_or(0, |head| head.sequence);
    messages.push(plain(subjects::fence(partition), Some(last), prepared.fence.clone()));
    for (record, expected) in group.records.iter().zip(expected) {
        let bytes = Bytes::from_owner(record.bytes.clone());
        messages.push(plain(subjects::record(partition, &record.order), Some(*expected), bytes));
    }
    for control in &group.controls {
        let bytes = Bytes::from_owner(control.bytes.clone());
        messages.push(plain(subjects::control(partition, &control.order), None, bytes));
    }
    for record in &group.records {
        let at = match record.deadline {
            DeadlineChange::Keep => continue,
            DeadlineChange::Set(at) => Some(at),
            DeadlineChange::Clear => None,
        };
        let deadline = Deadline { order: record.order.clone(), revision: record.next_revision, at };
        // Three short fields: never too large.
        let payload = deadline.encode().unwrap_or_default().into();
        let subject = subjects::deadline(partition, &record.order);
        let replaces = Some(at.is_none().then_some(CLEARED_SECONDS));
        messages.push(BatchMessage { subject, expected: None, replaces, payload });
    }
    messages
}
