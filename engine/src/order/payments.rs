//! How each payment of an order stands, and which of them a step is for.
//!
//! Invariant: the sums of an order's payments are those in [`Totals`](super::Totals). One payment is one entry like any
//! other: it stands in the saga itself, further ones behind a pointer that most orders do not have.

use std::sync::Arc;

use super::placed::Placed;
use super::step::StepAt;
use crate::ids::TimestampMs;
use crate::wire::command::Step;

/// The id of the only payment where none was named.
pub(crate) const THE_PAYMENT: &str = "payment";

/// How one payment stands, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentState {
    /// How much is to be paid this way.
    pub planned_minor: i64,
    /// Authorized, over the order's whole life.
    pub authorized_minor: i64,
    /// Authorized and given up, or expired.
    pub voided_minor: i64,
    /// Captured.
    pub captured_minor: i64,
    /// Paid back.
    pub refunded_minor: i64,
    /// Taken back by the customer's bank.
    pub charged_back_minor: i64,
    /// What its provider calls the authorization that stands.
    pub authorization: Option<Arc<str>>,
    /// What its provider calls the capture.
    pub capture: Option<Arc<str>>,
    /// When the authorization ends by itself.
    pub expires: Option<TimestampMs>,
    /// How often its authorization was asked for anew.
    pub entered: u32,
    /// Its provider decided against it.
    pub declined: bool,
}

impl PaymentState {
    /// Planned, and neither authorized nor captured.
    #[must_use]
    pub fn not_authorized_minor(&self) -> i64 {
        let standing_minor = self.authorized_minor.saturating_sub(self.voided_minor);
        self.planned_minor.saturating_sub(standing_minor).max(0)
    }

    /// Planned, and not captured: what is authorized anew where an authorization is over.
    #[must_use]
    pub fn open_minor(&self) -> i64 {
        self.planned_minor.saturating_sub(self.captured_minor).max(0)
    }

    /// Authorized, and to be captured: no more than is planned.
    #[must_use]
    pub fn to_capture_minor(&self) -> i64 {
        self.held_minor().min(self.open_minor())
    }

    /// Authorized, and not wanted any more: it is given up whole, or where a part of it is captured, with that.
    #[must_use]
    pub fn surplus_minor(&self) -> i64 {
        self.held_minor().saturating_sub(self.to_capture_minor())
    }

    /// Authorized, and neither given up nor captured.
    #[must_use]
    pub fn held_minor(&self) -> i64 {
        let spoken_for_minor = self.voided_minor.saturating_add(self.captured_minor);
        self.authorized_minor.saturating_sub(spoken_for_minor).max(0)
    }

    /// Captured, and neither paid back nor charged back.
    #[must_use]
    pub fn kept_minor(&self) -> i64 {
        let gone_minor = self.refunded_minor.saturating_add(self.charged_back_minor);
        self.captured_minor.saturating_sub(gone_minor).max(0)
    }
}

/// The payments of an order, in the declared order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payments {
    first: PaymentState,
    more: Option<Arc<Vec<PaymentState>>>,
}

impl Payments {
    /// As they are planned.
    #[must_use]
    pub fn planned(placed: &Placed) -> Self {
        let plan = |planned_minor| PaymentState { planned_minor, ..PaymentState::default() };
        let mut plans = placed.payments.iter().map(|payment| plan(payment.amount_minor));
        let first = plans.next().unwrap_or_else(|| plan(placed.total_minor));
        let mut payments = Self { first, more: None };
        plans.for_each(|payment| payments.push(payment));
        payments
    }

    /// Those, or one of which nothing is known.
    #[must_use]
    pub fn of(payments: impl IntoIterator<Item = PaymentState>) -> Self {
        let mut payments = payments.into_iter();
        let mut all = Self { first: payments.next().unwrap_or_default(), more: None };
        payments.for_each(|payment| all.push(payment));
        all
    }

    /// One more.
    pub fn push(&mut self, payment: PaymentState) {
        Arc::make_mut(self.more.get_or_insert_default()).push(payment);
    }

