//! The writer thread's work: check conditions, gather groups into one write, make it visible, answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::codec::fence::fence_hash;
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{Commit, CommitError, DeadlineChange, Group, LogPosition, StoreError};
use tokio::sync::oneshot;

use super::controls;
use super::state::{Head, Inner, Keys, Pending, encode_heads};
use crate::log::frame::HEADER_BYTES;
use crate::log::group::{EntryKind, GroupEncoder};
use crate::log::writer::Work;
use crate::log::{Appender, FrameKind, Position, PushError};
use retailflow_index::{Cursor as IndexCursor, IndexError, OrderPlace, OrderUpdate};

/// Why nothing that changes control entries is taken in.
const REOPENED: &str = "the index is being opened anew after a failed write";

type CommitAnswer = oneshot::Sender<Result<Commit, CommitError>>;
type PutAnswer = oneshot::Sender<Result<(), StoreError>>;
type ProbeAnswer = oneshot::Sender<Result<(), CommitError>>;

/// What the writer is asked to do.
pub(super) enum Request {
    /// Append a group.
    Commit(Box<Group>, CommitAnswer),
    /// Append a note.
    Put(Box<Note>, PutAnswer),
    /// Write and sync, and leave nothing.
    Probe(ProbeAnswer),
}

enum Waiting {
    Commit(CommitAnswer, Position),
    Put(PutAnswer),
}

pub(super) struct Committer {
    inner: Arc<Inner>,
    /// Written into the batch and not durable yet.
    places: Pending<OrderPlace>,
    heads: BTreeMap<u16, Head>,
    controls: Vec<(Position, Control)>,
    notes: Vec<(Position, Note, Vec<u8>)>,
    letters: Keys,
    waiting: Vec<Waiting>,
    payload: Vec<u8>,
}

impl Committer {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            places: Pending::new(),
            heads: BTreeMap::new(),
            controls: Vec::new(),
            notes: Vec::new(),
            letters: Keys::new(),
            waiting: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// Takes a group into the batch, or says why not. Answers its place, and whether it is to wait for the batch.
    fn commit(&mut self, appender: &mut Appender, group: &Group) -> Result<(Position, bool), CommitError> {
        let unavailable = |why: String| CommitError::Unavailable(why);
        let fence = group.fence.encode().map_err(|error| unavailable(error.to_string()))?;
        let hash = fence_hash(&fence);
        let partition = group.fence.partition.0;
        let durable = self.inner.heads.read().get(&partition).cloned();
        let pending = self.heads.get(&partition);
        let head = pending.or(durable.as_ref());
        if let Some(head) = head.filter(|head| head.hash == hash) {
            return Ok((head.position, pending.is_some()));
        }
        group.follows(head.map(|head| (&head.fence, head.hash)))?;
        let mut encoder = GroupEncoder::new(std::mem::take(&mut self.payload), &fence);
        let mut updates: Vec<([u8; 16], OrderPlace, u32)> = Vec::with_capacity(group.records.len());
        let mut seen: Keys = Keys::with_capacity(group.records.len());
        for record in &group.records {
            if partition_of(&record.order, self.inner.identity.partitions) != group.fence.partition {
                let why = format!("order {} does not belong to partition {partition}", record.order);
                return Err(unavailable(why));
            }
            let key = self.inner.key(&record.order);
            let place = match self.places.get(&key) {
                Some(place) => Some(*place),
                None => {
                    self.inner.places.current(&key).map_err(|error| unavailable(self.inner.lost(&error)))?
                }
            };
            // A second record of the same order in a group can't be right either.
            if place.map_or(0, |place| place.revision) != record.expected_revision || !seen.insert(key) {
                self.payload = encoder.finish();
                return Err(CommitError::Conflict(record.order.clone()));
            }
            let deadline_ms = match record.deadline {
                DeadlineChange::Keep => place.and_then(|place| place.deadline_ms),
                DeadlineChange::Set(at) => Some(at.0),
                DeadlineChange::Clear => None,
            };
            let previous = place.map(|place| Position(place.position));
            let offset = encoder.push(EntryKind::Record, previous, &record.bytes);
            updates.push((
                key,
                OrderPlace { position: 0, revision: record.next_revision, deadline_ms },
                offset,
            ));
        }
        let mut decoded = Vec::with_capacity(group.controls.len());
        for control in &group.controls {
            let offset = encoder.push(EntryKind::Control, None, &control.bytes);
            let control = Control::decode(&control.bytes).map_err(|error| unavailable(error.to_string()))?;
            decoded.push((offset, control));
        }
        let payload = encoder.finish();
        let pending = self.controls.iter().map(|(_, control)| control);
        let new = decoded.iter().map(|(_, control)| control);
        match controls::number_taken(&self.inner.index, self.inner.identity.partitions, pending, new) {
            Ok(None) => {}
            Ok(Some(order)) => {
                self.payload = payload;
                return Err(CommitError::Conflict(order));
            }
            Err(error) => return Err(unavailable(self.inner.lost(&error))),
        }
        let pushed = self.push(appender, FrameKind::Group, &payload);
        self.payload = payload;
        let position = pushed.map_err(|error| match error {
            PushError::Broken(why) => CommitError::Broken(why),
            PushError::OutOfFiles(why) => CommitError::OutOfFiles(why),
            PushError::TooLarge { max, .. } => too_large(group, max, &error),
            error => unavailable(error.to_string()),
        })?;
        let at = |offset: u32| position.plus(HEADER_BYTES as u32 + offset);
        for (key, place, offset) in updates {
            self.places.insert(key, OrderPlace { position: at(offset).0, ..place });
        }
        self.controls.extend(decoded.into_iter().map(|(offset, control)| (at(offset), control)));
        self.heads.insert(partition, Head { fence: group.fence.clone(), hash, position });
        Ok((position, true))
    }

