//! What the public hears of one stored event, in the words of the contract.

use std::collections::HashMap;
use std::sync::Arc;

use super::beside::Fact;
use super::event::Event;
use super::owed::{Return, ReturnedLine};
use super::placed::Placed;
use super::relation::relation_from_stored;
use super::return_terms::restock_word;
use super::saga::{Active, Waiting};
use super::shipments::shipment_id;
use super::step::{StepAt, StepOutcome};
use super::view_amended::amended_event;
use super::view_payments::{component_amounts, line_amounts, payment_summary};
use super::{Order, OrderStatus};
use crate::codec::v1::{EventV1, ReturnTermsV1};
use crate::fulfillment;
use crate::ids::{OrderRef, TimestampMs};
use crate::money::{Amount, MoneyError};
use crate::ports::LineUnits;
use crate::wire::command::{Component, FactKind, Payment, Relation, ShipmentState, Step};
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
    /// What else its decision says, behind it.
    pub(super) following: &'a [EventV1],
    /// What was kept and what was promised before it, in minor units, where it is a fact.
    pub(super) money_before: (i64, i64),
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
            Event::Placed(placed) => {
                EventData::Placed(public::Placed { relates_to: self.relation(), ..placed_data(placed)? })
            }
            Event::StepEnded { at, outcome } => return self.ended(at, outcome),
            Event::StatusChanged { status, reason } => {
                let reason = reason.as_deref().unwrap_or_default();
                return self.status(*status, reason);
            }
            Event::ReturnRequested(request) => EventData::Returned(self.returned(request)?),
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
            Event::ShipmentMoved { shipment, state, reason, .. } => {
                return Ok(self.shipment(*shipment, *state, reason.as_deref()));
            }
            Event::GoodsAwaited { until } => {
                EventData::AwaitingGoods(public::AwaitingGoods { until: *until, line_ids: Vec::new() })
            }
            Event::DeliveryAwaited { delivery, until } => {
                let Some(placed) = &self.state.placed else { return Ok(None) };
                let lines = placed.lines.iter().filter(|line| line.delivery == *delivery);
                let line_ids = lines.map(|line| line.line_id.to_string()).collect();
                EventData::AwaitingGoods(public::AwaitingGoods { until: *until, line_ids })
            }
            Event::StillPending { at, until, .. } => {
                let Some(Active { waiting: Waiting::Pending { reference, .. }, .. }) = &self.active else {
                    return Ok(None);
                };
                let (step, reference) = (at.step, reference.to_string());
                EventData::Pending(public::Pending { step, reference, until: Some(*until) })
            }
            Event::Restored => EventData::Restored(public::RestoredOrder { restored_at: self.at }),
            Event::HoldPlaced(hold) => EventData::Held(public::Held {
                name: hold.name.to_string(),
                reason: hold.reason.to_string(),
                until: hold.until,
            }),
            Event::HoldReleased { name, reason } => EventData::HoldReleased(public::HoldReleased {
                name: name.to_string(),
                reason: reason.as_deref().map(str::to_owned),
                left: self.state.saga.holds().iter().map(|hold| hold.name.to_string()).collect(),
            }),
            Event::FactRecorded(fact) => EventData::Recorded(public::Recorded {
                kind: fact.kind,
                amount_minor: Amount::new(fact.amount_minor)?,
                reference: fact.reference.to_string(),
                payment_id: fact.payment_id.as_deref().map(Into::into),
                line_id: fact.line_id.as_deref().map(Into::into),
                happened_at: fact.happened,
                reason: fact.reason.as_deref().map(Into::into),
                owed_minor: self.owed_before(fact)?,
            }),
            Event::HoldOverdue { reason, .. } => self.attention(Attention::Held, reason),
            Event::Amended(amended) => {
                let Some(placed) = &self.state.placed else { return Ok(None) };
                amended_event(placed, amended)?
            }
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
            | Event::PaymentSplit { .. }
            | Event::ReturnTermsSet(_)
            | Event::Related(_)
            | Event::FlowSet(_)
            | Event::Noted { .. } => {
                return Ok(None);
            }
        }))
    }

    /// A return, with what it says beside: the event behind it.
    fn returned(&self, request: &Return) -> Result<public::Returned, MoneyError> {
        let terms = self.following.iter().find_map(|event| match event {
            EventV1::ReturnTermsSet(terms) if *terms.return_id == *request.return_id => Some(terms),
            _ => None,
        });
        let fee = terms.map_or(0, |terms| terms.fee_minor);
        Ok(public::Returned {
            return_id: request.return_id.to_string(),
            lines: request.lines.iter().map(|line| returned(line, terms)).collect::<Result<_, _>>()?,
            refund_minor: Amount::new(request.amount_minor())?,
            fee_minor: (fee > 0).then(|| Amount::new(fee)).transpose()?,
            reason: request.reason.to_string(),
        })
    }

    /// What the order that is placed has to do with another one: the event behind it.
    fn relation(&self) -> Option<Relation> {
        self.following.iter().find_map(|event| match event {
            EventV1::Related(relation) => relation_from_stored(relation).ok(),
            _ => None,
        })
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

    /// How much of a chargeback the shop owed the customer anyway.
    fn owed_before(&self, fact: &Fact) -> Result<Option<Amount>, MoneyError> {
        let saga = &self.state.saga;
        let (kept_minor, promised_minor) = self.money_before;
        let owed_minor = match self.state.status {
            _ if fact.kind != FactKind::Chargeback => return Ok(None),
            // Nothing is earned before it is completed.
            OrderStatus::Open | OrderStatus::Canceling => kept_minor.saturating_sub(saga.kept_minor()),
            OrderStatus::Completed => promised_minor.saturating_sub(saga.promised_minor()),
            OrderStatus::Canceled | OrderStatus::Absent => 0,
        };
        Amount::new(owed_minor).map(Some)
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
            Step::Reserve => EventData::Reserved(public::Reserved {
                reference,
                short: outcome.part().map_or_else(Vec::new, |part| short(placed, active, part)),
                lines: parts(outcome.part().or(active.units.as_ref()).map(|units| &**units)),
            }),
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
                shipment_id: shipment_id(at.number()),
                reference,
                lines: match outcome.part() {
                    Some(part) => parts(Some(part)),
                    None => carried(placed, active),
                },
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
                shipment_id: shipment_id(at.number()),
                reference,
                lines: parts(active.units.as_deref()),
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
            Step::Review => EventData::Reviewed(public::Reviewed { reference }),
            Step::Restock => EventData::Restocked(public::Restocked {
                return_id: return_id.unwrap_or_default(),
                reference,
                lines: carried(placed, active),
            }),
        }))
    }

    /// A shipment is somewhere else.
    fn shipment(&self, number: usize, state: ShipmentState, reason: Option<&str>) -> Option<EventData> {
        let (placed, saga) = (self.state.placed.as_ref()?, &self.state.saga);
        let moved = public::ShipmentMoved {
            shipment_id: shipment_id(number),
            reference: saga.reference_of(Step::Book, number)?.to_string(),
            lines: match saga.shipped(number) {
                Some(units) => parts(Some(units)),
                None => placed.lines.iter().map(|line| part(&line.line_id, line.quantity.into())).collect(),
            },
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
                self.state.saga.reference_of(at.step, at.number()).cloned()
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
        deliveries: wire.deliveries,
        placed_at: placed.placed_at,
        relates_to: None,
        attributes: wire.attributes,
    })
}

