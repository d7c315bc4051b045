//! What the public hears of one stored event, in the words of the contract.

use std::sync::Arc;

use super::event::Event;
use super::owed::ReturnedLine;
use super::placed::Placed;
use super::saga::{Active, Waiting};
use super::shipments::THE_SHIPMENT;
use super::step::{StepAt, StepOutcome};
use super::view_payments::{component_amounts, line_amounts, payment_summary};
use super::{Order, OrderStatus};
use crate::fulfillment;
use crate::ids::{OrderRef, TimestampMs};
use crate::money::{Amount, MoneyError};
use crate::wire::command::{Component, Payment, ShipmentState, Step};
use crate::wire::event::EventData;
use crate::wire::event_data as public;
use crate::wire::order::{Attention, LineAmount};
use crate::wire::payment_rules::OnDecline;

/// An event in its surroundings.
pub(super) struct Happened<'a> {
    pub(super) order: &'a OrderRef,
    /// The order after it.
    pub(super) state: &'a Order,
    /// What was asked for before it.
    pub(super) active: Option<Active>,
    /// It was being canceled before it.
    pub(super) canceling: bool,
    /// The public hears of it (`told`).
    pub(super) is_told: bool,
    pub(super) at: TimestampMs,
}

impl Happened<'_> {
    /// What the public hears of it, if anything.
    pub(super) fn data(&self, event: &Event) -> Result<Option<EventData>, MoneyError> {
        if !self.is_told {
            return Ok(None);
        }
        Ok(Some(match event {
            Event::Placed(placed) => EventData::Placed(placed_data(placed)?),
            Event::StepEnded { at, outcome } => return self.ended(at, outcome),
            Event::StatusChanged { status, reason } => {
                let reason = reason.as_deref().unwrap_or_default();
                return self.status(*status, reason);
            }
            Event::ReturnRequested(request) => EventData::Returned(public::Returned {
                return_id: request.return_id.to_string(),
                lines: request.lines.iter().map(returned).collect::<Result<_, _>>()?,
                refund_minor: Amount::new(request.amount_minor())?,
                reason: request.reason.to_string(),
            }),
            Event::AttentionChanged { attention, reason } => self.attention(*attention, reason),
            // Both change what the order's view says of its attention.
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
            Event::ShipmentMoved { state, reason, .. } => return Ok(self.shipment(*state, reason.as_deref())),
            Event::GoodsAwaited { until } => {
                EventData::AwaitingGoods(public::AwaitingGoods { until: *until })
            }
            Event::StillPending { at, until, .. } => {
                let Some(Active { waiting: Waiting::Pending { reference, .. }, .. }) = &self.active else {
                    return Ok(None);
                };
                let (step, reference) = (at.step, reference.to_string());
                EventData::Pending(public::Pending { step, reference, until: Some(*until) })
            }
            Event::Restored => EventData::Restored(public::RestoredOrder { restored_at: self.at }),
            Event::StepStarted(_)
            | Event::CancelRequested { .. }
            | Event::Refunded { .. }
            | Event::ReturnRulesSet(_)
            | Event::SettleRequested { .. }
            | Event::RefundRequested(_)
            | Event::ReturnSplit { .. }
            | Event::PaymentRulesSet(_)
            | Event::PaymentAwaited { .. }
            | Event::PaymentsAdded { .. }
            | Event::FlowSet(_)
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

    /// A step ended, or was taken on.
    fn ended(&self, at: &StepAt, outcome: &StepOutcome) -> Result<Option<EventData>, MoneyError> {
        let Some(active) = self.active.as_ref().filter(|active| active.at == *at) else { return Ok(None) };
        let Some(placed) = &self.state.placed else { return Ok(None) };
        let part = at.for_part();
        let payment_id = || placed.payment_id(part.payment).to_owned();
        match outcome {
            StepOutcome::Pending { reference, until } => {
                let (reference, until) = (reference.to_string(), *until);
                return Ok(Some(EventData::Pending(public::Pending { step: at.step, reference, until })));
            }
            StepOutcome::Declined { code, reason, .. } => {
                return Ok(Some(EventData::PaymentFailed(public::PaymentFailed {
                    payment_id: payment_id(),
                    step: at.step,
                    amount_minor: Amount::new(active.amount_minor)?,
                    code: code.to_string(),
                    reason: reason.to_string(),
                    waiting_until: self.waits(at.step),
                })));
            }
            _ => {}
        }
        let Some(reference) = self.reference(at, outcome) else { return Ok(None) };
        let amount_minor = Amount::new(active.done_minor(outcome))?;
        let return_id = part.owed.filter(|owed| owed.starts_with('r')).map(str::to_owned);
        Ok(Some(match at.step {
            Step::Reserve => EventData::Reserved(public::Reserved { reference, short: Vec::new() }),
            Step::Authorize => EventData::Authorized(public::Authorized {
                payment_id: payment_id(),
                reference,
                amount_minor,
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
            Step::Capture => {
                EventData::Captured(public::Captured { payment_id: payment_id(), reference, amount_minor })
            }
            Step::Release => {
                EventData::Released(public::Released { reference, lines: carried(placed, active) })
            }
            Step::Void => {
                EventData::Voided(public::Voided { payment_id: payment_id(), reference, amount_minor })
            }
            Step::CancelShipment => EventData::ShipmentCanceled(public::ShipmentCanceled {
                shipment_id: THE_SHIPMENT.to_owned(),
                reference,
            }),
            Step::Refund => {
                let (lines, components) = self.piece(part.owed, active.done_minor(outcome))?;
                EventData::Refunded(public::Refunded {
                    payment_id: payment_id(),
                    refund_id: part.owed.filter(|_| return_id.is_none()).map(str::to_owned),
                    return_id,
                    lines,
                    components,
                    reference,
                    amount_minor,
                })
            }
            Step::Restock => EventData::Restocked(public::Restocked {
                return_id: return_id.unwrap_or_default(),
                reference,
                lines: carried(placed, active),
            }),
        }))
    }

    /// A shipment is somewhere else.
    fn shipment(&self, state: ShipmentState, reason: Option<&str>) -> Option<EventData> {
        let placed = self.state.placed.as_ref()?;
        let moved = public::ShipmentMoved {
            shipment_id: THE_SHIPMENT.to_owned(),
            reference: self.state.saga.reference(Step::Book)?.to_string(),
            lines: placed.lines.iter().map(|line| part(&line.line_id, line.quantity.into())).collect(),
            reason: reason.map(str::to_owned),
        };
        Some(match state {
            ShipmentState::Booked => return None,
            ShipmentState::HandedOver => EventData::Shipped(moved),
            ShipmentState::Delivered => EventData::Delivered(moved),
            ShipmentState::ReturnedToSender => EventData::ShipmentReturned(moved),
            ShipmentState::Lost => EventData::ShipmentLost(moved),
        })
    }

    /// Until when the order waits for another means, if this decline makes it wait.
    fn waits(&self, step: Step) -> Option<TimestampMs> {
        let rules = &self.state.saga.payment_rules;
        let waits = step == Step::Authorize
            && rules.on_decline == OnDecline::Wait
            && self.state.status == OrderStatus::Open;
        waits.then(|| self.at.plus_ms(rules.payment_wait_ms))
    }

    /// What the last `amount_minor` that was paid back of an owed amount is of.
    fn piece(
        &self,
        owed: Option<&str>,
        amount_minor: i64,
    ) -> Result<(Vec<LineAmount>, Vec<Component>), MoneyError> {
        let saga = &self.state.saga;
        let open = saga.returns.iter().flat_map(|returns| &returns.open);
        let open = open.map(|open| (&*open.request.return_id, open.split(), open.paid));
        let asked = saga.refunds().iter();
        let asked = asked.map(|asked| (&*asked.request.refund_id, asked.request.split.clone(), asked.paid));
        let found = owed.and_then(|owed| open.chain(asked).find(|(id, ..)| *id == owed));
        let Some((_, split, paid)) = found else { return Ok((Vec::new(), Vec::new())) };
        let (lines, components) = split.piece(paid.minor.saturating_sub(amount_minor), amount_minor);
        Ok((line_amounts(&lines)?, component_amounts(&components)?))
    }

    /// What the participant's side calls what was done; `None` when it was not done. Without a reference of its own,
    /// the key is what both sides know.
    fn reference(&self, at: &StepAt, outcome: &StepOutcome) -> Option<String> {
        let given: Option<Arc<str>> = match outcome {
            StepOutcome::Done { reference, .. } => Some(reference.clone()),
            StepOutcome::Settled { done: true, reference } => reference.clone(),
            StepOutcome::Resolved { done: true, .. } => {
                self.state.saga.reference_of(at.step, at.for_part().payment).cloned()
            }
            _ => return None,
        };
        Some(given.unwrap_or_else(|| fulfillment::key(self.order, at)).to_string())
    }
}

fn placed_data(placed: &Placed) -> Result<public::Placed, MoneyError> {
    let wire = placed.to_wire()?;
    let payment = |payment: Payment| public::PaymentPart {
        payment_id: payment.payment_id,
        amount_minor: payment.amount_minor,
    };
    Ok(public::Placed {
        customer: placed.customer.to_string(),
        currency: placed.currency,
        total_minor: Amount::new(placed.total_minor)?,
        units: placed.units(),
        lines: wire.lines,
        components: wire.components,
        payments: wire.payments.into_iter().map(payment).collect(),
        delivery: wire.delivery,
        placed_at: placed.placed_at,
        attributes: wire.attributes,
    })
}

fn carried(placed: &Placed, active: &Active) -> Vec<public::LinePart> {
    match &active.units {
        Some(units) => units.iter().map(|units| part(&units.line_id, units.quantity)).collect(),
        None => placed.lines.iter().map(|line| part(&line.line_id, line.quantity.into())).collect(),
    }
}

fn returned(line: &ReturnedLine) -> Result<public::ReturnedPart, MoneyError> {
    Ok(public::ReturnedPart {
        line_id: line.line_id.to_string(),
        quantity: line.quantity,
        refund_minor: Amount::new(line.amount_minor)?,
    })
}

fn part(line_id: &str, quantity: u64) -> public::LinePart {
    public::LinePart { line_id: line_id.to_owned(), quantity }
}
