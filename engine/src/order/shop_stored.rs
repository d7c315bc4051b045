//! What a shop set or recorded for an order, as a snapshot holds it, and back.

use std::sync::Arc;

use super::facts::{fact_from_stored, fact_to_stored};
use super::holds::{holds_from_stored, holds_to_stored};
use super::placed::Placed;
use super::relation::{relation_from_stored, relation_to_stored};
use super::return_terms::{terms_of_snapshot, terms_to_stored};
use super::saga::Saga;
use crate::codec::CodecError;
use crate::codec::snapshot::ShopV5;
use crate::wire::command::FactKind;

pub(super) fn shop_to_stored(saga: &Saga) -> ShopV5 {
    let open = saga.returns.iter().flat_map(|returns| &returns.open);
    let covered = open.map(|open| (&open.request.return_id, open.paid.covered_minor));
    let asked = saga.refunds().iter().map(|asked| (&asked.request.refund_id, asked.paid.covered_minor));
    ShopV5 {
        relation: saga.relation.as_deref().map(relation_to_stored),
        return_terms: saga.return_terms().iter().map(terms_to_stored).collect(),
        holds: holds_to_stored(saga),
        facts: saga.facts().iter().map(fact_to_stored).collect(),
        covered: covered
            .chain(asked)
            .filter(|(_, minor)| *minor != 0)
            .map(|(id, minor)| (id.to_string(), minor))
            .collect(),
    }
}

/// Gives a saga with its payments, returns and refunds what its shop set or recorded.
pub(super) fn shop_from_stored(
    stored: ShopV5,
    placed: Option<&Placed>,
    saga: &mut Saga,
) -> Result<(), CodecError> {
    let ShopV5 { holds, facts, covered, return_terms, relation } = stored;
    saga.relation = relation.as_ref().map(relation_from_stored).transpose()?.map(Arc::new);
    terms_of_snapshot(&return_terms, saga);
    saga.holds = holds_from_stored(holds);
    for fact in facts.iter().map(fact_from_stored) {
        let number = fact.payment_id.as_ref().and_then(|id| placed?.payment_number(id));
        if fact.kind == FactKind::Chargeback
            && let Some(payment) = number.and_then(|number| saga.payments.get_mut(number))
        {
            payment.charged_back_minor = payment.charged_back_minor.saturating_add(fact.amount_minor);
        }
        Arc::make_mut(saga.facts.get_or_insert_default()).push(fact);
    }
    for (id, minor) in covered {
        if let Some(returns) = saga.returns.as_mut().map(Arc::make_mut) {
            let open = returns.open.iter_mut().filter(|open| *open.request.return_id == *id);
            open.for_each(|open| open.paid.covered_minor = minor);
        }
        if let Some(refunds) = saga.refunds.as_mut().map(Arc::make_mut) {
            let asked = refunds.asked.iter_mut().filter(|asked| *asked.request.refund_id == *id);
            asked.for_each(|asked| asked.paid.covered_minor = minor);
        }
    }
    Ok(())
}
