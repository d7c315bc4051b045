//! The money of one order that is more than one sum: several payments, and amounts that are owed.
//!
//! Most orders have neither, and keep nothing here.

use std::collections::{BTreeMap, BTreeSet};

use super::violation::InvariantId;
use retailflow_books::BookEntry;
use retailflow_engine::codec::v1::{FactKindV1, FactV1, PaymentV1, StepV1};
use retailflow_engine::wire::command::Step;

/// One payment, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Payment {
    planned: i64,
    authorized: i64,
    captured: i64,
    refunded: i64,
    /// Taken back by the customer's bank.
    charged_back: i64,
    /// The hash of its id.
    id: u64,
    /// The most that was ever planned of it.
    peak: i64,
    /// It was declined, and another means may take its place.
    declined: bool,
    /// The hash of what its provider called its capture; `None`: nothing is captured, or it was not said.
    capture: Option<u64>,
}

/// What one payment took and gave back, as one side has it, under the hash of its capture's reference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PaymentSide {
    pub(super) capture: u64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
}

/// A name for a reference, to be compared.
fn named(reference: &str) -> u64 {
    let hash = retailflow_engine::keys::sha256(reference.as_bytes());
    hash.first_chunk().map_or(0, |start| u64::from_le_bytes(*start))
}

fn planned(payment: &PaymentV1) -> Payment {
    Payment { planned: payment.amount_minor, id: named(&payment.payment_id), ..Payment::default() }
}

/// An amount that is to be paid back: a return's, or a refund's without goods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Owed {
    asked: i64,
    paid: i64,
}

/// Payments and owed amounts.
#[derive(Debug, Default)]
pub(super) struct Money {
    /// Empty: there is one, and its sums are the order's.
    payments: Vec<Payment>,
    owed: BTreeMap<String, Owed>,
    /// Taken back by banks, of an order with one payment.
    charged_back: i64,
    /// Facts by kind and the hash of their reference.
    facts: BTreeSet<(u8, u64)>,
    /// The only payment was declined, and another means may take its place.
    first_declined: bool,
    /// The most units and money that the order was ever of, once it was amended.
    peak: Option<(u32, i64)>,
    /// What of the order's price no payment is planned for, in minor units: above zero what goods that came back pay for, below
    /// zero what was paid back for canceled units.
    settled: i64,
}

impl Money {
    /// The payments of an order, where there are several.
    pub(super) fn of(payments: &[PaymentV1]) -> Option<Box<Self>> {
        (payments.len() > 1)
            .then(|| Box::new(Self { payments: payments.iter().map(planned).collect(), ..Self::default() }))
    }

    /// Owed, and not paid back.
    pub(super) fn promised(&self) -> i64 {
        self.owed.values().fold(0, |sum: i64, owed| sum.saturating_add(owed.asked.saturating_sub(owed.paid)))
    }

    /// What may be promised. Once a bank has taken money back, what is promised may be covered by that.
    pub(super) fn left(&self, captured: i64, refunded: i64) -> i64 {
        let is_any_back =
            self.charged_back > 0 || self.payments.iter().any(|payment| payment.charged_back > 0);
        let promised = if is_any_back { 0 } else { self.promised() };
        self.kept(captured, refunded).saturating_sub(promised)
    }

    /// Captured, and neither paid back nor taken back by a bank.
    pub(super) fn kept(&self, captured: i64, refunded: i64) -> i64 {
        match self.payments.len() {
            0 => captured.saturating_sub(refunded).saturating_sub(self.charged_back).max(0),
            count => {
                (0..count).fold(0, |sum: i64, at| sum.saturating_add(self.kept_of(at, captured, refunded)))
            }
        }
    }

    /// The same of payment `number`; the sums of the order are those of its only one.
    pub(super) fn kept_of(&self, number: usize, captured: i64, refunded: i64) -> i64 {
        let (captured, refunded, back) = match self.payments.get(number) {
            Some(payment) => (payment.captured, payment.refunded, payment.charged_back),
            None => (captured, refunded, self.charged_back),
        };
        captured.saturating_sub(refunded).saturating_sub(back).max(0)
    }

