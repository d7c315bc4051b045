//! Events in their stored form, and back.

use std::sync::Arc;

use super::super::OrderStatus;
use super::super::beside::Hold;
use super::super::event::Event;
use super::super::facts::{fact_from_stored, fact_to_stored};
use super::super::owed::{Refund, Return, ReturnedLine, Split};
use super::super::placed::Payment;
use super::super::relation::{relation_from_stored, relation_to_stored};
use super::super::return_terms::{terms_from_stored, terms_to_stored};
use super::super::saga::Word;
use super::super::step::StepAt;
use super::super::step::{StepOutcome, StepStarted};
use super::{
    amended_from_stored, amended_to_stored, component_kind_from_stored, component_kind_to_stored,
    payment_from_stored, payment_to_stored, placed_from_stored, placed_to_stored,
};
use crate::codec::CodecError;
use crate::codec::control::{
    payment_rules_from_stored, payment_rules_to_stored, return_rules_from_stored, return_rules_to_stored,
};
use crate::codec::v1::{AttentionV1, ComponentV1, EventV1, LinePartV1, StatusV1, StepOutcomeV1, StepV1};
use crate::ids::TimestampMs;
use crate::ports::LineUnits;
use crate::wire::command::{ComponentKind, Step};
use crate::wire::order::Attention;

fn narrow(what: &str) -> CodecError {
    CodecError::Unsupported { schema: format!("{what} in Record"), found: 1, known: 1 }
}