    /// How many there are: at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.more.as_ref().map_or(0, |more| more.len())
    }

    /// All of them, in the declared order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &PaymentState> {
        std::iter::once(&self.first).chain(self.more.iter().flat_map(|more| more.iter()))
    }

    /// Payment `number`, from 0.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&PaymentState> {
        match number.checked_sub(1) {
            None => Some(&self.first),
            Some(at) => self.more.as_ref()?.get(at),
        }
    }

    /// Payment `number`, from 0, to be changed.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut PaymentState> {
        match number.checked_sub(1) {
            None => Some(&mut self.first),
            Some(at) => Arc::make_mut(self.more.as_mut()?).get_mut(at),
        }
    }

    /// The first payment, from the front or from behind, that something holds of, from 0.
    #[must_use]
    pub fn first_where(&self, holds: impl Fn(&PaymentState) -> bool) -> Option<usize> {
        self.iter().position(holds)
    }

    /// The last payment that something holds of, from 0.
    #[must_use]
    pub fn last_where(&self, holds: impl Fn(&PaymentState) -> bool) -> Option<usize> {
        let behind = self.iter().rev().position(holds)?;
        (self.count() - 1).checked_sub(behind)
    }
}

/// What an asking is for: an owed amount (a return `r1`, a refund without goods `f1`), and which payment, reservation or
/// shipment, from 0.
///
/// In the asking's `part` they stand with a dot between them, as `r1.p2`; reservations and shipments as `g2`. The first one
/// is not named: so the keys of an order with one payment, whose goods go one way at once, are what they always were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The return or the refund.
    pub owed: Option<&'a str>,
    /// Which payment, from 0.
    pub payment: usize,
    /// Which reservation or shipment, from 0.
    pub lot: usize,
}

impl<'a> Part<'a> {
    /// Of a step: `number` says which payment, where it is of one, and otherwise which reservation or shipment.
    #[must_use]
    pub const fn of(step: Step, owed: Option<&'a str>, number: usize) -> Self {
        match step.is_of_payment() {
            true => Self { owed, payment: number, lot: 0 },
            false => Self { owed, payment: 0, lot: number },
        }
    }

    /// What `part` of an asking says.
    #[must_use]
    pub fn read(part: Option<&'a str>) -> Self {
        let mut read = Self { owed: None, payment: 0, lot: 0 };
        for word in part.into_iter().flat_map(|part| part.split('.')) {
            let number = |letter| word.strip_prefix(letter).and_then(|number| number.parse::<usize>().ok());
            match (number('p'), number('g')) {
                (Some(number), _) => read.payment = number.saturating_sub(1),
                (None, Some(number)) => read.lot = number.saturating_sub(1),
                (None, None) => read.owed = Some(word),
            }
        }
        read
    }

    /// As it stands in an asking.
    #[must_use]
    pub fn write(&self) -> Option<Arc<str>> {
        let (letter, number) = if self.lot > 0 { ('g', self.lot) } else { ('p', self.payment) };
        match (self.owed, number) {
            (owed, 0) => owed.map(Into::into),
            (None, _) => Some(format!("{letter}{}", number.saturating_add(1)).into()),
            (Some(owed), _) => Some(format!("{owed}.{letter}{}", number.saturating_add(1)).into()),
        }
    }
}

impl StepAt {
    /// What it is for.
    #[must_use]
    pub fn for_part(&self) -> Part<'_> {
        Part::read(self.part.as_deref())
    }

    /// Which payment it is of, from 0, where it moves money; otherwise which reservation or shipment.
    #[must_use]
    pub fn number(&self) -> usize {
        let part = self.for_part();
        if self.step.is_of_payment() { part.payment } else { part.lot }
    }
}

impl Placed {
    /// The id of payment `number`, from 0.
    #[must_use]
    pub fn payment_id(&self, number: usize) -> &str {
        self.payments.get(number).map_or(THE_PAYMENT, |payment| &*payment.payment_id)
    }

    /// Which payment, from 0, has this id.
    #[must_use]
    pub fn payment_number(&self, payment_id: &str) -> Option<usize> {
        if self.payments.is_empty() {
            return (payment_id == THE_PAYMENT).then_some(0);
        }
        self.payments.iter().position(|payment| *payment.payment_id == *payment_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_say_what_they_are_for() {
        for (step, owed, number, part) in [
            (Step::Capture, None, 0, None),
            (Step::Capture, None, 1, Some("p2")),
            (Step::Refund, Some("r1"), 0, Some("r1")),
            (Step::Refund, Some("r1"), 11, Some("r1.p12")),
            (Step::Reserve, None, 0, None),
            (Step::Release, None, 2, Some("g3")),
        ] {
            let written = Part::of(step, owed, number);
            assert_eq!(written.write().as_deref(), part);
            assert_eq!(Part::read(part), written);
        }
    }
}