    /// Something happened outside.
    pub(super) fn fact(&mut self, fact: &FactV1, captured: i64, wrong: &mut impl FnMut(InvariantId, String)) {
        if !self.facts.insert((fact.kind as u8, named(&fact.reference))) {
            wrong(InvariantId::Money, format!("{:?} {} is recorded twice", fact.kind, fact.reference));
        }
        if fact.kind != FactKindV1::Chargeback {
            return;
        }
        let id = fact.payment_id.as_deref().map(named);
        let at = self.payments.iter().position(|payment| Some(payment.id) == id).unwrap_or(0);
        let (captured_of_it, back) = match self.payments.get_mut(at) {
            Some(payment) => (payment.captured, &mut payment.charged_back),
            None => (captured, &mut self.charged_back),
        };
        *back = back.saturating_add(fact.amount_minor);
        if *back > captured_of_it || fact.amount_minor < 1 {
            wrong(InvariantId::Money, format!("{} of {captured_of_it} is charged back", *back));
        }
    }

    /// So much is owed from now on; `left` was there to be promised.
    pub(super) fn owe(
        &mut self,
        id: &str,
        asked: i64,
        left: i64,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        if asked < 0 || asked > left {
            wrong(InvariantId::Money, format!("{id} is owed {asked}, and {left} was left"));
        }
        if self.owed.insert(id.to_owned(), Owed { asked, paid: 0 }).is_some() {
            wrong(InvariantId::Money, format!("{id} is owed a second time"));
        }
    }

    /// A refund of `minor` for `id` is done.
    pub(super) fn paid(&mut self, id: &str, minor: i64, wrong: &mut impl FnMut(InvariantId, String)) {
        let owed = self.owed.entry(id.to_owned()).or_default();
        owed.paid = owed.paid.saturating_add(minor);
        if owed.paid > owed.asked {
            wrong(InvariantId::Money, format!("{id} is owed {}, and {} is paid back", owed.asked, owed.paid));
        }
    }

    /// Further payments take the place of what is not authorized of `total`. Where there was one payment, `first` is how it
    /// stands: authorized, captured, refunded.
    pub(super) fn add(
        &mut self,
        payments: &[PaymentV1],
        (authorized, captured, refunded): (i64, i64, i64),
        total: i64,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        if self.payments.is_empty() {
            let charged_back = std::mem::take(&mut self.charged_back);
            let first = Payment {
                planned: total,
                authorized,
                captured,
                refunded,
                charged_back,
                ..Payment::default()
            };
            self.payments.push(Payment { declined: true, ..first });
        }
        for payment in self.payments.iter_mut().filter(|payment| payment.declined) {
            payment.planned = payment.authorized.saturating_add(payment.captured).min(payment.planned);
        }
        self.payments.extend(payments.iter().map(planned));
        let planned = self.payments.iter().fold(0, |sum: i64, payment| sum.saturating_add(payment.planned));
        if planned != total.saturating_sub(self.settled) {
            wrong(InvariantId::Money, format!("payments of {planned} for an order of {total}"));
        }
    }

    /// The most units and money that the order was ever of; `None` while it is as it was placed.
    pub(super) const fn peak(&self) -> Option<(u32, i64)> {
        self.peak
    }

    pub(super) fn rises_to(&mut self, peak: (u32, i64)) {
        self.peak = Some(peak);
    }

