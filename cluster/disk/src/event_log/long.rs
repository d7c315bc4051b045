//! Reading orders with many records without reading all of them.
//!
//! Invariant: whoever knows where a long order's records stand ([`LongOrders`]) only says where to look, up to some
//! decision. What stands there is checked to be that order's next record, what came later is read by the order's chain,
//! and in doubt all is.

use std::sync::{Arc, Weak};

use retailflow_engine::codec::record::{self, RecordSummary};
use retailflow_engine::ids::{CommandKey, OrderRef};
use retailflow_engine::ports::{LogPosition, StoredRecord};

use super::failure::LogFailure;
use super::long_orders::{KnownRecords, LONG_MIN, LongOrders};
use super::state::Inner;
use crate::log::group::EntryKind;
use crate::log::{LogError, Position};
use retailflow_index::OrderPlace;

impl Inner {
    fn long(&self) -> Option<Arc<dyn LongOrders>> {
        self.long.read().as_ref().and_then(Weak::upgrade)
    }

    fn damaged(order: &OrderRef, position: Position, why: impl std::fmt::Display) -> LogFailure {
        LogError::damaged(position, format!("order {order}: {why}")).into()
    }

    /// The order's record at `position`, and the one before it.
    fn record(
        &self,
        order: &OrderRef,
        position: Position,
    ) -> Result<(StoredRecord, RecordSummary, Option<Position>), LogFailure> {
        #[cfg(test)]
        self.records_read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let entry = self.reader.entry(position)?;
        if entry.kind != EntryKind::Record {
            return Err(Self::damaged(order, position, "a control record stands there"));
        }
        let summary = record::summary(&entry.bytes)
            .map_err(|error| LogFailure::undecodable(position, &format!("order {order}"), &error))?;
        if summary.order != *order {
            let why = format!("its chain leads to a record of {}", summary.order);
            return Err(Self::damaged(order, position, why));
        }
        let stored = StoredRecord { position: LogPosition(position.0), bytes: entry.bytes };
        Ok((stored, summary, entry.previous))
    }

    /// An order's records that hold decisions after `after_revision`.
    pub(super) fn read_order(
        &self,
        order: &OrderRef,
        after_revision: u64,
    ) -> Result<Vec<StoredRecord>, LogFailure> {
        match self.places.read(&self.key(order))? {
            Some(place) => self.walk(order, place.position, place.revision, after_revision),
            None => Ok(Vec::new()),
        }
    }

    /// Walks an order's chain from the record at `newest`, after which it has `revision` decisions, back to the last one
    /// needed.
    pub(super) fn walk(
        &self,
        order: &OrderRef,
        newest: u64,
        mut revision: u64,
        after_revision: u64,
    ) -> Result<Vec<StoredRecord>, LogFailure> {
        let mut records = Vec::new();
        let mut next = Some(Position(newest));
        while let Some(position) = next.filter(|_| revision > after_revision) {
            let (record, summary, previous) = self.record(order, position)?;
            if summary.next_revision != revision {
                let why = format!("revision {} where {revision} should be", summary.next_revision);
                return Err(Self::damaged(order, position, why));
            }
            if previous.is_some_and(|previous| previous >= position) {
                return Err(Self::damaged(order, position, "its chain turns round"));
            }
            revision = summary.expected_revision;
            next = previous;
            records.push(record);
        }
        records.reverse();
        Ok(records)
    }

    /// As [`Inner::read_order`], up to the record that holds decision `after + decisions` if that spares reading.
    pub(super) fn read_some(
        &self,
        order: &OrderRef,
        after: u64,
        decisions: u64,
    ) -> Result<Vec<StoredRecord>, LogFailure> {
        let Some(place) = self.places.read(&self.key(order))? else { return Ok(Vec::new()) };
        let all = || self.walk(order, place.position, place.revision, after);
        if place.revision < LONG_MIN || place.revision <= after {
            return all();
        }
        let known = self.long().and_then(|long| long.records(order, after, decisions));
        let Some(known) = known else { return all() };
        let Some((mut records, up_to)) = self.known(order, &known, after)? else { return all() };
        if up_to < after.saturating_add(decisions) && up_to < place.revision {
            records.extend(self.walk(order, place.position, place.revision, up_to.max(after))?);
        }
        Ok(records)
    }

    /// The records at places that are known, the first of which holds decision `after + 1`, and up to which decision they
    /// go; `None` when something else stands there.
    fn known(
        &self,
        order: &OrderRef,
        known: &KnownRecords,
        after: u64,
    ) -> Result<Option<(Vec<StoredRecord>, u64)>, LogFailure> {
        let mut records = Vec::with_capacity(known.positions.len());
        let mut revision = None;
        for position in &known.positions {
            let (record, summary, _) = match self.record(order, Position(*position)) {
                Err(LogFailure::Damaged(_)) => return Ok(None),
                found => found?,
            };
            let follows = match revision {
                None => summary.expected_revision <= after && after < summary.next_revision,
                Some(revision) => summary.expected_revision == revision,
            };
            if !follows {
                return Ok(None);
            }
            revision = Some(summary.next_revision);
            records.push(record);
        }
        let up_to = revision.unwrap_or(after);
        Ok((revision.is_some() || known.up_to <= after).then_some((records, up_to)))
    }

    /// Records of which one holds the decision on `command`, if there is any; `None` where nobody knows.
    pub(super) fn find_decision(
        &self,
        order: &OrderRef,
        command: &CommandKey,
    ) -> Result<Option<Vec<StoredRecord>>, LogFailure> {
        let Some(place) = self.places.read(&self.key(order))? else { return Ok(Some(Vec::new())) };
        let known = match self.long().filter(|_| place.revision >= LONG_MIN) {
            Some(long) => long.with_command(order, command),
            None => None,
        };
        let Some(known) = known.filter(|known| known.up_to <= place.revision) else { return Ok(None) };
        let OrderPlace { position, revision, .. } = place;
        let mut records = self.walk(order, position, revision, known.up_to)?;
        for position in known.positions {
            match self.record(order, Position(position)) {
                Err(LogFailure::Damaged(_)) => return Ok(None),
                found => records.push(found?.0),
            }
        }
        Ok(Some(records))
    }
}
