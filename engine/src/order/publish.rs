//! What the public hears of an order: its records as public events.
//!
//! Invariant: what an event says, its id included, follows from the order's records alone, so it is the same however
//! often and by whomever it is published. So an event's index is that of the stored event that it stands for, and does
//! not shift when a later build publishes more of them.

use std::sync::Arc;

use super::aggregate::{Aggregate, FoldError, is_engines};
use super::convert::giver_from_stored;
use super::event::Event;
use super::happened::Happened;
use super::step::StepOutcome;
use super::view::amount;
use super::{OrderStatus, evolve};
use crate::codec::CodecError;
use crate::codec::control::order_ref;
use crate::codec::v1::{self, BodyV1, DecisionV1, RecordV1};
use crate::fulfillment;
use crate::ids::{OrderRef, TimestampMs};
use crate::keys::{hex, sha256};
use crate::ports::StepRequest;
use crate::wire::event::{EventData, PublicEvent};
use crate::wire::event_data as public;

/// The index of an order's first park mark; the end of that parking, the next mark and its end follow. A mark is no decision: it leaves the version as
/// it is, and must not be taken for one of the version's own events, which are counted from 0 and are never so many (a
/// record has at most 4 MiB).
pub const PARKED_INDEX: u32 = 1_000_000;

/// A public event, and where in its record it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Which of the record's stored events it stands for, from 0, through all of its decisions.
    pub ordinal: u32,
    /// The event.
    pub event: PublicEvent,
}

/// An order's record that is read and not folded yet.
#[derive(Debug)]
pub struct Incoming<'a> {
    bytes: &'a [u8],
    pub(super) record: RecordV1,
    order: OrderRef,
}

impl<'a> Incoming<'a> {
    /// Reads a stored record.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let record = v1::decode(bytes)?;
        let order = order_ref(&record.tenant, &record.order)?;
        Ok(Self { bytes, record, order })
    }

    /// Whose record it is.
    #[must_use]
    pub fn order(&self) -> &OrderRef {
        &self.order
    }

    /// How many decisions stand before it.
    #[must_use]
    pub fn expected_revision(&self) -> u64 {
        self.record.expected_revision
    }

    /// How many decisions stand after it.
    #[must_use]
    pub fn next_revision(&self) -> u64 {
        let BodyV1::Decisions(decisions) = &self.record.body else { return self.record.expected_revision };
        self.record.expected_revision.saturating_add(decisions.len() as u64)
    }

    /// How many commands it records as applied, and how many as rejected; the engine's own decisions were nobody's
    /// command.
    #[must_use]
    pub fn commands(&self) -> (u64, u64) {
        let BodyV1::Decisions(decisions) = &self.record.body else { return (0, 0) };
        let (mut applied, mut rejected) = (0, 0);
        for decision in decisions {
            match decision.verdict.is_applied() {
                true => applied += u64::from(!is_engines(decision)),
                false => rejected += 1,
            }
        }
        (applied, rejected)
    }

    /// How many events it stores, public or not: what [`Published::ordinal`] stays below.
    #[must_use]
    pub fn stored_events(&self) -> u32 {
        let BodyV1::Decisions(decisions) = &self.record.body else { return 0 };
        let count: usize = decisions.iter().map(|decision| decision.events.len()).sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Folds it into the order that it follows; gives what the public hears of it. Of the ids that the order has
    /// decided only the last one is kept: the state is good for publishing, not for deciding.
    ///
    /// # Errors
    /// [`FoldError`]; the state must then not be used.
    pub fn publish(&self, before: &mut Aggregate) -> Result<Vec<Published>, FoldError> {
        let mut published = Vec::new();
        let (mut ordinal, mut failed) = (0, None);
        before.fold_record(self.bytes, &self.record, 1, &mut |decision, number, order, event| {
            let (active, told) = (order.saga.active.clone(), order.told);
            let canceling = order.status == OrderStatus::Canceling;
            let money_before = match event {
                Event::FactRecorded(_) => (order.saga.kept_minor(), order.saga.promised_minor()),
                _ => (0, 0),
            };
            evolve(order, event);
            let happened = Happened {
                order: &self.order,
                state: order,
                active,
                canceling,
                following: decision.events.get(number + 1..).unwrap_or_default(),
                money_before,
                is_told: order.told > told,
                at: received(decision),
            };
            let data = happened.data(event);
            debug_assert!(
                !matches!(&data, Ok(data) if data.is_some() != (order.told > told)),
                "what is counted is what is told: {event:?}"
            );
            match data {
                Ok(Some(data)) => {
                    let index = u32::try_from(number).unwrap_or(u32::MAX);
                    let event = envelope(&self.order, decision, index, order.told, data);
                    published.push(Published { ordinal, event });
                }
                Ok(None) => {}
                Err(error) => failed = Some(amount(error)),
            }
            ordinal += 1;
        })?;
        before.older.clear();
        failed.map_or(Ok(published), Err)
    }
}

