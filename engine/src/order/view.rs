//! What the public sees of an order, folded from its records.

use super::aggregate::{Aggregate, FoldError, is_engines, verdict_from_stored};
use super::convert::{giver_from_stored, step_from_stored};
use super::facts::{fact_kind_from_stored, facts_of_view};
use super::holds::holds_of_view;
use super::placed::Placed;
use super::return_terms::terms_of_view;
use super::saga::Waiting;
use super::shares;
use super::shipments::shipments;
use super::step_record::step_record;
use super::view_amended::{amended_text, with_goods};
use super::view_payments::{payment_summary, payments, refunds, shown_part};
use super::{Order, OrderStatus};
use crate::codec::CodecError;
use crate::codec::v1::{self, BodyV1, CommandKindV1, DecisionV1, EventV1, StepOutcomeV1};
use crate::ids::{CommandId, OrderRef, Source, TimestampMs};
use crate::money::{Amount, MoneyError};
use crate::wire::CommandType;
use crate::wire::command::{PlaceData, ShipmentState, Step};
use crate::wire::flow_rules::FlowRules;
use crate::wire::order::{
    Attention, DeliveryPart, FulfillmentSummary, HistoryEntry, OperatorAct as OperatorActView, OrderHead,
    OrderLine, OrderSchema, OrderStatus as PublicStatus, OrderView, PendingStep, ReturnsSummary,
};
use crate::wire::time::format_time;

/// An order as it stands and how it came to be; `None` when nothing was recorded.
///
/// `records` are all of the order's, oldest first. `parked` is why it is parked, if it is.
///
/// # Errors
/// [`FoldError`] when they are not that.
pub fn view(
    reference: &OrderRef,
    records: &[Vec<u8>],
    parked: Option<&str>,
) -> Result<Option<(OrderView, Vec<HistoryEntry>)>, FoldError> {
    let mut aggregate = Aggregate::new(reference.clone());
    for bytes in records {
        aggregate.fold(bytes, 1)?;
    }
    let Some(view) = view_of(&aggregate, parked)? else { return Ok(None) };
    Ok(Some((view, history(records, 0, u64::MAX)?)))
}

/// An order as it stands; `None` when nothing is placed. `parked` is why it is parked, if it is.
///
/// # Errors
/// [`FoldError`] for an amount that no order can have.
pub fn view_of(aggregate: &Aggregate, parked: Option<&str>) -> Result<Option<OrderView>, FoldError> {
    let Some(placed) = &aggregate.order.placed else { return Ok(None) };
    let Some(times) = aggregate.times.changed else { return Ok(None) };
    let view = order_view(aggregate, placed, times, parked).map_err(amount)?;
    Ok(Some(OrderView { archived_at: aggregate.times.archived_at, ..view }))
}

/// The decisions after number `after` that these records of one order hold, oldest first, at most `limit` of them. The
/// records are some that stand one after another.
///
/// # Errors
/// [`FoldError`] when they cannot be read.
pub fn history(records: &[Vec<u8>], after: u64, limit: u64) -> Result<Vec<HistoryEntry>, FoldError> {
    let mut entries = Vec::new();
    for bytes in records {
        let record = v1::decode(bytes)?;
        let BodyV1::Decisions(decisions) = record.body else { continue };
        for (number, decision) in (record.expected_revision.saturating_add(1)..).zip(&decisions) {
            if is_reminder(decision) {
                continue;
            }
            if entries.len() as u64 >= limit {
                return Ok(entries);
            }
            if number > after {
                entries.push(history_entry(decision, number)?);
            }
        }
    }
    Ok(entries)
}

/// Units that are wanted, to be had, and not set aside, once something is.
fn short_units(order: &Order, now: TimestampMs) -> u64 {
    let (Some(goods), Some(placed)) = (&order.saga.goods, &order.placed) else { return 0 };
    if !goods.stands(Step::Reserve) {
        return 0;
    }
    goods
        .to_reserve(placed, order.saga.plan.as_deref(), now)
        .iter()
        .fold(0, |sum, part| sum.saturating_add(part.quantity))
}

/// Did only the deadline of what waits for people move? That is nothing that happened.
fn is_reminder(decision: &DecisionV1) -> bool {
    is_engines(decision) && decision.events.is_empty()
}

pub(super) fn amount(error: MoneyError) -> FoldError {
    FoldError::Codec(CodecError::Corrupt(error.to_string()))
}

