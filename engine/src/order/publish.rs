//! What the public hears of an order: its records as public events.
//!
//! Invariant: what an event says, its id included, follows from the order's records alone, so it is the same however
//! often and by whomever it is published. So an event's index is that of the stored event that it stands for, and does
//! not shift when a later build publishes more of them.

use std::sync::Arc;

use super::aggregate::{Aggregate, FoldError, is_engines};
use super::convert::{attributes_to_wire, lines_to_wire};
use super::event::Event;
use super::placed::Placed;
use super::saga::Active;
use super::step::{StepAt, StepOutcome};
use super::view::{amount, payment_summary};
use super::{Order, OrderStatus, evolve};
use crate::codec::CodecError;
use crate::codec::control::order_ref;
use crate::codec::v1::{self, BodyV1, DecisionV1, RecordV1, VerdictV1};
use crate::fulfillment;
use crate::ids::{OrderRef, TimestampMs};
use crate::keys::{hex, sha256};
use crate::money::{Amount, MoneyError};
use crate::ports::StepRequest;
use crate::wire::command::Step;
use crate::wire::event::{EventData, PublicEvent};
use crate::wire::event_data as public;
use crate::wire::order::Attention;

/// The index of an order's first park mark, and the later ones follow. A mark is no decision: it leaves the version as
/// it is, and must not be taken for one of the version's own events, which are counted from 0 and are never so many (a
/// record has at most 4 MiB).
pub const PARKED_INDEX: u32 = 1_000_000;

/// The id of the only payment where none was named, as [`Event::Refunded`] has it.
const THE_PAYMENT: &str = "payment";
/// The id of an order's only shipment.
const THE_SHIPMENT: &str = "1";

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
            match decision.verdict {
                VerdictV1::Applied { .. } => applied += u64::from(!is_engines(decision)),
                VerdictV1::Rejected { .. } => rejected += 1,
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
            let active = order.saga.active.clone();
            let canceling = order.status == OrderStatus::Canceling;
            evolve(order, event);
            let happened =
                Happened { order: &self.order, state: order, active, canceling, at: received(decision) };
            match happened.data(event) {
                Ok(Some(data)) => {
                    let index = u32::try_from(number).unwrap_or(u32::MAX);
                    let event = envelope(&self.order, decision, index, data);
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
        index: PARKED_INDEX.saturating_add(earlier),
        time: at,
        causation_id: None,
        traceparent: None,
        data: EventData::Parked(public::ParkedOrder { reason: reason.to_owned() }),
    })
}

fn received(decision: &DecisionV1) -> TimestampMs {
    TimestampMs(decision.received_ms)
}