/// An event in its stored form.
pub(in super::super) fn event_to_stored(event: &Event) -> EventV1 {
    match event {
        Event::Placed(placed) => EventV1::Placed(Box::new(placed_to_stored(placed))),
        Event::StepStarted(started) => {
            let (step, instance, generation, part) = at_to_stored(&started.at);
            EventV1::StepStarted {
                step,
                instance,
                generation,
                part,
                amount_minor: (started.amount_minor != 0).then_some(started.amount_minor),
                lines: started.units.as_deref().unwrap_or_default().iter().map(units_to_stored).collect(),
                expires_ms: Some(started.expires.0),
            }
        }
        Event::StepEnded { at, outcome } => {
            let (step, instance, generation, part) = at_to_stored(at);
            EventV1::StepEnded { step, instance, generation, part, outcome: outcome_to_stored(outcome) }
        }
        Event::CancelRequested { reason } => EventV1::CancelRequested { reason: reason.to_string() },
        Event::ReturnRequested(request) => EventV1::ReturnRequested {
            return_id: request.return_id.to_string(),
            lines: request.lines.iter().map(returned_to_stored).collect(),
            reason: request.reason.to_string(),
        },
        Event::Refunded { payment_id, owed_id, amount_minor } => EventV1::Refunded {
            payment_id: payment_id.to_string(),
            return_id: owed_id.as_deref().map(Into::into),
            amount_minor: *amount_minor,
            lines: Vec::new(),
        },
        Event::StatusChanged { status, reason } => EventV1::StatusChanged {
            status: status_to_stored(*status).unwrap_or(StatusV1::Open),
            reason: reason.as_deref().map(Into::into),
        },
        Event::AttentionChanged { attention, reason } => EventV1::AttentionChanged {
            attention: attention_to_stored(*attention),
            reason: reason.to_string(),
        },
        Event::Archived { location } => EventV1::Archived { location: location.to_string() },
        Event::Restored => EventV1::Restored,
        Event::ReturnRulesSet(rules) => {
            let [shipping, tax, fee] = return_rules_to_stored(*rules);
            EventV1::ReturnRulesSet { shipping, tax, fee }
        }
        Event::SettleRequested { at, word } => {
            let (step, instance, generation, part) = at_to_stored(at);
            let operator = word.operator.as_deref().map(Into::into);
            let reason = word.reason.to_string();
            EventV1::SettleRequested { step, instance, generation, part, operator, reason }
        }
        Event::Contradicted { at, reference, reason } => {
            let (step, instance, generation, part) = at_to_stored(at);
            let (reference, reason) = (reference.as_deref().map(Into::into), reason.to_string());
            EventV1::Contradicted { step, instance, generation, part, reference, reason }
        }
        Event::ContradictionSeen => EventV1::ContradictionSeen,
        Event::Noted { reason } => EventV1::Noted { reason: reason.to_string() },
        Event::RefundRequested(request) => EventV1::RefundRequested {
            refund_id: request.refund_id.to_string(),
            amount_minor: request.amount_minor,
            lines: lines_to_stored(&request.split.lines),
            components: components_to_stored(&request.split.components),
            payment_id: request.payment_id.as_deref().map(Into::into),
            reason: request.reason.to_string(),
        },
        Event::ReturnSplit { return_id, split } => EventV1::ReturnSplit {
            return_id: return_id.to_string(),
            lines: lines_to_stored(&split.lines),
            components: components_to_stored(&split.components),
        },
        Event::PaymentRulesSet(rules) => {
            let (refund_order, on_decline, payment_wait_ms) = payment_rules_to_stored(*rules);
            EventV1::PaymentRulesSet { refund_order, on_decline, payment_wait_ms }
        }
        Event::PaymentAwaited { payment, until } => EventV1::PaymentAwaited {
            payment: u32::try_from(*payment).unwrap_or(u32::MAX),
            until_ms: until.0,
        },
        Event::PaymentsAdded { payments, reason } => EventV1::PaymentsAdded {
            payments: payments.iter().map(payment_to_stored).collect(),
            reason: reason.as_deref().map(Into::into),
        },
        Event::Related(relation) => EventV1::Related(relation_to_stored(relation)),
        Event::ReturnTermsSet(terms) => EventV1::ReturnTermsSet(terms_to_stored(terms)),
        Event::FactRecorded(fact) => EventV1::FactRecorded(fact_to_stored(fact)),
        Event::HoldPlaced(hold) => hold_placed_to_stored(hold),
        Event::HoldReleased { name, reason } => {
            EventV1::HoldReleased { name: name.to_string(), reason: reason.as_deref().map(Into::into) }
        }
        Event::HoldOverdue { name, reason } => {
            EventV1::HoldOverdue { name: name.to_string(), reason: reason.to_string() }
        }
        Event::Amended(amended) => EventV1::Amended(Box::new(amended_to_stored(amended))),
        Event::FlowSet(rules) => EventV1::FlowSet((*rules).into()),
        Event::ShipmentMoved { shipment, state, at, reason } => EventV1::ShipmentMoved {
            shipment: u32::try_from(*shipment).unwrap_or(u32::MAX),
            state: (*state).into(),
            at_ms: at.0,
            reason: reason.as_deref().map(Into::into),
        },
        Event::GoodsAwaited { until } => EventV1::GoodsAwaited { until_ms: until.0 },
        Event::DeliveryAwaited { delivery, until } => {
            EventV1::DeliveryAwaited { delivery: u32::from(*delivery), until_ms: until.0 }
        }
        Event::PaymentSplit { payment, planned_minor, rest } => EventV1::PaymentSplit {
            payment: u32::try_from(*payment).unwrap_or(u32::MAX),
            planned_minor: *planned_minor,
            rest: payment_to_stored(rest),
        },
        Event::StillPending { at, until, reason } => {
            let (step, instance, generation, part) = at_to_stored(at);
            let reason = reason.as_deref().map(Into::into);
            EventV1::StillPending { step, instance, generation, part, until_ms: until.0, reason }
        }
    }
}

fn hold_placed_to_stored(hold: &Hold) -> EventV1 {
    EventV1::HoldPlaced {
        name: hold.name.to_string(),
        operator: hold.operator.as_deref().map(Into::into),
        reason: hold.reason.to_string(),
        since_ms: hold.since.0,
        until_ms: hold.until.map(|at| at.0),
    }
}

