//! What a return says beside its units and money: what becomes of the goods, in which condition they came, and what the
//! shop keeps of the money.
//!
//! Invariant: units that are not restocked go through no restock step. A return with none to restock is through when it is
//! paid back.

use std::sync::Arc;

use super::beside::{LineTerms, ReturnTerms};
use super::owed::{OpenReturn, Returns};
use super::saga::Saga;
use crate::codec::v1::{ReturnTermsV1, TermLineV1};
use crate::money::{Amount, MoneyError};
use crate::wire::command::Restock;
use crate::wire::order::{ReturnTermsView, TermLine};

/// Returns of one order that say more than units and money, at most, over its whole life.
pub(crate) const TERMS_MAX: usize = 256;

impl OpenReturn {
    /// Is any unit of it taken back into stock?
    #[must_use]
    pub fn restocks_any(&self) -> bool {
        self.terms.as_ref().is_none_or(|terms| terms.lines.iter().any(|line| line.restock))
    }

    /// Is nothing left to be done for it?
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.left_minor() == 0 && !self.restocks_any()
    }
}

impl Saga {
    /// What returns said beside, in the order of asking.
    #[must_use]
    pub fn return_terms(&self) -> &[ReturnTerms] {
        self.returns.as_ref().map_or(&[], |returns| &returns.terms)
    }

    pub(super) fn set_return_terms(&mut self, terms: &ReturnTerms) {
        let Some(returns) = self.returns.as_mut().map(Arc::make_mut) else { return };
        attach(returns, terms);
        returns.terms.push(terms.clone());
    }
}

fn attach(returns: &mut Returns, terms: &ReturnTerms) {
    let open = returns.open.iter_mut().find(|open| open.request.return_id == terms.return_id);
    if let Some(open) = open {
        open.terms = Some(Arc::new(terms.clone()));
    }
}

pub(super) fn terms_of_view(saga: &Saga) -> Result<Vec<ReturnTermsView>, MoneyError> {
    let line = |line: &LineTerms| TermLine {
        line_id: line.line_id.to_string(),
        quantity: line.quantity,
        restock: restock_word(line.restock),
        condition: line.condition.as_deref().map(Into::into),
    };
    let terms = |terms: &ReturnTerms| {
        Ok(ReturnTermsView {
            return_id: terms.return_id.to_string(),
            fee_minor: (terms.fee_minor > 0).then(|| Amount::new(terms.fee_minor)).transpose()?,
            lines: terms.lines.iter().map(line).collect(),
        })
    };
    saga.return_terms().iter().map(terms).collect()
}

/// As the contract calls it.
pub(super) const fn restock_word(restock: bool) -> Restock {
    if restock { Restock::Yes } else { Restock::No }
}

pub(super) fn terms_to_stored(terms: &ReturnTerms) -> ReturnTermsV1 {
    let line = |line: &LineTerms| TermLineV1 {
        line_id: line.line_id.to_string(),
        quantity: line.quantity,
        restock: line.restock,
        condition: line.condition.as_deref().map(Into::into),
    };
    ReturnTermsV1 {
        return_id: terms.return_id.to_string(),
        fee_minor: terms.fee_minor,
        lines: terms.lines.iter().map(line).collect(),
    }
}

pub(super) fn terms_from_stored(stored: &ReturnTermsV1) -> ReturnTerms {
    let line = |line: &TermLineV1| LineTerms {
        line_id: line.line_id.as_str().into(),
        quantity: line.quantity,
        restock: line.restock,
        condition: line.condition.as_deref().map(Into::into),
    };
    ReturnTerms {
        return_id: stored.return_id.as_str().into(),
        fee_minor: stored.fee_minor,
        lines: stored.lines.iter().map(line).collect(),
    }
}

/// Gives a saga with its returns what they said beside.
pub(super) fn terms_of_snapshot(stored: &[ReturnTermsV1], saga: &mut Saga) {
    stored.iter().for_each(|terms| saga.set_return_terms(&terms_from_stored(terms)));
}