fn carried(placed: &Placed, active: &Active) -> Vec<public::LinePart> {
    match &active.units {
        Some(units) => parts(Some(units)),
        None => placed.lines.iter().map(|line| part(&line.line_id, line.quantity.into())).collect(),
    }
}

/// Of what was asked for, what was not done.
fn short(placed: &Placed, active: &Active, done: &[LineUnits]) -> Vec<public::LinePart> {
    let done: HashMap<&str, u64> = done.iter().map(|part| (&*part.line_id, part.quantity)).collect();
    let asked = carried(placed, active).into_iter().map(|asked| public::LinePart {
        quantity: asked.quantity.saturating_sub(done.get(&*asked.line_id).copied().unwrap_or(0)),
        ..asked
    });
    asked.filter(|part| part.quantity > 0).collect()
}

/// Those units; none where all of the order's are meant.
fn parts(units: Option<&[LineUnits]>) -> Vec<public::LinePart> {
    units.unwrap_or_default().iter().map(|units| part(&units.line_id, units.quantity)).collect()
}

fn returned(line: &ReturnedLine, terms: Option<&ReturnTermsV1>) -> Result<public::ReturnedPart, MoneyError> {
    let said = terms.and_then(|terms| terms.lines.iter().find(|said| *said.line_id == *line.line_id));
    Ok(public::ReturnedPart {
        line_id: line.line_id.to_string(),
        quantity: line.quantity,
        refund_minor: Amount::new(line.amount_minor)?,
        restock: said.map(|said| restock_word(said.restock)),
        condition: said.and_then(|said| said.condition.clone()),
    })
}

fn part(line_id: &str, quantity: u64) -> public::LinePart {
    public::LinePart { line_id: line_id.to_owned(), quantity }
}
