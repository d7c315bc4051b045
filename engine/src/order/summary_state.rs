//! An order at a summary_state: what lists show of it, folded from its records without all the rest.
//!
//! Invariant: it says what [`view`](super::view()) says. It is there because a list holds every open order in memory and
//! follows every record: a summary_state is a few hundred bytes, and folding one record into it takes a fraction of what the
//! whole state takes.

use std::sync::Arc;

use super::OrderStatus;
use super::aggregate::{FoldError, is_change};
use super::convert::{
    at_from_stored, attention_from_stored, currency_from_stored, status_from_stored, step_from_stored,
};
use super::publish::Incoming;
use super::saga::{StepState, held_step};
use super::step::StepAt;
use super::view::{amount, public_status};
use crate::codec::CodecError;
use crate::codec::v1::{BodyV1, EventV1, StepOutcomeV1};
use crate::ids::{OrderRef, TimestampMs};
use crate::money::{Amount, Currency};
use crate::wire::command::Step;
use crate::wire::order::{Attention, OrderHead, OrderStatus as PublicStatus};
use crate::wire::order_list::OrderSummary;

/// An order at a summary_state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SummaryState {
    /// How many decisions its log holds.
    pub revision: u64,
    /// Counts applied commands.
    pub version: u64,
    /// Where it stands.
    pub status: OrderStatus,
    /// What is asked for now.
    pub active: Option<StepAt>,
    /// Whether someone should look and why, but for a park mark, which no record holds.
    pub attention: Option<(Attention, Arc<str>)>,
    /// What both sides contradict each other in, until an operator has looked.
    pub contradiction: Option<(Step, Arc<str>)>,
    /// The step that ended last, and how.
    pub last_ended: Option<(Step, StepState)>,
    /// What the whole order costs, in minor units; `None` while nothing is placed.
    pub total: Option<(Currency, i64)>,
    /// When its first and its last applied command came in.
    pub changed: Option<(TimestampMs, TimestampMs)>,
    /// Holds whose time is over: the name, and what people are told.
    pub overdue: Vec<(Arc<str>, Arc<str>)>,
}

impl SummaryState {
    /// Folds the next record in.
    ///
    /// # Errors
    /// [`FoldError`] when it is not the next one, or holds what this build can't read; nothing has changed then.
    pub fn fold(&mut self, record: &Incoming<'_>) -> Result<(), FoldError> {
        let BodyV1::Decisions(decisions) = &record.record.body else {
            let schema = "a checkpoint or closed order in Record".into();
            return Err(CodecError::Unsupported { schema, found: 1, known: 1 }.into());
        };
        if record.record.expected_revision != self.revision {
            let (order, revision) = (record.order().clone(), self.revision);
            return Err(FoldError::Chain { order, revision, what: "records are missing or repeated" });
        }
        let mut next = self.clone();
        for decision in decisions {
            for event in &decision.events {
                next.take(event)?;
            }
            next.version = decision.verdict.version();
            next.revision += 1;
            if is_change(decision) {
                let at = TimestampMs(decision.received_ms);
                next.changed = Some((next.changed.map_or(at, |(first, _)| first), at));
            }
        }
        *self = next;
        Ok(())
    }

