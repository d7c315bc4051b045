//! Committing a group: one atomic batch, and the truth about what became of it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use retailflow_engine::codec::record;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::Hash;
use retailflow_engine::ports::{Commit, CommitError, DeadlineChange, Group, OrderEntry};

use super::places::Place;
use super::prepared::Prepared;
use super::refresh::Refresh;
use super::scan::position;
use super::state::{Head, Inner, Writing};
use crate::answers::ApiFailure;
use crate::batch;
use crate::errors::{ApiError, BATCH_INCOMPLETE, Refusal};
use crate::subjects::{self, Subject};

/// How often a group is sent because its conditions changed under it.
const ATTEMPTS_MAX: u32 = 5;
/// Reads of orders' last records that run at once.
const READS_AT_ONCE: usize = 32;
/// Before a group is sent again because another writer was at the same subject, in milliseconds, drawn below this.
const BUSY_PAUSE_MS: u64 = 20;
/// What is known of the conditions of a group's records.
enum Conditions {
    /// The last sequence of each record's order.
    Hold(Vec<u64>),
    /// This order stands elsewhere.
    Stale(OrderRef),
}

impl Inner {
    pub(super) async fn commit(&self, group: &Group) -> Result<Commit, CommitError> {
        let max = self.publish.max_payload();
        let prepared = Prepared::new(group, self.identity.partitions, max)?;
        let number_taken = self.number_taken(&prepared).await;
        let mut writing = self.partitions[usize::from(prepared.partition.0)].writing.lock().await;
        if writing.in_doubt.is_none() && !(group.records.is_empty() && group.controls.is_empty()) {
            let no_room = self.no_room.lock().clone();
            if let Some(why) = no_room {
                return Err(CommitError::Unavailable(why.to_string()));
            }
        }
        // Whether the last fence was read from the leader since this began.
        let mut read = false;
        // A refusal that is final if the group turns out not to be there.
        let mut refused: Option<ApiError> = None;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(commit) = self.standing(&mut writing, &prepared, &mut read).await? {
                return Ok(commit);
            }
            if let Some(error) = refused.take() {
                if error.err_code == BATCH_INCOMPLETE {
                    self.within_stream(&prepared).await?;
                }
                if error.is_too_large() {
                    return Err(CommitError::TooLarge { entry: None, why: error.to_string() });
                }
                if error.refusal() == Refusal::Unclear {
                    writing.in_doubt = Some(prepared.hash);
                }
                return Err(match writing.unresolved(&prepared.hash, error.to_string()) {
                    CommitError::Unreachable(why) if error.is_full() => CommitError::Unavailable(why),
                    unresolved => unresolved,
                });
            }
            match &number_taken {
                Ok(None) => {}
                Ok(Some(order)) => return Err(CommitError::Conflict(order.clone())),
                Err(why) => return Err(writing.unresolved(&prepared.hash, why.clone())),
            }
            let expected = match self.conditions(&prepared).await {
                Ok(Conditions::Hold(expected)) => expected,
                Ok(Conditions::Stale(order)) if read => return Err(CommitError::Conflict(order)),
                Ok(Conditions::Stale(_)) => {
                    // A higher epoch may be the reason.
                    writing.known = false;
                    continue;
                }
                Err(failure) => return Err(writing.unresolved(&prepared.hash, failure.to_string())),
            };
            {
                let mut new_orders = self.partitions[usize::from(prepared.partition.0)].new_orders.lock();
                // Before it is sent: whether it is stored may be known late.
                group.records.iter().for_each(|record| new_orders.note(&record.order));
            }
            let messages = prepared.messages(writing.head.as_ref(), &expected);
            match batch::publish(&self.publish, messages, self.commit_timeout).await {
                Ok(sequence) => {
                    self.committed(&mut writing, &prepared, sequence);
                    return Ok(Commit { position: self.position(prepared.partition, sequence) });
                }
                Err(ApiFailure::Refused(error)) => {
                    // Not even this is believed before the last fence was read.
                    writing.known = false;
                    match error.refusal() {
                        Refusal::Condition => self.verify_condition(&prepared, &error).await,
                        Refusal::Busy => {
                            tokio::time::sleep(Duration::from_millis(fastrand::u64(..BUSY_PAUSE_MS))).await;
                        }
                        Refusal::NotTaken | Refusal::Unclear => refused = Some(error),
                    }
                }
                Err(failure) => {
                    writing.known = false;
                    writing.in_doubt = Some(prepared.hash);
                    return Err(CommitError::Unknown(failure.to_string()));
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

    /// A stream that takes no message of some size says of a batch only that it is not whole: whether that is why.
    async fn within_stream(&self, prepared: &Prepared<'_>) -> Result<(), CommitError> {
        let info = self.api.info(&self.stream(prepared.partition)).await;
        let max = info.ok().and_then(|info| usize::try_from(info.config["max_msg_size"].as_u64()?).ok());
        max.map_or(Ok(()), |max| prepared.fits(max))
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
                match self.refresh(writing, prepared.partition).await {
                    Ok(()) => *read = true,
                    Err(Refresh::Api(failure)) => {
                        return Err(writing.unresolved(&prepared.hash, failure.to_string()));
                    }
                    Err(Refresh::Regressed(why)) => return Err(CommitError::LogRegressed(why)),
                }
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
                None => match prepared.group.follows(head.map(|head| (&head.fence, head.hash))) {
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

    /// The sequences that the records' conditions need: from memory where it fits, else from the leader.
    async fn conditions(&self, prepared: &Prepared<'_>) -> Result<Conditions, ApiFailure> {
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
            Ok::<_, ApiFailure>((at, place))
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
    async fn read_place(&self, partition: PartitionId, order: &OrderRef) -> Result<Place, ApiFailure> {
        let stream = self.stream(partition);
        let place = match self.api.last(&stream, &subjects::record(partition, order)).await? {
            None => Place { sequence: 0, revision: 0 },
            Some(last) => {
                let summary =
                    record::summary(&last.payload).map_err(|error| last.unreadable(&stream, &error))?;
                Place { sequence: last.sequence, revision: summary.next_revision }
            }
        };
        if place.sequence > 0 {
            self.partitions[usize::from(partition.0)].new_orders.lock().note(order);
        }
        let mut places = self.partitions[usize::from(partition.0)].places.lock();
        places.forget(order);
        places.note(order, place);
        Ok(place)
    }

    /// After a condition failed: what is remembered of the order whose condition it was is replaced, or of all of them if
    /// that cannot be told.
    async fn verify_condition(&self, prepared: &Prepared<'_>, error: &ApiError) {
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
        let here = &self.partitions[usize::from(partition.0)];
        here.new_orders.lock().begin(end);
        let places = sequence + 1 + group.records.len() as u64..;
        here.parks_changes.lock().note(group, &hash, places.zip(prepared.controls.iter().cloned()));
        let changed = group.records.iter().filter_map(|record| match record.deadline {
            DeadlineChange::Keep => None,
            DeadlineChange::Set(at) => Some((record.order.clone(), Some(at))),
            DeadlineChange::Clear => Some((record.order.clone(), None)),
        });
        here.deadlines_changes.lock().note(group, &hash, changed);
        self.partitions[usize::from(partition.0)].settled.fetch_max(end, Ordering::AcqRel);
        writing.head = Some(Head { fence: group.fence.clone(), hash, sequence, end });
        writing.known = true;
        writing.acknowledged = Some((group.fence.group, hash));
        writing.in_doubt = None;
        self.partitions[usize::from(partition.0)].stored.send_replace(end);
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
            CommitError::Unreachable(why)
        }
    }
}