    fn put(&mut self, appender: &mut Appender, note: Note) -> Result<bool, StoreError> {
        let unavailable = |why: String| StoreError::Unavailable(why);
        if let Note::DeadLetter(letter) = &note {
            let stored = self.inner.index.get_control(&controls::letter_key(&letter.key));
            if stored.map_err(|error| unavailable(self.inner.lost(&error)))?.is_some() {
                return Ok(false);
            }
            if self.letters.contains(&letter.key) {
                return Ok(true);
            }
        }
        let encoded = note.encode().map_err(|error| unavailable(error.to_string()))?;
        let position = self.push(appender, FrameKind::Note, &encoded);
        let position = position.map_err(|error| unavailable(error.to_string()))?;
        if let Note::DeadLetter(letter) = &note {
            self.letters.insert(letter.key);
        }
        self.notes.push((position, note, encoded));
        Ok(true)
    }

    /// Pushes a frame, making the batch durable first when it is full.
    fn push(
        &mut self,
        appender: &mut Appender,
        kind: FrameKind,
        payload: &[u8],
    ) -> Result<Position, PushError> {
        match appender.push(kind, payload) {
            Err(PushError::Full) => {
                self.flush(appender);
                appender.push(kind, payload)
            }
            pushed => pushed,
        }
    }

    /// Makes the batch durable and visible, and answers all that wait for it.
    fn flush(&mut self, appender: &mut Appender) {
        let outcome = match appender.commit() {
            Ok(None) => Ok(()),
            Ok(Some(cursor)) => {
                let cursor = IndexCursor { position: cursor.position.0, frame_hash: cursor.hash };
                // It is durable, but reads would not see it: the process has to end and replay the log.
                self.publish(cursor).map_err(|error| format!("the index does not follow the log: {error}"))
            }
            Err(error) => Err(error.0),
        };
        if let Err(reason) = &outcome {
            self.inner.fail(reason);
        }
        self.places.clear();
        self.heads.clear();
        self.controls.clear();
        self.notes.clear();
        self.letters.clear();
        // Whoever no longer waits will propose the identical group again, or never ask.
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Commit(answer, position) => {
                    let commit = Commit { position: LogPosition(position.0) };
                    let outcome = outcome.clone().map(|()| commit).map_err(CommitError::Broken);
                    drop(answer.send(outcome));
                }
                Waiting::Put(answer) => {
                    drop(answer.send(outcome.clone().map_err(StoreError::Unavailable)));
                }
            }
        }
    }

    fn publish(&mut self, cursor: IndexCursor) -> Result<(), IndexError> {
        let inner = &self.inner;
        for (position, control) in &self.controls {
            controls::apply_control(&inner.index, inner.identity.partitions, *position, control)?;
        }
        for (position, note, encoded) in &self.notes {
            controls::apply_note(&inner.index, *position, note, encoded)?;
        }
        let updates: Vec<OrderUpdate> =
            self.places.iter().map(|(key, place)| OrderUpdate { key: *key, place: *place }).collect();
        let last = self.heads.values().map(|head| head.position.0).max();
        let meta = if self.heads.is_empty() {
            None
        } else {
            let mut heads = inner.heads.write();
            heads.extend(std::mem::take(&mut self.heads));
            Some(encode_heads(heads.iter().map(|(partition, head)| (*partition, head.position))))
        };
        inner.index.apply(&updates, cursor, meta)?;
        inner.places.remember(updates.iter().map(|update| (update.key, update.place)));
        let mut tenants = inner.tenants.write();
        for (_, note, _) in self.notes.drain(..) {
            if let Note::Tenant(setting) = note {
                tenants.insert(setting.tenant.clone(), setting);
            }
        }
        drop(tenants);
        if let Some(last) = last {
            inner.tail.moved(last);
        }
        Ok(())
    }
}