fn envelope(order: &OrderRef, decision: &DecisionV1, index: u32, data: EventData) -> PublicEvent {
    let (VerdictV1::Applied { version } | VerdictV1::Rejected { version, .. }) = &decision.verdict;
    let mut event = PublicEvent {
        order: order.clone(),
        version: *version,
        index,
        time: received(decision),
        causation_id: causation(order, decision),
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

/// An event in its surroundings.
struct Happened<'a> {
    order: &'a OrderRef,
    /// The order after it.
    state: &'a Order,
    /// What was asked for before it.
    active: Option<Active>,
    /// It was being canceled before it.
    canceling: bool,
    at: TimestampMs,
}

impl Happened<'_> {
    /// What the public hears of it, if anything.
    fn data(&self, event: &Event) -> Result<Option<EventData>, MoneyError> {
        Ok(Some(match event {
            Event::Placed(placed) => EventData::Placed(placed_data(placed)?),
            Event::StepEnded { at, outcome } => return self.ended(at, outcome),
            Event::StatusChanged { status, reason } => {
                let reason = reason.as_deref().unwrap_or_default();
                return self.status(*status, reason);
            }
            Event::ReturnRequested(request) => EventData::Returned(public::Returned {
                lines: request.lines.iter().map(|line| part(&line.line_id, line.quantity)).collect(),
                refund_minor: Amount::new(request.amount_minor())?,
                reason: request.reason.to_string(),
            }),
            Event::AttentionChanged { attention, reason } => self.attention(*attention, reason),
            Event::Contradicted { at, reason, .. } => EventData::Attention(public::AttentionChanged {
                attention: Attention::Held,
                reason: reason.to_string(),
                step: Some(at.step),
            }),
            Event::ContradictionSeen => {
                let kind = self.state.saga.attention.kind();
                self.attention(kind, "an operator has looked at what both sides say")
            }
            Event::Archived { .. } => EventData::Archived(public::ArchivedOrder { archived_at: self.at }),
            Event::StepStarted(_)
            | Event::CancelRequested { .. }
            | Event::Refunded { .. }
            | Event::Restored
            | Event::SettleRequested { .. }
            | Event::Noted { .. } => {
                return Ok(None);
            }
        }))
    }

    fn status(&self, status: OrderStatus, reason: &str) -> Result<Option<EventData>, MoneyError> {
        let payment = payment_summary(self.state)?;
        Ok(Some(match status {
            OrderStatus::Completed => EventData::Completed(public::Completed { payment }),
            OrderStatus::Canceling => EventData::Canceling(public::Canceling { reason: reason.to_owned() }),
            OrderStatus::Canceled => {
                EventData::Canceled(public::Canceled { reason: reason.to_owned(), payment })
            }
            // The cancellation was refused: it goes forward again, and the public hears why.
            OrderStatus::Open if self.canceling => self.attention(self.state.saga.attention.kind(), reason),
            OrderStatus::Open | OrderStatus::Absent => return Ok(None),
        }))
    }

    fn attention(&self, attention: Attention, reason: &str) -> EventData {
        let step = self.state.saga.shown_step();
        EventData::Attention(public::AttentionChanged { attention, reason: reason.to_owned(), step })
    }

    /// A step ended; only what was done on the way forward is public, and only if it was asked for.
    fn ended(&self, at: &StepAt, outcome: &StepOutcome) -> Result<Option<EventData>, MoneyError> {
        let Some(active) = self.active.as_ref().filter(|active| active.at == *at) else { return Ok(None) };
        let Some(placed) = &self.state.placed else { return Ok(None) };
        let Some(reference) = self.reference(at, outcome) else { return Ok(None) };
        let payment_id =
            || placed.payments.first().map_or(THE_PAYMENT, |payment| &*payment.payment_id).to_owned();
        Ok(Some(match at.step {
            Step::Reserve => EventData::Reserved(public::Reserved { reference, short: Vec::new() }),
            Step::Authorize => EventData::Authorized(public::Authorized {
                payment_id: payment_id(),
                reference,
                amount_minor: Amount::new(active.done_minor(outcome))?,
                expires_at: match outcome {
                    StepOutcome::Done { expires, .. } => *expires,
                    _ => None,
                },
            }),
            Step::Book => EventData::Booked(public::Booked {
                shipment_id: THE_SHIPMENT.to_owned(),
                reference,
                lines: carried(placed, active),
            }),
            Step::Capture => EventData::Captured(public::Captured {
                payment_id: payment_id(),
                reference,
                amount_minor: Amount::new(active.done_minor(outcome))?,
            }),
            // Public once the contract has an event for it.
            _ => return Ok(None),
        }))
    }

    /// What the participant's side calls what was done; `None` when it was not done. Without a reference of its own,
    /// the key is what both sides know.
    fn reference(&self, at: &StepAt, outcome: &StepOutcome) -> Option<String> {
        let given: Option<Arc<str>> = match outcome {
            StepOutcome::Done { reference, .. } => Some(reference.clone()),
            StepOutcome::Settled { done: true, reference } => reference.clone(),
            StepOutcome::Resolved { done: true, .. } => self.state.saga.reference(at.step).cloned(),
            _ => return None,
        };
        Some(given.unwrap_or_else(|| fulfillment::key(self.order, at)).to_string())
    }
}

fn placed_data(placed: &Placed) -> Result<public::Placed, MoneyError> {
    Ok(public::Placed {
        customer: placed.customer.to_string(),
        currency: placed.currency,
        total_minor: Amount::new(placed.total_minor)?,
        units: placed.units(),
        lines: lines_to_wire(&placed.lines)?,
        placed_at: placed.placed_at,
        attributes: attributes_to_wire(&placed.attributes),
    })
}

fn carried(placed: &Placed, active: &Active) -> Vec<public::LinePart> {
    match &active.units {
        Some(units) => units.iter().map(|units| part(&units.line_id, units.quantity)).collect(),
        None => placed.lines.iter().map(|line| part(&line.line_id, line.quantity.into())).collect(),
    }
}

fn part(line_id: &str, quantity: u64) -> public::LinePart {
    public::LinePart { line_id: line_id.to_owned(), quantity }
}
