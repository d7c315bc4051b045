//! What an order owes its customer: returns, and refunds without goods, in the order in which they were asked for.

use std::sync::Arc;

use super::payments::Payments;
use super::saga::{OpenReturn, Saga};
use super::shares::spread;
use crate::wire::command::ComponentKind;
use crate::wire::payment_rules::RefundOrder;

/// Refunds without goods of one order, at most, over its whole life.
pub(crate) const REFUNDS_MAX: usize = 256;

/// How much of an owed amount is paid back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paid {
    /// So much, in minor units.
    pub minor: i64,
    /// Where a rule goes through the payments: the first one, from 0, that it has not been at.
    pub from: usize,
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
        self.request.amount_minor.saturating_sub(self.paid.minor).max(0)
    }
}

/// All that was paid back without goods, or is to be. Most orders have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refunds {
    /// In the order of asking: at most [`REFUNDS_MAX`].
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

impl Saga {
    /// What was paid back without goods, or is to be.
    #[must_use]
    pub fn refunds(&self) -> &[AskedRefund] {
        self.refunds.as_ref().map_or(&[], |refunds| &refunds.asked)
    }

    /// The owed amount that was asked for first, of those that are not through.
    #[must_use]
    pub fn owed(&self) -> Option<Owed<'_>> {
        let refund = self.refunds().iter().find(|asked| asked.left_minor() > 0);
        match (self.open_return(), refund) {
            (Some(open), Some(asked)) if asked.after_returns >= open.number() => Some(Owed::Return(open)),
            (_, Some(asked)) => Some(Owed::Refund(asked)),
            (open, None) => open.map(Owed::Return),
        }
    }

    /// Captured, and neither paid back nor promised, in minor units: what may still be promised.
    #[must_use]
    pub fn left_minor(&self) -> i64 {
        let spoken_for_minor = self.totals.refunded_minor.saturating_add(self.promised_minor());
        self.totals.captured_minor.saturating_sub(spoken_for_minor).max(0)
    }

    /// All that was promised and is not paid back, in minor units.
    #[must_use]
    pub fn promised_minor(&self) -> i64 {
        let open = self.returns.iter().flat_map(|returns| &returns.open);
        sum_of(open.map(OpenReturn::left_minor).chain(self.refunds().iter().map(AskedRefund::left_minor)))
    }

    /// What was promised to payment `number` alone, in minor units: by name, and by what is on its way to it for an amount
    /// that names none.
    #[must_use]
    pub fn promised_to(&self, number: usize) -> i64 {
        let named = self.refunds().iter().filter(|asked| asked.payment == Some(number));
        let named = sum_of(named.map(AskedRefund::left_minor));
        let active = self.active.as_ref().filter(|active| {
            let part = active.at.for_part();
            let is_named = self
                .refunds()
                .iter()
                .any(|asked| asked.payment.is_some() && part.owed == Some(&*asked.request.refund_id));
            active.at.step == crate::wire::command::Step::Refund && part.payment == number && !is_named
        });
        named.saturating_add(active.map_or(0, |active| active.amount_minor))
    }

    /// Of payment `number`, what may go back for an amount that names no payment, in minor units.
    fn free_minor(&self, payments: &Payments, number: usize) -> i64 {
        let kept_minor = payments.get(number).map_or(0, super::payments::PaymentState::kept_minor);
        kept_minor.saturating_sub(self.promised_to(number)).max(0)
    }

    /// The next refund of an owed amount: which payment, from 0, and how much.
    #[must_use]
    pub fn next_refund(&self, owed: &Owed<'_>, order: RefundOrder) -> (usize, i64) {
        let left_minor = owed.left_minor();
        let (named, from) = match owed {
            Owed::Return(open) => (None, open.paid.from),
            Owed::Refund(asked) => (asked.payment, asked.paid.from),
        };
        if let Some(number) = named {
            return (number, left_minor);
        }
        let payments = &self.payments;
        let rooms = || (0..payments.count()).map(|number| self.free_minor(payments, number));
        let found = match order {
            RefundOrder::Reverse => rooms()
                .enumerate()
                .filter(|(_, room)| *room > 0)
                .last()
                .map(|(number, room)| (number, left_minor.min(room))),
            RefundOrder::ProRata => {
                // What was promised by name meanwhile may have taken of those behind: then all are gone through anew.
                let from = if sum_of(rooms().skip(from)) < left_minor { 0 } else { from };
                let weights: Vec<i128> = rooms().skip(from).map(i128::from).collect();
                let parts = spread(left_minor, &weights);
                let part = parts.into_iter().enumerate().find(|(_, part)| *part > 0);
                part.map(|(number, part)| (from + number, part))
            }
        };
        // Without a payment that has as much, the first is asked: its provider says what it says, and people are told.
        found.unwrap_or((0, left_minor))
    }
}