/// A group that no frame holds. Nobody else is to be refused for an entry that none would hold alone.
fn too_large(group: &Group, max: usize, error: &PushError) -> CommitError {
    let records = group.records.iter().map(|record| record.bytes.len());
    let mut entries = records.chain(group.controls.iter().map(|control| control.bytes.len()));
    CommitError::TooLarge { entry: entries.position(|bytes| bytes > max), why: error.to_string() }
}

impl Work<Request> for Committer {
    fn handle(&mut self, appender: &mut Appender, requests: &mut Vec<Request>) {
        // Before anything is written: what is durable must be taken in, and refusing changes nothing.
        if let Err(error) = self.inner.index.room() {
            let why = format!("no more changes are taken in for now: {}", self.inner.lost(&error));
            for request in requests.drain(..) {
                match request {
                    Request::Commit(_, answer) => {
                        drop(answer.send(Err(CommitError::Unavailable(why.clone()))));
                    }
                    Request::Put(_, answer) => drop(answer.send(Err(StoreError::Unavailable(why.clone())))),
                    Request::Probe(answer) => drop(answer.send(Err(CommitError::Unavailable(why.clone())))),
                }
            }
            return;
        }
        let controls = self.inner.index.takes_controls();
        let mut probes = Vec::new();
        for request in requests.drain(..) {
            match request {
                // To take one in, the index has to be asked for those before it.
                Request::Commit(group, answer) if !controls && !group.controls.is_empty() => {
                    drop(answer.send(Err(CommitError::Unavailable(REOPENED.into()))));
                }
                Request::Put(_, answer) if !controls => {
                    drop(answer.send(Err(StoreError::Unavailable(REOPENED.into()))));
                }
                Request::Commit(group, answer) => match self.commit(appender, &group) {
                    Ok((position, true)) => self.waiting.push(Waiting::Commit(answer, position)),
                    Ok((position, false)) => {
                        drop(answer.send(Ok(Commit { position: LogPosition(position.0) })));
                    }
                    Err(error) => drop(answer.send(Err(error))),
                },
                Request::Put(note, answer) => match self.put(appender, *note) {
                    Ok(true) => self.waiting.push(Waiting::Put(answer)),
                    Ok(false) => drop(answer.send(Ok(()))),
                    Err(error) => drop(answer.send(Err(error))),
                },
                Request::Probe(answer) => probes.push(answer),
            }
        }
        let wrote = !self.waiting.is_empty();
        self.flush(appender);
        if !probes.is_empty() {
            // What was just written proves the same.
            let proved = match appender.broken() {
                Some(reason) => Err(CommitError::Broken(reason.to_owned())),
                None if wrote => Ok(()),
                None => appender.prove().map_err(|error| CommitError::Unavailable(error.to_string())),
            };
            probes.into_iter().for_each(|answer| drop(answer.send(proved.clone())));
        }
    }

    fn close(&mut self, appender: &mut Appender) {
        if appender.broken().is_some() {
            return;
        }
        if let Err(error) = appender.clean_stop() {
            tracing::warn!(
                event = "log_not_closed_cleanly",
                error,
                "the log was closed without its mark of a clean stop"
            );
            return;
        }
        // So that a later start misses the mark if it is gone.
        let last = appender.last();
        let cursor = IndexCursor { position: last.position.0, frame_hash: last.hash };
        if let Err(error) = self.inner.index.apply(&[], cursor, None) {
            tracing::warn!(%error, "the index does not follow the log; it is caught up at the next start");
        }
    }
}