pub(in super::super) fn lines_to_stored(lines: &[(Arc<str>, i64)]) -> Vec<(String, i64)> {
    lines.iter().map(|(line_id, minor)| (line_id.to_string(), *minor)).collect()
}

pub(in super::super) fn split_from_stored(lines: &[(String, i64)], components: &[ComponentV1]) -> Split {
    Split {
        lines: lines.iter().map(|(line_id, minor)| (line_id.as_str().into(), *minor)).collect(),
        components: components_from_stored(components),
    }
}

pub(in super::super) fn components_to_stored(components: &[(ComponentKind, i64)]) -> Vec<ComponentV1> {
    let stored = |(kind, amount_minor): &(ComponentKind, i64)| ComponentV1 {
        kind: component_kind_to_stored(*kind),
        amount_minor: *amount_minor,
    };
    components.iter().map(stored).collect()
}

pub(in super::super) fn components_from_stored(stored: &[ComponentV1]) -> Arc<[(ComponentKind, i64)]> {
    stored.iter().map(|part| (component_kind_from_stored(part.kind), part.amount_minor)).collect()
}

/// A stored event in the domain's words.
///
/// # Errors
/// `Unsupported` for what this build's domain can't do yet; `Corrupt` for what no build can have written.
pub(in super::super) fn event_from_stored(event: &EventV1) -> Result<Event, CodecError> {
    Ok(match event {
        EventV1::Placed(placed) => Event::Placed(Arc::new(placed_from_stored(placed)?)),
        EventV1::StepStarted { step, instance, generation, part, amount_minor, lines, expires_ms } => {
            Event::StepStarted(StepStarted {
                at: at_from_stored(*step, *instance, *generation, part.as_deref()),
                amount_minor: amount_minor.unwrap_or(0),
                units: (!lines.is_empty()).then(|| lines.iter().map(units_from_stored).collect()),
                expires: expires_ms.map(TimestampMs).ok_or_else(|| narrow("a step without an expiry"))?,
            })
        }
        EventV1::StepEnded { step, instance, generation, part, outcome } => Event::StepEnded {
            at: at_from_stored(*step, *instance, *generation, part.as_deref()),
            outcome: outcome_from_stored(outcome)?,
        },
        EventV1::CancelRequested { reason } => Event::CancelRequested { reason: reason.as_str().into() },
        EventV1::ReturnRequested { return_id, lines, reason } => Event::ReturnRequested(Return {
            return_id: return_id.as_str().into(),
            lines: lines.iter().map(returned_from_stored).collect(),
            reason: reason.as_str().into(),
        }),
        EventV1::Refunded { payment_id, return_id, amount_minor, .. } => Event::Refunded {
            payment_id: payment_id.as_str().into(),
            owed_id: return_id.as_deref().map(Into::into),
            amount_minor: *amount_minor,
        },
        EventV1::StatusChanged { status, reason } => Event::StatusChanged {
            status: status_from_stored(*status),
            reason: reason.as_deref().map(Into::into),
        },
        EventV1::AttentionChanged { attention, reason } => Event::AttentionChanged {
            attention: attention_from_stored(*attention),
            reason: reason.as_str().into(),
        },
        EventV1::Archived { location } => Event::Archived { location: location.as_str().into() },
        EventV1::Restored => Event::Restored,
        EventV1::ReturnRulesSet { shipping, tax, fee } => {
            Event::ReturnRulesSet(return_rules_from_stored([*shipping, *tax, *fee]))
        }
        EventV1::SettleRequested { step, instance, generation, part, operator, reason } => {
            let at = at_from_stored(*step, *instance, *generation, part.as_deref());
            let operator = operator.as_deref().map(Into::into);
            Event::SettleRequested { at, word: Word { operator, reason: reason.as_str().into() } }
        }
        EventV1::Contradicted { step, instance, generation, part, reference, reason } => {
            Event::Contradicted {
                at: at_from_stored(*step, *instance, *generation, part.as_deref()),
                reference: reference.as_deref().map(Into::into),
                reason: reason.as_str().into(),
            }
        }
        EventV1::ContradictionSeen => Event::ContradictionSeen,
        EventV1::Noted { reason } => Event::Noted { reason: reason.as_str().into() },
        EventV1::RefundRequested { refund_id, amount_minor, lines, components, payment_id, reason } => {
            Event::RefundRequested(Refund {
                refund_id: refund_id.as_str().into(),
                amount_minor: *amount_minor,
                split: split_from_stored(lines, components),
                payment_id: payment_id.as_deref().map(Into::into),
                reason: reason.as_str().into(),
            })
        }
        EventV1::ReturnSplit { return_id, lines, components } => Event::ReturnSplit {
            return_id: return_id.as_str().into(),
            split: Arc::new(split_from_stored(lines, components)),
        },
        EventV1::PaymentRulesSet { refund_order, on_decline, payment_wait_ms } => {
            Event::PaymentRulesSet(payment_rules_from_stored((*refund_order, *on_decline, *payment_wait_ms)))
        }
        EventV1::PaymentAwaited { payment, until_ms } => Event::PaymentAwaited {
            payment: usize::try_from(*payment).unwrap_or(usize::MAX),
            until: TimestampMs(*until_ms),
        },
        EventV1::PaymentsAdded { payments, reason } => Event::PaymentsAdded {
            payments: payments.iter().map(payment_from_stored).collect::<Vec<Payment>>().into(),
            reason: reason.as_deref().map(Into::into),
        },
        EventV1::Related(relation) => Event::Related(Arc::new(relation_from_stored(relation)?)),
        EventV1::ReturnTermsSet(terms) => Event::ReturnTermsSet(terms_from_stored(terms)),
        EventV1::FactRecorded(fact) => Event::FactRecorded(fact_from_stored(fact)),
        EventV1::HoldPlaced { name, operator, reason, since_ms, until_ms } => Event::HoldPlaced(Hold {
            name: name.as_str().into(),
            operator: operator.as_deref().map(Into::into),
            reason: reason.as_str().into(),
            since: TimestampMs(*since_ms),
            until: until_ms.map(TimestampMs),
            overdue: None,
        }),
        EventV1::HoldReleased { name, reason } => {
            Event::HoldReleased { name: name.as_str().into(), reason: reason.as_deref().map(Into::into) }
        }
        EventV1::HoldOverdue { name, reason } => {
            Event::HoldOverdue { name: name.as_str().into(), reason: reason.as_str().into() }
        }
        EventV1::Amended(amended) => Event::Amended(Arc::new(amended_from_stored(amended)?)),
        EventV1::FlowSet(rules) => Event::FlowSet((*rules).into()),
        EventV1::ShipmentMoved { shipment, state, at_ms, reason } => Event::ShipmentMoved {
            shipment: usize::try_from(*shipment).unwrap_or(usize::MAX),
            state: (*state).into(),
            at: TimestampMs(*at_ms),
            reason: reason.as_deref().map(Into::into),
        },
        EventV1::GoodsAwaited { until_ms } => Event::GoodsAwaited { until: TimestampMs(*until_ms) },
        EventV1::DeliveryAwaited { delivery, until_ms } => Event::DeliveryAwaited {
            delivery: u16::try_from(*delivery).unwrap_or(u16::MAX),
            until: TimestampMs(*until_ms),
        },
        EventV1::PaymentSplit { payment, planned_minor, rest } => Event::PaymentSplit {
            payment: usize::try_from(*payment).unwrap_or(usize::MAX),
            planned_minor: *planned_minor,
            rest: payment_from_stored(rest),
        },
        EventV1::StillPending { step, instance, generation, part, until_ms, reason } => Event::StillPending {
            at: at_from_stored(*step, *instance, *generation, part.as_deref()),
            until: TimestampMs(*until_ms),
            reason: reason.as_deref().map(Into::into),
        },
        EventV1::LinesShort { .. } => return Err(narrow("lines short")),
        EventV1::PersonErased { .. } => return Err(narrow("an erased person")),
    })
}