fn order_view(
    aggregate: &Aggregate,
    placed: &Placed,
    (created_at, updated_at): (TimestampMs, TimestampMs),
    parked: Option<&str>,
) -> Result<OrderView, MoneyError> {
    let PlaceData {
        customer,
        currency,
        lines,
        components,
        payments: _,
        delivery,
        deliveries,
        placed_at,
        available_from: _,
        attributes,
        sealed: _,
        relates_to: _,
        expected_version: _,
    } = placed.to_wire()?;
    let order = &aggregate.order;
    let saga = &order.saga;
    let totals = &saga.totals;
    let (attention, reason) = saga.shown_attention();
    let (facts, fact_sums) = facts_of_view(saga)?;
    Ok(OrderView {
        schema: OrderSchema,
        head: OrderHead {
            tenant: aggregate.reference.tenant.clone(),
            order: aggregate.reference.order.clone(),
            version: order.version,
            status: public_status(order.status),
            step: saga.shown_step(),
            attention: if parked.is_some() { Attention::Parked } else { attention },
            attention_reason: parked.or(reason.map(|reason| &**reason)).map(str::to_owned),
        },
        part: saga.active.as_ref().and_then(|active| shown_part(saga, &active.at)),
        pending: pending_step(aggregate),
        cancel_reason: saga.cancel_reason.as_deref().map(Into::into),
        operator: aggregate.times.operator.as_deref().map(|act| OperatorActView {
            kind: act.kind.as_str().to_owned(),
            name: act.operator.to_string(),
            reason: act.reason.as_deref().map(Into::into),
            at: act.at,
        }),
        payment: payment_summary(order)?,
        fulfillment: FulfillmentSummary {
            ordered_units: placed.units(),
            reserved_units: totals.reserved_units.saturating_sub(totals.released_units),
            booked_units: totals.booked_units.saturating_sub(totals.canceled_units),
            short_units: short_units(order, updated_at),
            waiting_until: order.awaits_goods(updated_at).filter(|_| order.status == OrderStatus::Open),
        },
        returns: returns_summary(order)?,
        customer,
        currency,
        total_minor: Amount::new(placed.total_minor)?,
        lines: with_goods(order, with_returns(order, shares::lines_of_view(placed, lines)?)?),
        components,
        payments: payments(order, placed)?,
        refunds: refunds(order)?,
        holds: holds_of_view(saga),
        facts,
        fact_sums,
        return_terms: terms_of_view(saga)?,
        relates_to: saga.relation.as_deref().cloned(),
        shipments: shipments(order),
        delivery,
        attributes,
        note: saga.note.as_deref().map(Into::into),
        placed_at,
        available_from: saga.available_from(),
        deliveries: deliveries
            .into_iter()
            .zip(1_u16..)
            .map(|(part, number)| DeliveryPart { available_from: saga.delivery_from(number), ..part })
            .collect(),
        created_at,
        updated_at,
        next_deadline: order.deadline,
        archived_at: None,
        flow: saga.plan.as_ref().map(|plan| plan.flow).filter(|flow| *flow != FlowRules::DEFAULT),
    })
}

/// What the participant took on and has not decided yet.
fn pending_step(aggregate: &Aggregate) -> Option<PendingStep> {
    let active = aggregate.order.saga.active.as_ref()?;
    let Waiting::Pending { reference, until } = &active.waiting else { return None };
    Some(PendingStep {
        step: active.at.step,
        reference: reference.to_string(),
        since: aggregate.times.pending_since?,
        until: *until,
    })
}

/// How the public calls a status.
pub(super) const fn public_status(status: OrderStatus) -> PublicStatus {
    match status {
        OrderStatus::Absent | OrderStatus::Open => PublicStatus::Open,
        OrderStatus::Completed => PublicStatus::Completed,
        OrderStatus::Canceling => PublicStatus::Canceling,
        OrderStatus::Canceled => PublicStatus::Canceled,
    }
}

/// Beside each line, what came back of it.
fn with_returns(order: &Order, mut lines: Vec<OrderLine>) -> Result<Vec<OrderLine>, MoneyError> {
    let by_line = order.saga.returns.as_ref().map_or(&[][..], |returns| &returns.by_line);
    for (line, (units, minor)) in lines.iter_mut().zip(by_line).filter(|(_, (units, _))| *units > 0) {
        line.returned_units = Some(*units);
        line.returned_minor = Some(Amount::new(*minor)?);
    }
    Ok(lines)
}

