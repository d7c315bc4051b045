//! What an order owes its customer: returns, and refunds without goods, in the order in which they were asked for.

use std::sync::Arc;

use super::beside::ReturnTerms;
use crate::wire::command::ComponentKind;

/// Refunds without goods of one order, at most, over its whole life.
pub(crate) const REFUNDS_MAX: usize = 256;

/// How much of an owed amount is paid back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paid {
    /// So much, in minor units.
    pub minor: i64,
    /// Where a rule goes through the payments: the first one, from 0, that it has not been at.
    pub from: usize,
    /// So much of it is covered by chargebacks, in minor units: the customer has it from the bank.
    pub covered_minor: i64,
}

impl Paid {
    /// What is left of an amount, in minor units.
    fn left_of(self, minor: i64) -> i64 {
        minor.saturating_sub(self.minor).saturating_sub(self.covered_minor).max(0)
    }
}

/// What of an order an amount is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Of which lines, in minor units.
    pub lines: Arc<[(Arc<str>, i64)]>,
    /// Of which components of the order, in minor units.
    pub components: Arc<[(ComponentKind, i64)]>,
}

/// A part of what an amount is of: by line, and by component.
pub(super) type Piece = (Vec<(Arc<str>, i64)>, Vec<(ComponentKind, i64)>);

impl Split {
    /// Of nothing in particular.
    #[must_use]
    pub fn none() -> Self {
        Self { lines: [].into(), components: [].into() }
    }

    /// The `amount_minor` behind the first `from_minor` of it, in minor units: so the pieces add up to the whole.
    pub(super) fn piece(&self, from_minor: i64, amount_minor: i64) -> Piece {
        let mut walked: i64 = 0;
        let mut part = |minor: i64| {
            let (from, to) = (walked, walked.saturating_add(minor));
            walked = to;
            to.min(from_minor.saturating_add(amount_minor)).saturating_sub(from.max(from_minor)).max(0)
        };
        let lines: Vec<_> =
            self.lines.iter().map(|(line_id, minor)| (line_id.clone(), part(*minor))).collect();
        let components: Vec<_> = self.components.iter().map(|(kind, minor)| (*kind, part(*minor))).collect();
        (
            lines.into_iter().filter(|(_, minor)| *minor > 0).collect(),
            components.into_iter().filter(|(_, minor)| *minor > 0).collect(),
        )
    }
}

/// Some units of a line that come back, and what is paid for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnedLine {
    /// Which line.
    pub line_id: Arc<str>,
    /// How many units.
    pub quantity: u64,
    /// How much is paid back for them, in minor units.
    pub amount_minor: i64,
}

/// A return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// Its id in the order.
    pub return_id: Arc<str>,
    /// What comes back.
    pub lines: Arc<[ReturnedLine]>,
    /// Why.
    pub reason: Arc<str>,
}

impl Return {
    /// How much is paid back, in minor units.
    #[must_use]
    pub fn amount_minor(&self) -> i64 {
        self.lines.iter().fold(0, |sum, line| sum.saturating_add(line.amount_minor))
    }

    /// How many units come back.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.lines.iter().fold(0, |sum, line| sum.saturating_add(line.quantity))
    }
}

/// A return that is not through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReturn {
    /// Which.
    pub request: Return,
    /// Of what, where that is not of its lines alone.
    pub split: Option<Arc<Split>>,
    /// How much is paid back.
    pub paid: Paid,
    /// What it says beside.
    pub terms: Option<Arc<ReturnTerms>>,
}

impl OpenReturn {
    /// Not paid back yet, in minor units.
    #[must_use]
    pub fn left_minor(&self) -> i64 {
        self.paid.left_of(self.request.amount_minor())
    }

    /// What it pays back, line by line.
    #[must_use]
    pub fn split(&self) -> Split {
        match &self.split {
            Some(split) => (**split).clone(),
            None => {
                let line = |line: &ReturnedLine| (line.line_id.clone(), line.amount_minor);
                Split { lines: self.request.lines.iter().map(line).collect(), components: [].into() }
            }
        }
    }

    /// Which return of the order, from 1, as its id says.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.request.return_id.strip_prefix('r').and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
    }
}

/// All that came back to an order. Most orders have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returns {
    /// How many there were.
    pub count: u32,
    /// By line, in the order of the lines: units and minor units, of all returns asked for.
    pub by_line: Vec<(u64, i64)>,
    /// Those that are not through, in the order of asking.
    pub open: Vec<OpenReturn>,
    /// What some of them said beside, in the order of asking.
    pub terms: Vec<ReturnTerms>,
}

/// Money that is paid back without goods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Its id in the order.
    pub refund_id: Arc<str>,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Of what; empty where that was not said.
    pub split: Split,
    /// To which payment, where that was said.
    pub payment_id: Option<Arc<str>>,
    /// Why.
    pub reason: Arc<str>,
}

/// A refund without goods, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRefund {
    /// What was asked for.
    pub request: Refund,
    /// Which payment it goes to, from 0, where that was said.
    pub payment: Option<usize>,
    /// How many returns were asked for before it.
    pub after_returns: u32,
    /// How much is paid back.
    pub paid: Paid,
}

impl AskedRefund {
    /// Not paid back yet, in minor units.
    #[must_use]
    pub fn left_minor(&self) -> i64 {
        self.paid.left_of(self.request.amount_minor)
    }
}

/// All that was paid back without goods, or is to be. Most orders have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refunds {
    /// In the order of asking: at most `REFUNDS_MAX`.
    pub asked: Vec<AskedRefund>,
    /// By kind of component, in minor units, what returns were granted of components by rules.
    pub with_returns: Vec<(ComponentKind, i64)>,
    /// By line, in minor units, what its returns were granted beside its own money.
    pub beside_lines: Vec<(Arc<str>, i64)>,
}

impl Refunds {
    /// Granted of a component of the order, by refunds and by returns, in minor units.
    #[must_use]
    pub fn of_component(&self, kind: ComponentKind) -> i64 {
        let asked = self.asked.iter().flat_map(|refund| refund.request.split.components.iter());
        sum_of(asked.chain(&self.with_returns).filter(|(one, _)| *one == kind).map(|(_, minor)| *minor))
    }

    /// Of what returns of a line were granted, what is not its own money, in minor units.
    #[must_use]
    pub fn beside_line(&self, line_id: &str) -> i64 {
        sum_of(self.beside_lines.iter().filter(|(one, _)| **one == *line_id).map(|(_, minor)| *minor))
    }

    /// Granted of a line without goods, in minor units.
    #[must_use]
    pub fn of_line(&self, line_id: &str) -> i64 {
        let asked = self.asked.iter().flat_map(|refund| refund.request.split.lines.iter());
        sum_of(asked.filter(|(one, _)| **one == *line_id).map(|(_, minor)| *minor))
    }
}

pub(super) fn sum_of(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}

/// The owed amount that is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed<'a> {
    /// A return.
    Return(&'a OpenReturn),
    /// A refund without goods.
    Refund(&'a AskedRefund),
}

impl Owed<'_> {
    /// Its id in the order.
    #[must_use]
    pub const fn id(&self) -> &Arc<str> {
        match self {
            Self::Return(open) => &open.request.return_id,
            Self::Refund(asked) => &asked.request.refund_id,
        }
    }

    /// Not paid back yet, in minor units.
    #[must_use]
    pub fn left_minor(&self) -> i64 {
        match self {
            Self::Return(open) => open.left_minor(),
            Self::Refund(asked) => asked.left_minor(),
        }
    }
}