    /// So much is paid by each payment from now on, of which the last `added` are new; none are named where that stays. The
    /// order cost `was` and costs `is`. Where there was one payment, `first` is how it stands: authorized, captured, refunded.
    pub(super) fn amend(
        &mut self,
        planned: &[i64],
        added: usize,
        (authorized, captured, refunded): (i64, i64, i64),
        (was, is): (i64, i64),
        settled: i64,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        self.settled = self.settled.saturating_add(settled);
        if planned.is_empty() {
            if was != is.saturating_sub(settled) {
                wrong(InvariantId::Money, format!("amended from {was} to {is}, and nobody pays for it"));
            }
            return;
        }
        let sum = planned.iter().fold(0, |sum: i64, minor| sum.saturating_add(*minor));
        let known = self.payments.len().max(1);
        let is = is.saturating_sub(self.settled);
        if sum != is || planned.iter().any(|minor| *minor < 0) || planned.len() != known.saturating_add(added)
        {
            wrong(InvariantId::Money, format!("payments of {planned:?} for an order of {is}"));
        }
        if self.payments.is_empty() && planned.len() == 1 {
            return;
        }
        if self.payments.is_empty() {
            // The only one was of the whole order, whatever that was before.
            let peak = self.peak.map_or(was, |(_, minor)| minor);
            let first = Payment { planned: was, peak, authorized, captured, refunded, ..Payment::default() };
            self.payments.push(Payment { declined: self.first_declined, ..first });
        }
        for (number, minor) in planned.iter().enumerate() {
            match self.payments.get_mut(number) {
                Some(payment) => {
                    payment.peak = payment.peak.max(payment.planned);
                    payment.planned = *minor;
                }
                None => self.payments.push(Payment { planned: *minor, ..Payment::default() }),
            }
        }
    }

    /// What of the order's price no payment is planned for, in minor units.
    pub(super) const fn settled(&self) -> i64 {
        self.settled
    }

    /// Payment `number` is of so much from now on, and a further one of the rest of it. Where there was one payment, `first` is
    /// how it stands: authorized, captured, refunded.
    pub(super) fn split(
        &mut self,
        number: usize,
        (planned, rest): (i64, i64),
        (authorized, captured, refunded): (i64, i64, i64),
        total: i64,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        if self.payments.is_empty() {
            let charged_back = std::mem::take(&mut self.charged_back);
            let planned = total.saturating_sub(self.settled);
            let first =
                Payment { planned, authorized, captured, refunded, charged_back, ..Payment::default() };
            self.payments.push(first);
        }
        match self.payments.get_mut(number) {
            Some(payment)
                if planned >= payment.captured && planned.saturating_add(rest) == payment.planned =>
            {
                payment.peak = payment.peak.max(payment.planned);
                payment.planned = planned;
            }
            _ => wrong(InvariantId::Money, format!("payment {number} is split into {planned} and {rest}")),
        }
        self.payments.push(Payment { planned: rest, ..Payment::default() });
    }

    /// What is authorized of payment `number` and was not captured with it is over; how much that was. `None`: there is but
    /// one. To be asked before [`Self::done`].
    pub(super) fn rest(&mut self, number: usize, captured: i64) -> Option<i64> {
        let payment = self.payments.get_mut(number)?;
        let rest = payment.authorized.saturating_sub(captured);
        payment.authorized = payment.authorized.saturating_sub(rest);
        Some(rest)
    }

    /// Payment `number` was declined.
    pub(super) fn declined(&mut self, number: usize) {
        match self.payments.get_mut(number) {
            Some(payment) => payment.declined = true,
            None => self.first_declined |= number == 0,
        }
    }

    /// Payment `number` is captured, and its provider calls that so.
    pub(super) fn called(&mut self, number: usize, reference: &str) {
        if let Some(payment) = self.payments.get_mut(number) {
            payment.capture = Some(named(reference));
        }
    }

    /// What each payment took and gave back, of those whose captures have a name.
    pub(super) fn sides(&self) -> Vec<PaymentSide> {
        let side = |payment: &Payment| {
            let (captured, refunded) = (payment.captured, payment.refunded);
            payment.capture.map(|capture| PaymentSide { capture, captured, refunded })
        };
        self.payments.iter().filter_map(side).collect()
    }

    /// What is authorized of payment `number` is over; how much that was. `None`: there is but one.
    pub(super) fn over(&mut self, number: usize) -> Option<i64> {
        let payment = self.payments.get_mut(number)?;
        Some(std::mem::take(&mut payment.authorized))
    }

    /// What is authorized of payment `number`; `None`: there is but one.
    pub(super) fn authorized(&self, number: usize) -> Option<i64> {
        self.payments.get(number).map(|payment| payment.authorized)
    }

