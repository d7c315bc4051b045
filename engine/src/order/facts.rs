//! Facts: what happened outside and enters the order's books.
//!
//! Invariant: money that the customer's bank took back (a chargeback) is gone, and is not paid back a second time: it counts as
//! paid back of its payment, and what was promised and is more than what is left then is cut, but for what is in flight.

use std::sync::Arc;

use super::beside::Fact;
use super::owed::sum_of;
use super::payments::{Part, PaymentState};
use super::saga::Saga;
use crate::codec::v1::{FactKindV1, FactV1};
use crate::ids::TimestampMs;
use crate::money::{Amount, MoneyError};
use crate::wire::command::{FactKind, Step};
use crate::wire::order::{FactSum, OrderFact};

/// Facts of one order, at most, over its whole life.
pub(crate) const FACTS_MAX: usize = 256;

impl Saga {
    /// What happened outside, in the order of recording.
    #[must_use]
    pub fn facts(&self) -> &[Fact] {
        self.facts.as_deref().map_or(&[], |facts| facts)
    }

    /// Captured, and neither paid back nor charged back, in minor units.
    #[must_use]
    pub fn kept_minor(&self) -> i64 {
        sum_of(self.payments.iter().map(PaymentState::kept_minor))
    }

    /// A fact enters the books; `payment`: which payment it is about, from 0.
    pub(super) fn record(&mut self, fact: Fact, payment: Option<usize>) {
        if fact.kind == FactKind::Chargeback {
            if let Some(state) = payment.and_then(|number| self.payments.get_mut(number)) {
                state.charged_back_minor = state.charged_back_minor.saturating_add(fact.amount_minor);
            }
            self.cover_promises();
        }
        Arc::make_mut(self.facts.get_or_insert_default()).push(fact);
    }

    /// What is promised and more than what is left is covered by chargebacks: the customer has it from the bank. Refunds
    /// without goods go first, then returns, the newest first. What is in flight is left: it may be done.
    pub(super) fn cover_promises(&mut self) {
        if self.payments.iter().all(|payment| payment.charged_back_minor == 0) {
            return;
        }
        for number in 0..self.payments.count() {
            let kept_minor = self.payments.get(number).map_or(0, PaymentState::kept_minor);
            let over_minor = self.promised_to(number).saturating_sub(kept_minor);
            self.cover(over_minor, Some(number));
        }
        let over_minor = self.promised_minor().saturating_sub(self.kept_minor());
        self.cover(over_minor, None);
    }

    /// Covers `over_minor` of what is promised, to payment `named` alone if one is given.
    fn cover(&mut self, mut over_minor: i64, named: Option<usize>) {
        if over_minor <= 0 {
            return;
        }
        let active = self.active.as_ref().filter(|active| active.at.step == Step::Refund);
        let active = active.map(|active| (active.at.part.clone(), active.amount_minor));
        let in_flight = |id: &str| match &active {
            Some((part, minor)) if Part::read(part.as_deref()).owed == Some(id) => *minor,
            _ => 0,
        };
        let mut take = |id: &str, left_minor: i64| {
            let minor = left_minor.saturating_sub(in_flight(id)).clamp(0, over_minor.max(0));
            over_minor -= minor;
            minor
        };
        if let Some(refunds) = self.refunds.as_mut().map(Arc::make_mut) {
            let refunds = refunds.asked.iter_mut().rev();
            for asked in refunds.filter(|asked| named.is_none() || asked.payment == named) {
                let minor = take(&asked.request.refund_id, asked.left_minor());
                asked.paid.covered_minor = asked.paid.covered_minor.saturating_add(minor);
            }
        }
        if named.is_some() {
            return;
        }
        if let Some(returns) = self.returns.as_mut().map(Arc::make_mut) {
            for open in returns.open.iter_mut().rev() {
                let minor = take(&open.request.return_id, open.left_minor());
                open.paid.covered_minor = open.paid.covered_minor.saturating_add(minor);
            }
        }
    }
}

/// The facts as the public sees them, and their sums by kind.
pub(super) fn facts_of_view(saga: &Saga) -> Result<(Vec<OrderFact>, Vec<FactSum>), MoneyError> {
    let fact = |fact: &Fact| {
        Ok(OrderFact {
            kind: fact.kind,
            amount_minor: Amount::new(fact.amount_minor)?,
            reference: fact.reference.to_string(),
            payment_id: fact.payment_id.as_deref().map(Into::into),
            line_id: fact.line_id.as_deref().map(Into::into),
            happened_at: fact.happened,
            recorded_at: fact.recorded,
            reason: fact.reason.as_deref().map(Into::into),
        })
    };
    let mut sums = Vec::new();
    for kind in FactKind::ALL {
        let of_kind = saga.facts().iter().filter(|fact| fact.kind == kind).map(|fact| fact.amount_minor);
        let minor = sum_of(of_kind);
        if minor > 0 {
            sums.push(FactSum { kind, amount_minor: Amount::new(minor)? });
        }
    }
    Ok((saga.facts().iter().map(fact).collect::<Result<_, _>>()?, sums))
}

macro_rules! same_kinds {
    ($($name:ident)*) => {
        pub(super) const fn fact_kind_to_stored(kind: FactKind) -> FactKindV1 {
            match kind { $(FactKind::$name => FactKindV1::$name),* }
        }

        pub(super) const fn fact_kind_from_stored(kind: FactKindV1) -> FactKind {
            match kind { $(FactKindV1::$name => FactKind::$name),* }
        }
    };
}

same_kinds!(Chargeback Loss Goodwill ExternalPayment);

pub(super) fn fact_to_stored(fact: &Fact) -> FactV1 {
    FactV1 {
        kind: fact_kind_to_stored(fact.kind),
        amount_minor: fact.amount_minor,
        reference: fact.reference.to_string(),
        payment_id: fact.payment_id.as_deref().map(Into::into),
        line_id: fact.line_id.as_deref().map(Into::into),
        happened_ms: fact.happened.map(|at| at.0),
        recorded_ms: fact.recorded.0,
        reason: fact.reason.as_deref().map(Into::into),
    }
}

pub(super) fn fact_from_stored(stored: &FactV1) -> Fact {
    Fact {
        kind: fact_kind_from_stored(stored.kind),
        amount_minor: stored.amount_minor,
        reference: stored.reference.as_str().into(),
        payment_id: stored.payment_id.as_deref().map(Into::into),
        line_id: stored.line_id.as_deref().map(Into::into),
        happened: stored.happened_ms.map(TimestampMs),
        recorded: TimestampMs(stored.recorded_ms),
        reason: stored.reason.as_deref().map(Into::into),
    }
}