/// The asking that a stored event ends, if it ends one.
pub(in super::super) fn ended_from_stored(event: &EventV1) -> Option<StepAt> {
    let EventV1::StepEnded { step, instance, generation, part, .. } = event else { return None };
    Some(at_from_stored(*step, *instance, *generation, part.as_deref()))
}

fn at_to_stored(at: &StepAt) -> (StepV1, u32, u32, Option<String>) {
    (step_to_stored(at.step), at.instance, at.generation, at.part.as_deref().map(Into::into))
}

pub(in super::super) fn at_from_stored(
    step: StepV1,
    instance: u32,
    generation: u32,
    part: Option<&str>,
) -> StepAt {
    StepAt { step: step_from_stored(step), instance, generation, part: part.map(Into::into) }
}

pub(in super::super) fn units_to_stored(units: &LineUnits) -> LinePartV1 {
    let (line_id, quantity) = (units.line_id.to_string(), units.quantity);
    LinePartV1 { line_id, quantity, amount_minor: None, sku: None }
}

pub(in super::super) fn units_from_stored(part: &LinePartV1) -> LineUnits {
    LineUnits { line_id: part.line_id.as_str().into(), quantity: part.quantity }
}

pub(in super::super) fn returned_to_stored(line: &ReturnedLine) -> LinePartV1 {
    let amount_minor = Some(line.amount_minor);
    LinePartV1 { line_id: line.line_id.to_string(), quantity: line.quantity, amount_minor, sku: None }
}

