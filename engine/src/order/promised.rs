//! What an order promised its customer and has not paid back, and from which payment it comes next.

use super::owed::{AskedRefund, OpenReturn, Owed, sum_of};
use super::payments::{PaymentState, Payments};
use super::saga::Saga;
use super::shares::spread;
use crate::wire::command::Step;
use crate::wire::payment_rules::RefundOrder;

impl Saga {
    /// What was paid back without goods, or is to be.
    #[must_use]
    pub fn refunds(&self) -> &[AskedRefund] {
        self.refunds.as_ref().map_or(&[], |refunds| &refunds.asked)
    }

    /// The owed amount that was asked for first, of those that are not through.
    #[must_use]
    pub fn owed(&self) -> Option<Owed<'_>> {
        self.first_owed(self.open_return())
    }

    /// The same of those that money is owed for: what is to be restocked comes back when it comes.
    #[must_use]
    pub fn owed_money(&self) -> Option<Owed<'_>> {
        let mut open = self.returns.iter().flat_map(|returns| &returns.open);
        self.first_owed(open.find(|open| open.left_minor() > 0))
    }

    /// The owed amount of this id.
    #[must_use]
    pub fn owed_as(&self, id: &str) -> Option<Owed<'_>> {
        let mut open = self.returns.iter().flat_map(|returns| &returns.open);
        let of_return = open.find(|open| *open.request.return_id == *id).map(Owed::Return);
        let mut refunds = self.refunds().iter();
        of_return.or_else(|| refunds.find(|asked| *asked.request.refund_id == *id).map(Owed::Refund))
    }

    /// The first of this return and the refunds that are not through.
    fn first_owed<'a>(&'a self, open: Option<&'a OpenReturn>) -> Option<Owed<'a>> {
        let refund = self.refunds().iter().find(|asked| asked.left_minor() > 0);
        match (open, refund) {
            (Some(open), Some(asked)) if asked.after_returns >= open.number() => Some(Owed::Return(open)),
            (_, Some(asked)) => Some(Owed::Refund(asked)),
            (open, None) => open.map(Owed::Return),
        }
    }

    /// Captured, and neither paid back, charged back nor promised, in minor units: what may still be promised.
    #[must_use]
    pub fn left_minor(&self) -> i64 {
        self.kept_minor().saturating_sub(self.promised_minor()).max(0)
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
            active.at.step == Step::Refund && part.payment == number && !is_named
        });
        named.saturating_add(active.map_or(0, |active| active.amount_minor))
    }

    /// Of payment `number`, what may go back for an amount that names no payment, in minor units.
    fn free_minor(&self, payments: &Payments, number: usize) -> i64 {
        let kept_minor = payments.get(number).map_or(0, PaymentState::kept_minor);
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
                .rfind(|(_, room)| *room > 0)
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