fn returns_summary(order: &Order) -> Result<ReturnsSummary, MoneyError> {
    let lines = order.saga.returns.as_ref().map_or(&[][..], |returns| &returns.by_line);
    Ok(ReturnsSummary {
        returned_units: lines.iter().fold(0, |sum, (units, _)| sum.saturating_add(*units)),
        amount_minor: Amount::new(lines.iter().fold(0, |sum: i64, (_, minor)| sum.saturating_add(*minor)))?,
    })
}

/// A decision of an order, its `number`-th, as the order's history has it.
///
/// # Errors
/// [`FoldError`] when it cannot be read.
pub fn history_entry(decision: &DecisionV1, number: u64) -> Result<HistoryEntry, FoldError> {
    let verdict = verdict_from_stored(&decision.verdict)?;
    let (code, message) = (verdict.code(), verdict.message().to_owned());
    Ok(HistoryEntry {
        decision: number,
        version: verdict.version,
        at: TimestampMs(decision.received_ms),
        command_id: CommandId::parse(&decision.id).ok().filter(|_| !is_engines(decision)),
        source: Source::parse(&decision.source).ok().filter(|_| !is_engines(decision)),
        kind: kind_name(decision.kind).to_owned(),
        actor: Some(giver_from_stored(&decision.actor)),
        status: code.status(),
        code,
        message,
        events: decision.events.iter().map(event_name).collect(),
        steps: decision.events.iter().filter_map(step_record).collect(),
        policy_version: Some(decision.policy_version).filter(|version| *version > FlowRules::DEFAULT.version),
    })
}

const fn kind_name(kind: CommandKindV1) -> &'static str {
    match kind {
        CommandKindV1::Place => CommandType::Place.as_str(),
        CommandKindV1::Cancel => CommandType::Cancel.as_str(),
        CommandKindV1::Return => CommandType::Return.as_str(),
        CommandKindV1::Report => CommandType::Report.as_str(),
        CommandKindV1::Resume => CommandType::Resume.as_str(),
        CommandKindV1::ResolveStep => CommandType::ResolveStep.as_str(),
        CommandKindV1::Compensate => CommandType::Compensate.as_str(),
        CommandKindV1::Archive => CommandType::Archive.as_str(),
        CommandKindV1::Restore => CommandType::Restore.as_str(),
        CommandKindV1::Refund => CommandType::Refund.as_str(),
        CommandKindV1::Hold => CommandType::Hold.as_str(),
        CommandKindV1::ReleaseHold => CommandType::ReleaseHold.as_str(),
        CommandKindV1::Pay => CommandType::Pay.as_str(),
        CommandKindV1::Amend => CommandType::Amend.as_str(),
        CommandKindV1::Exchange => CommandType::Exchange.as_str(),
        CommandKindV1::Record => CommandType::Record.as_str(),
        CommandKindV1::StepOutcome => "retailflow.engine.step-outcome.v1",
        CommandKindV1::DeadlinePassed => "retailflow.engine.deadline-passed.v1",
        CommandKindV1::Contradiction => "retailflow.engine.contradiction.v1",
    }
}