    /// A step of payment `number` is done, for `minor`.
    pub(super) fn done(
        &mut self,
        step: StepV1,
        number: usize,
        minor: i64,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        if self.payments.is_empty() {
            if number > 0 {
                wrong(InvariantId::Money, format!("{step:?} of payment {number} of one"));
            }
            return;
        }
        let Some(payment) = self.payments.get_mut(number) else {
            wrong(InvariantId::Money, format!("{step:?} of payment {number}, which is not there"));
            return;
        };
        match step {
            StepV1::Authorize => payment.authorized = payment.authorized.saturating_add(minor),
            StepV1::Void => payment.authorized = payment.authorized.saturating_sub(minor),
            StepV1::Capture => {
                payment.authorized = payment.authorized.saturating_sub(minor);
                payment.captured = payment.captured.saturating_add(minor);
            }
            StepV1::Refund => payment.refunded = payment.refunded.saturating_add(minor),
            _ => {}
        }
        let sound = (0..=payment.planned).contains(&payment.captured)
            && (0..=payment.captured).contains(&payment.refunded)
            && (0..=payment.planned.max(payment.peak)).contains(&payment.authorized);
        if !sound {
            wrong(InvariantId::Money, format!("payment {number}: {payment:?}"));
        }
    }
}

/// A payment on both sides: their book begins empty.
pub(super) fn sides_of(ours: PaymentSide) -> [PaymentSide; 2] {
    [ours, PaymentSide { capture: ours.capture, ..PaymentSide::default() }]
}

/// What their book says of one of several payments: a refund names the capture that it pays back.
pub(super) fn take_payment(payments: &mut [[PaymentSide; 2]], entry: &BookEntry) {
    if payments.is_empty() {
        return;
    }
    let capture = match (entry.step, &entry.target) {
        (Step::Capture, _) => named(&entry.reference()),
        (Step::Refund, Some(target)) => named(target),
        _ => return,
    };
    let Some([_, theirs]) = payments.iter_mut().find(|[ours, _]| ours.capture == capture) else { return };
    let sum = if entry.step == Step::Capture { &mut theirs.captured } else { &mut theirs.refunded };
    *sum = sum.saturating_add(entry.amount_minor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use retailflow_books::BookKind;
    use retailflow_engine::ids::{OrderId, OrderRef, TenantId, TimestampMs};

    fn entry(step: Step, key: &str, target: Option<&str>, amount_minor: i64) -> BookEntry {
        BookEntry {
            kind: BookKind::Done,
            step,
            key: key.into(),
            order: OrderRef { tenant: TenantId::parse("t").unwrap(), order: OrderId::parse("o").unwrap() },
            target: target.map(Into::into),
            amount_minor,
            currency: None,
            units: 0,
            lines: Vec::new(),
            why: None,
            expires: TimestampMs(9),
            until: None,
            at: TimestampMs(7),
        }
    }

    /// The order's sums agree, and its payments do not.
    #[test]
    fn what_went_back_to_another_payment_shows() {
        let mut found = Vec::new();
        let mut wrong = |id, text: String| found.push((id, text));
        let payment = |id: &str, amount_minor| PaymentV1 {
            payment_id: id.into(),
            token_ref: Some("t".into()),
            amount_minor,
        };
        let mut money = Money::of(&[payment("p1", 200), payment("p2", 300)]).unwrap();
        for (number, key, minor) in [(0, "k1", 200), (1, "k2", 300)] {
            money.done(StepV1::Authorize, number, minor, &mut wrong);
            money.done(StepV1::Capture, number, minor, &mut wrong);
            money.called(number, &entry(Step::Capture, key, None, minor).reference());
        }
        money.done(StepV1::Refund, 1, 150, &mut wrong);
        assert_eq!(found, []);
        let captures = [entry(Step::Capture, "k1", None, 200), entry(Step::Capture, "k2", None, 300)];
        for (target, agrees) in [("k2", true), ("k1", false)] {
            let target = entry(Step::Capture, target, None, 0).reference();
            let mut both: Vec<_> = money.sides().into_iter().map(sides_of).collect();
            captures.iter().for_each(|entry| take_payment(&mut both, entry));
            take_payment(&mut both, &entry(Step::Refund, "k3", Some(&target), 150));
            assert_eq!(both.iter().all(|[ours, theirs]| ours == theirs), agrees, "{both:?}");
        }
    }
}