pub(in super::super) fn returned_from_stored(part: &LinePartV1) -> ReturnedLine {
    let amount_minor = part.amount_minor.unwrap_or(0);
    ReturnedLine { line_id: part.line_id.as_str().into(), quantity: part.quantity, amount_minor }
}

fn outcome_to_stored(outcome: &StepOutcome) -> StepOutcomeV1 {
    match outcome {
        StepOutcome::Done { reference, amount_minor, expires, units } => StepOutcomeV1::Done {
            reference: reference.to_string(),
            amount_minor: *amount_minor,
            expires_ms: expires.map(|at| at.0),
            lines: units.iter().flat_map(|units| units.iter()).map(units_to_stored).collect(),
        },
        StepOutcome::Declined { code, reason, lines } => StepOutcomeV1::Declined {
            code: code.to_string(),
            reason: reason.to_string(),
            lines: lines.iter().map(units_to_stored).collect(),
        },
        StepOutcome::Failed { reason } => StepOutcomeV1::Failed { reason: reason.to_string() },
        StepOutcome::Unknown { reason } => StepOutcomeV1::Unknown { reason: reason.to_string() },
        StepOutcome::Pending { reference, until } => StepOutcomeV1::Pending {
            reference: reference.to_string(),
            until_ms: until.map(|at| at.0),
            lines: Vec::new(),
        },
        StepOutcome::Settled { done, reference } => {
            StepOutcomeV1::Settled { done: *done, reference: reference.as_deref().map(Into::into) }
        }
        StepOutcome::Refused { code, reason } => {
            StepOutcomeV1::Refused { code: code.to_string(), reason: reason.to_string() }
        }
        StepOutcome::Skipped { reason } => StepOutcomeV1::Skipped { reason: reason.to_string() },
        StepOutcome::NotDone { reason, calls } => {
            StepOutcomeV1::NotDone { reason: reason.as_deref().map(Into::into), calls: *calls }
        }
        StepOutcome::Resolved { done, operator, evidence } => StepOutcomeV1::Resolved {
            done: *done,
            operator: operator.to_string(),
            evidence: evidence.to_string(),
        },
    }
}