fn event_name(event: &EventV1) -> String {
    match event {
        EventV1::Placed(_) => "placed".into(),
        EventV1::StepStarted { step, generation, .. } => match generation {
            0 | 1 => format!("{} asked for", step_from_stored(*step).as_str()),
            times => format!("{} asked for, attempt {times}", step_from_stored(*step).as_str()),
        },
        EventV1::StepEnded { step, outcome, .. } => {
            format!("{} {}", step_from_stored(*step).as_str(), outcome_name(outcome))
        }
        EventV1::CancelRequested { reason } => format!("cancel requested: {reason}"),
        EventV1::ReturnRequested { reason, .. } => format!("return requested: {reason}"),
        EventV1::Refunded { .. } => "refunded".into(),
        EventV1::LinesShort { .. } => "lines short".into(),
        EventV1::StatusChanged { status, reason } => {
            let status = format!("{status:?}").to_lowercase();
            reason.as_ref().map_or(status.clone(), |reason| format!("{status}: {reason}"))
        }
        EventV1::AttentionChanged { attention, reason } => {
            format!("attention {}: {reason}", format!("{attention:?}").to_lowercase())
        }
        EventV1::Archived { .. } => "archived".into(),
        EventV1::Restored => "restored".into(),
        EventV1::PersonErased { .. } => "person erased".into(),
        EventV1::ReturnRulesSet { .. } => "return rules set".into(),
        EventV1::SettleRequested { step, operator, reason, .. } => {
            let step = step_from_stored(*step).as_str();
            match operator {
                Some(operator) => {
                    format!("{step} said not to be done by {operator}, to be settled: {reason}")
                }
                None => format!("{step} reported as failed, to be settled: {reason}"),
            }
        }
        EventV1::Contradicted { reason, .. } => format!("contradicted: {reason}"),
        EventV1::ContradictionSeen => "contradiction looked at".into(),
        EventV1::Noted { reason } => format!("reason: {reason}"),
        EventV1::RefundRequested { reason, .. } => format!("refund requested: {reason}"),
        EventV1::ReturnSplit { .. } => "return split".into(),
        EventV1::PaymentRulesSet { .. } => "payment rules set".into(),
        EventV1::PaymentAwaited { .. } => "another payment awaited".into(),
        EventV1::PaymentsAdded { reason, .. } => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("payment added{reason}")
        }
        EventV1::Related(relation) => format!("related to {}", relation.order),
        EventV1::ReturnTermsSet(terms) if terms.fee_minor > 0 => format!("return fee {}", terms.fee_minor),
        EventV1::ReturnTermsSet(_) => "return terms set".into(),
        EventV1::FactRecorded(fact) => {
            let kind = fact_kind_from_stored(fact.kind).as_str();
            format!("{kind} {} of {} recorded", fact.reference, fact.amount_minor)
        }
        EventV1::HoldPlaced { name, reason, .. } => format!("on hold as {name}: {reason}"),
        EventV1::HoldReleased { name, reason } => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("hold {name} released{reason}")
        }
        EventV1::HoldOverdue { reason, .. } => format!("hold overdue: {reason}"),
        EventV1::Amended(amended) => amended_text(amended),
        EventV1::ShipmentMoved { state, reason, .. } => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let state = ShipmentState::from(*state).as_str().replace('_', " ");
            format!("shipment {state}{reason}")
        }
        EventV1::GoodsAwaited { until_ms } => {
            format!("goods awaited until {}", format_time(TimestampMs(*until_ms)))
        }
        EventV1::StillPending { step, until_ms, reason, .. } => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let until = format_time(TimestampMs(*until_ms));
            format!("{} pending still, until {until}{reason}", step_from_stored(*step).as_str())
        }
        EventV1::DeliveryAwaited { delivery, until_ms } => {
            format!("goods of delivery {delivery} awaited until {}", format_time(TimestampMs(*until_ms)))
        }
        EventV1::PaymentSplit { planned_minor, rest, .. } => format!(
            "payment split: {planned_minor} for what has gone, {} by {}",
            rest.amount_minor, rest.payment_id
        ),
        EventV1::FlowSet(flow) => format!("flow {} set", flow.version),
    }
}

fn outcome_name(outcome: &StepOutcomeV1) -> String {
    match outcome {
        StepOutcomeV1::Done { .. } => "done".into(),
        StepOutcomeV1::Declined { code, reason, .. } => format!("declined: {code} ({reason})"),
        StepOutcomeV1::Failed { reason } => format!("failed: {reason}"),
        StepOutcomeV1::Unknown { reason } => format!("unknown: {reason}"),
        StepOutcomeV1::Pending { reference, .. } => format!("pending as {reference}"),
        StepOutcomeV1::Settled { done: true, .. } => "settled as done".into(),
        StepOutcomeV1::Settled { done: false, .. } => "settled as not done".into(),
        StepOutcomeV1::NotDone { reason, calls } => {
            let said = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let calls = if *calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
            format!("settled as not done after {calls}{said}")
        }
        StepOutcomeV1::Refused { code, reason } => format!("refused: {code} ({reason})"),
        StepOutcomeV1::Skipped { reason } => format!("skipped: {reason}"),
        StepOutcomeV1::Resolved { done, operator, evidence } => {
            format!("resolved as {} by {operator}: {evidence}", if *done { "done" } else { "not done" })
        }
    }
}