    fn take(&mut self, event: &EventV1) -> Result<(), CodecError> {
        match event {
            EventV1::Placed(placed) => {
                self.status = OrderStatus::Open;
                self.total = Some((currency_from_stored(placed.currency)?, placed.total_minor));
            }
            EventV1::StepStarted { step, instance, generation, part, .. } => {
                self.active = Some(at_from_stored(*step, *instance, *generation, part.as_deref()));
            }
            // It stays what is asked for.
            EventV1::StepEnded {
                outcome: StepOutcomeV1::Pending { .. } | StepOutcomeV1::Unknown { .. },
                ..
            } => {}
            EventV1::StepEnded { step, instance, generation, part, outcome } => {
                let ended = at_from_stored(*step, *instance, *generation, part.as_deref());
                if self.active.take_if(|active| *active == ended).is_some() {
                    self.last_ended = Some((ended.step, standing(outcome)));
                }
            }
            EventV1::Amended(amended) => {
                if let Some((_, total_minor)) = &mut self.total {
                    *total_minor = amended.total_minor.1;
                }
            }
            EventV1::StatusChanged { status, .. } => {
                self.status = status_from_stored(*status);
                // Nobody has to look at holds on the way back.
                self.overdue.clear();
            }
            EventV1::AttentionChanged { attention, reason } => {
                let attention = attention_from_stored(*attention);
                self.attention =
                    (attention != Attention::None).then(|| (attention, Arc::from(reason.as_str())));
            }
            EventV1::CancelRequested { .. }
            | EventV1::ReturnRequested { .. }
            | EventV1::Refunded { .. }
            | EventV1::LinesShort { .. }
            | EventV1::Archived { .. }
            | EventV1::Restored
            | EventV1::PersonErased { .. }
            | EventV1::ReturnRulesSet { .. }
            | EventV1::SettleRequested { .. }
            | EventV1::Noted { .. }
            | EventV1::RefundRequested { .. }
            | EventV1::ReturnSplit { .. }
            | EventV1::PaymentRulesSet { .. }
            | EventV1::PaymentAwaited { .. }
            | EventV1::PaymentsAdded { .. }
            | EventV1::HoldPlaced { .. }
            | EventV1::FactRecorded(_)
            | EventV1::ReturnTermsSet(_)
            | EventV1::Related(_)
            | EventV1::FlowSet(_)
            | EventV1::GoodsAwaited { .. }
            | EventV1::DeliveryAwaited { .. }
            | EventV1::PaymentSplit { .. }
            | EventV1::StillPending { .. }
            | EventV1::ShipmentMoved { .. } => {}
            EventV1::HoldReleased { name, .. } => self.overdue.retain(|(hold, _)| **hold != **name),
            EventV1::HoldOverdue { name, reason } => {
                self.overdue.push((name.as_str().into(), reason.as_str().into()));
            }
            EventV1::Contradicted { step, reason, .. } => {
                self.contradiction = Some((step_from_stored(*step), Arc::from(reason.as_str())));
            }
            EventV1::ContradictionSeen => self.contradiction = None,
        }
        Ok(())
    }

    /// As [`Saga::shown_step`](super::Saga::shown_step).
    fn shown_step(&self) -> Option<Step> {
        match (&self.active, &self.contradiction, &self.attention) {
            (Some(active), ..) => Some(active.step),
            (None, Some((step, _)), _) => Some(*step),
            (None, None, Some(_)) => held_step(self.last_ended),
            (None, None, None) => None,
        }
    }

    /// As [`Saga::shown_attention`](super::Saga::shown_attention).
    #[must_use]
    pub fn shown_attention(&self) -> (Attention, Option<&str>) {
        match (&self.contradiction, &self.attention, self.overdue.first()) {
            (Some((_, reason)), ..) => (Attention::Held, Some(&**reason)),
            (None, Some((attention, reason)), _) => (*attention, Some(&**reason)),
            (None, None, Some((_, reason))) => (Attention::Held, Some(&**reason)),
            (None, None, None) => (Attention::None, None),
        }
    }

    /// How its callers see the status; `None` while nothing is placed.
    #[must_use]
    pub fn public_status(&self) -> Option<PublicStatus> {
        self.total.is_some().then(|| public_status(self.status))
    }

    /// What a list shows; `None` while nothing is placed. `parked` is why it is parked, if it is.
    ///
    /// # Errors
    /// [`FoldError::Codec`] for an amount that no order can have.
    pub fn summary(&self, order: &OrderRef, parked: Option<&str>) -> Result<Option<OrderSummary>, FoldError> {
        let (Some((currency, total)), Some((created_at, updated_at))) = (self.total, self.changed) else {
            return Ok(None);
        };
        let (attention, reason) = match parked {
            Some(reason) => (Attention::Parked, Some(reason)),
            None => self.shown_attention(),
        };
        Ok(Some(OrderSummary {
            head: OrderHead {
                tenant: order.tenant.clone(),
                order: order.order.clone(),
                version: self.version,
                status: public_status(self.status),
                step: self.shown_step(),
                attention,
                attention_reason: reason.map(str::to_owned),
            },
            currency,
            total_minor: Amount::new(total).map_err(amount)?,
            created_at,
            updated_at,
        }))
    }
}

/// How a step ended, as [`evolve`](super::evolve()) has it.
const fn standing(outcome: &StepOutcomeV1) -> StepState {
    match outcome {
        StepOutcomeV1::Done { .. }
        | StepOutcomeV1::Settled { done: true, .. }
        | StepOutcomeV1::Resolved { done: true, .. }
        | StepOutcomeV1::Skipped { .. } => StepState::Done,
        StepOutcomeV1::Declined { .. } => StepState::Declined,
        StepOutcomeV1::Refused { .. } => StepState::Refused,
        StepOutcomeV1::Pending { .. } | StepOutcomeV1::Unknown { .. } => StepState::Open,
        StepOutcomeV1::Failed { .. }
        | StepOutcomeV1::Settled { .. }
        | StepOutcomeV1::NotDone { .. }
        | StepOutcomeV1::Resolved { .. } => StepState::NotDone,
    }
}