/// A step that its participant said is done, as it was asked for: what its book must know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDone {
    /// The request, with its key.
    pub request: StepRequest,
    /// The participant's reference, where it gave one.
    pub reference: Option<Arc<str>>,
}

impl Incoming<'_> {
    /// Folds it into the order that it follows; gives the steps that it says were done. Those that an operator resolved
    /// stand in nobody's books, and are not among them. As with [`Self::publish`], the state is good for nothing but this.
    ///
    /// # Errors
    /// [`FoldError`]; the state must then not be used.
    pub fn steps_done(&self, before: &mut Aggregate) -> Result<Vec<StepDone>, FoldError> {
        let mut done = Vec::new();
        before.fold_record(self.bytes, &self.record, 1, &mut |_, _, order, event| {
            if let Event::StepEnded { at, outcome } = event
                && let Some(active) = order.saga.active.as_ref().filter(|active| active.at == *at)
            {
                let reference = match outcome {
                    StepOutcome::Done { reference, .. } => Some(Some(Arc::clone(reference))),
                    StepOutcome::Settled { done: true, reference } => Some(reference.clone()),
                    _ => None,
                };
                let request = fulfillment::request(&self.order, order, active);
                done.extend(
                    reference.zip(request).map(|(reference, request)| StepDone { request, reference }),
                );
            }
            evolve(order, event);
        })?;
        before.older.clear();
        Ok(done)
    }
}

/// What the public hears when an order is parked that stands like this; `earlier` is how often it was parked before.
/// Nothing when nothing is placed: the public knows of no such order.
#[must_use]
pub fn publish_parked(
    aggregate: &Aggregate,
    reason: &str,
    at: TimestampMs,
    earlier: u32,
) -> Option<PublicEvent> {
    aggregate.order.placed.as_ref()?;
    Some(PublicEvent {
        order: aggregate.reference.clone(),
        version: aggregate.order.version,
        index: PARKED_INDEX.saturating_add(earlier.saturating_mul(2)),
        number: None,
        time: at,
        causation_id: None,
        causation_source: None,
        actor: None,
        traceparent: None,
        data: EventData::Parked(public::ParkedOrder { reason: reason.to_owned() }),
    })
}

/// What the public hears when parking number `parking` of an order (from 0) ends. Nothing when nothing is placed.
#[must_use]
pub fn publish_unparked(aggregate: &Aggregate, at: TimestampMs, parking: u32) -> Option<PublicEvent> {
    let parked = publish_parked(aggregate, "", at, parking)?;
    let index = parked.index.saturating_add(1);
    Some(PublicEvent { index, data: EventData::Unparked(public::UnparkedOrder {}), ..parked })
}

fn received(decision: &DecisionV1) -> TimestampMs {
    TimestampMs(decision.received_ms)
}

fn envelope(
    order: &OrderRef,
    decision: &DecisionV1,
    index: u32,
    number: u64,
    data: EventData,
) -> PublicEvent {
    let is_engines = is_engines(decision);
    let mut event = PublicEvent {
        order: order.clone(),
        version: decision.verdict.version(),
        index,
        number: Some(number),
        time: received(decision),
        causation_id: causation(order, decision),
        causation_source: (!is_engines).then(|| decision.source.clone()),
        actor: Some(giver_from_stored(&decision.actor).kind),
        traceparent: None,
        data,
    };
    event.traceparent = decision.trace_id.and_then(|trace| traceparent(&event, trace));
    event
}

/// The command's id; of the engine's own commands, the key under which the step was asked for that ended by it.
fn causation(order: &OrderRef, decision: &DecisionV1) -> Option<String> {
    if !is_engines(decision) {
        return Some(decision.id.clone());
    }
    let ended = decision.events.iter().find_map(super::convert::ended_from_stored);
    ended.map(|at| fulfillment::key(order, &at).to_string()).or_else(|| decision.causation.clone())
}

/// The trace goes on at the event, under a parent id that is made of the event's own: it has to be the same each time.
/// Nobody recorded whether the trace is sampled, so the flag is not set.
fn traceparent(event: &PublicEvent, trace: [u8; 16]) -> Option<String> {
    let parent = sha256(format!("{} {}", event.source(), event.id()).as_bytes());
    let parent = parent.get(..8)?;
    let valid = trace != [0; 16] && parent != [0; 8];
    valid.then(|| format!("00-{}-{}-00", hex(&trace), hex(parent)))
}