fn outcome_from_stored(outcome: &StepOutcomeV1) -> Result<StepOutcome, CodecError> {
    let text = |text: &String| -> Arc<str> { text.as_str().into() };
    Ok(match outcome {
        StepOutcomeV1::Pending { lines, .. } if !lines.is_empty() => {
            return Err(narrow("a step pending in part"));
        }
        StepOutcomeV1::Done { reference, amount_minor, expires_ms, lines } => StepOutcome::Done {
            reference: text(reference),
            amount_minor: *amount_minor,
            expires: expires_ms.map(TimestampMs),
            units: (!lines.is_empty()).then(|| lines.iter().map(units_from_stored).collect()),
        },
        StepOutcomeV1::Declined { code, reason, lines } => StepOutcome::Declined {
            code: text(code),
            reason: text(reason),
            lines: lines.iter().map(units_from_stored).collect(),
        },
        StepOutcomeV1::Failed { reason } => StepOutcome::Failed { reason: text(reason) },
        StepOutcomeV1::Unknown { reason } => StepOutcome::Unknown { reason: text(reason) },
        StepOutcomeV1::Pending { reference, until_ms, .. } => {
            StepOutcome::Pending { reference: text(reference), until: until_ms.map(TimestampMs) }
        }
        StepOutcomeV1::Settled { done, reference } => {
            StepOutcome::Settled { done: *done, reference: reference.as_ref().map(text) }
        }
        StepOutcomeV1::Refused { code, reason } => {
            StepOutcome::Refused { code: text(code), reason: text(reason) }
        }
        StepOutcomeV1::Skipped { reason } => StepOutcome::Skipped { reason: text(reason) },
        StepOutcomeV1::NotDone { reason, calls } => {
            StepOutcome::NotDone { reason: reason.as_ref().map(text), calls: *calls }
        }
        StepOutcomeV1::Resolved { done, operator, evidence } => {
            StepOutcome::Resolved { done: *done, operator: text(operator), evidence: text(evidence) }
        }
    })
}

/// `None` for an order that is not there.
pub(in super::super) const fn status_to_stored(status: OrderStatus) -> Option<StatusV1> {
    match status {
        OrderStatus::Absent => None,
        OrderStatus::Open => Some(StatusV1::Open),
        OrderStatus::Completed => Some(StatusV1::Completed),
        OrderStatus::Canceling => Some(StatusV1::Canceling),
        OrderStatus::Canceled => Some(StatusV1::Canceled),
    }
}

pub(in super::super) const fn status_from_stored(status: StatusV1) -> OrderStatus {
    match status {
        StatusV1::Open => OrderStatus::Open,
        StatusV1::Completed => OrderStatus::Completed,
        StatusV1::Canceling => OrderStatus::Canceling,
        StatusV1::Canceled => OrderStatus::Canceled,
    }
}

pub(in super::super) const fn attention_to_stored(attention: Attention) -> AttentionV1 {
    match attention {
        Attention::None => AttentionV1::None,
        Attention::Held => AttentionV1::Held,
        Attention::Stalled => AttentionV1::Stalled,
        Attention::Parked => AttentionV1::Parked,
    }
}

pub(in super::super) const fn attention_from_stored(attention: AttentionV1) -> Attention {
    match attention {
        AttentionV1::None => Attention::None,
        AttentionV1::Held => Attention::Held,
        AttentionV1::Stalled => Attention::Stalled,
        AttentionV1::Parked => Attention::Parked,
    }
}

macro_rules! same_steps {
    ($($name:ident)*) => {
        pub(in super::super) const fn step_to_stored(step: Step) -> StepV1 {
            match step { $(Step::$name => StepV1::$name),* }
        }

        pub(in super::super) const fn step_from_stored(step: StepV1) -> Step {
            match step { $(StepV1::$name => Step::$name),* }
        }
    };
}

same_steps!(Reserve Authorize Book Capture CancelShipment Void Refund Release Restock Review);
