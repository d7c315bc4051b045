//! From entries of the log to public events, from any place on.
//!
//! What an event says follows from all of its order's records. Those of the orders that changed lately are folded in
//! memory; an order that is not there is read from the log, up to the entry in question. So nobody has to begin at the
//! log's beginning.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::ids::{OrderRef, TenantId, TimestampMs};
use retailflow_engine::order::{Aggregate, FoldError, publish_parked, publish_unparked};
use retailflow_engine::ports::{ReadError, RelayedEvent};
use retailflow_engine::wire::event::PublicEvent;

use super::entries::{Entry, Parsed};
use super::placed::{At, PlacedEvent};
use super::shared::Shared;

/// Makes events of entries that come one after another, as they stand in the log.
pub(super) struct Publisher {
    states: LruCache<OrderRef, Aggregate>,
}

/// Why an order's entry tells nothing.
#[derive(Debug, thiserror::Error)]
enum Unpublished {
    #[error(transparent)]
    Fold(#[from] FoldError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}")]
    Other(String),
}

impl Publisher {
    pub(super) fn new(states_max: usize) -> Self {
        Self { states: LruCache::new(NonZeroUsize::new(states_max).unwrap_or(NonZeroUsize::MIN)) }
    }

    /// Forgets all: the next entries are not those after the last ones.
    pub(super) fn forget(&mut self) {
        self.states.clear();
    }

    /// What the entries tell, after `after`, of one tenant or of all. They are whole groups.
    ///
    /// # Errors
    /// When the log cannot be read; then nothing is known any more. An order that is broken is left out, and said.
    pub(super) fn publish(
        &mut self,
        shared: &Shared,
        entries: &[Entry<'_>],
        tenant: Option<&TenantId>,
        after: At,
    ) -> Result<Vec<PlacedEvent>, String> {
        let mut events = Vec::new();
        let (mut group, mut counted) = (0, 0_u32);
        for entry in entries {
            if entry.group != group {
                (group, counted) = (entry.group, 0);
            }
            let made = match &entry.parsed {
                Parsed::Record(record) if tenant.is_none_or(|wanted| *wanted == record.order().tenant) => {
                    let expected = Some(record.expected_revision());
                    self.state(shared, record.order(), expected, entry.position).and_then(|mut state| {
                        let published = record.publish(&mut state)?;
                        self.states.put(record.order().clone(), state);
                        let at = |ordinal| counted.saturating_add(ordinal);
                        Ok(published.into_iter().map(|found| (at(found.ordinal), found.event)).collect())
                    })
                }
                Parsed::Control(Control::Park { order, reason, at })
                    if tenant.is_none_or(|wanted| *wanted == order.tenant) =>
                {
                    self.parked(shared, entry.position, order, |state, earlier| {
                        publish_parked(state, reason, *at, earlier)
                    })
                    .map(|event| event.map(|event| (counted, event)).into_iter().collect::<Vec<_>>())
                }
                Parsed::Control(Control::Release { order, at, .. })
                    if tenant.is_none_or(|wanted| *wanted == order.tenant) =>
                {
                    self.unparked(shared, entry.position, order, *at)
                        .map(|event| event.map(|event| (counted, event)).into_iter().collect())
                }
                _ => Ok(Vec::new()),
            };
            match made {
                Ok(of_entry) => {
                    for (index, event) in of_entry {
                        if (group, index) > after {
                            events.push(render(shared, (group, index), &event)?);
                        }
                    }
                }
                Err(Unpublished::Read(error @ ReadError::Unavailable(_))) => return Err(error.to_string()),
                Err(Unpublished::Other(why)) => return Err(why),
                Err(error) => {
                    tracing::error!(event = "order_events_broken", position = entry.position, %error, "an order's events cannot be told; the others' go on");
                }
            }
            // Counted over what is stored, not over what is told: the same for every filter.
            counted = counted.saturating_add(match &entry.parsed {
                Parsed::Record(record) => record.stored_events(),
                Parsed::Control(_) => 1,
                Parsed::Unreadable => 0,
            });
        }
        Ok(events)
    }

    fn parked(
        &mut self,
        shared: &Shared,
        position: u64,
        order: &OrderRef,
        event: impl FnOnce(&Aggregate, u32) -> Option<PublicEvent>,
    ) -> Result<Option<PublicEvent>, Unpublished> {
        let Some(earlier) = shared.mark_number(order, position).map_err(Unpublished::Other)? else {
            return Ok(None);
        };
        let state = self.state(shared, order, None, position)?;
        let event = event(&state, earlier);
        self.states.put(order.clone(), state);
        Ok(event)
    }

    fn unparked(
        &mut self,
        shared: &Shared,
        position: u64,
        order: &OrderRef,
        at: TimestampMs,
    ) -> Result<Option<PublicEvent>, Unpublished> {
        let Some(parking) = shared.parking_before(order, position).map_err(Unpublished::Other)? else {
            return Ok(None);
        };
        let state = self.state(shared, order, None, position)?;
        let event = publish_unparked(&state, at, parking);
        self.states.put(order.clone(), state);
        Ok(event)
    }

    /// The order's state before the entry at `position`, taken out of memory or made of its records.
    fn state(
        &mut self,
        shared: &Shared,
        order: &OrderRef,
        expected_revision: Option<u64>,
        position: u64,
    ) -> Result<Aggregate, Unpublished> {
        let known = self.states.pop(order);
        let fits = |state: &Aggregate| expected_revision.is_none_or(|revision| revision == state.revision);
        if let Some(state) = known.filter(fits) {
            return Ok(state);
        }
        let mut state = Aggregate::new(order.clone());
        if expected_revision != Some(0) {
            let records = shared.log.read_order_blocking(order)?;
            for record in records.iter().take_while(|record| record.position.0 < position) {
                state.fold(&record.bytes, 1)?;
            }
        }
        Ok(state)
    }
}

fn render(shared: &Shared, at: At, event: &PublicEvent) -> Result<PlacedEvent, String> {
    let cursor = Cursor { log_id: shared.log_id, position: at.0, index: at.1 };
    let token = cursor.to_token().map_err(|error| error.to_string())?;
    let json = serde_json::to_string(event).map_err(|error| error.to_string())?;
    let event = RelayedEvent {
        token: token.into(),
        tenant: event.order.tenant.clone(),
        kind: event.data.kind(),
        json: Arc::from(json),
    };
    Ok(PlacedEvent { at, event })
}
