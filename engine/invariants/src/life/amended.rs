//! Orders that are changed, and what of the way forward has to stand before a step.

use super::Life;
use crate::violation::InvariantId;
use retailflow_engine::codec::v1::{AmendedV1, CaptureAtV1, StatusV1, StepOutcomeV1, StepV1};

impl Life {
    /// The most units and money that the order was ever of.
    pub(super) fn peak(&self) -> (u32, i64) {
        let peak = self.money.as_ref().and_then(|money| money.peak());
        let (units, minor) = peak.unwrap_or_default();
        (units.max(self.units), minor.max(self.total_minor))
    }

    /// The order is of other units and of another price from now on: what its event says has to add up.
    pub(super) fn amended(&mut self, amended: &AmendedV1, wrong: &mut impl FnMut(InvariantId, String)) {
        let peak = self.peak();
        let cancels = amended.cancels && self.is_in_parts();
        let exchanges = self.status == Some(StatusV1::Completed) && !amended.cancels;
        if exchanges {
            let shop = self.shop.get_or_insert_default();
            (shop.in_parts, shop.exchanges) = (true, true);
        }
        if !exchanges && (self.status != Some(StatusV1::Open) || (self.effects.booked_units > 0 && !cancels))
        {
            wrong(InvariantId::Transitions, format!("amended in {:?} with {:?}", self.status, self.effects));
        }
        let judged = amended.total_minor.0 != amended.total_minor.1
            || amended.delivery.is_some()
            || !amended.added.is_empty()
            || amended.lines.iter().any(|line| line.quantity.0 != line.quantity.1);
        if let Some(shop) = self.shop.as_mut().filter(|_| judged) {
            shop.reviewed = false;
        }
        let change = |(was, is): (u64, u64)| i128::from(is) - i128::from(was);
        let units = amended.lines.iter().map(|line| change(line.quantity));
        let units = units.chain(amended.added.iter().map(|line| i128::from(line.quantity))).sum::<i128>();
        let lines = amended
            .lines
            .iter()
            .map(|line| i128::from(line.amount_minor.1) - i128::from(line.amount_minor.0));
        let lines = lines.chain(amended.added.iter().map(|line| i128::from(line.amount_minor))).sum::<i128>();
        let (was, is) = amended.total_minor;
        if was != self.total_minor || i128::from(was) + lines != i128::from(is) || is < 0 {
            let text = format!("amended from {was} to {is} by lines of {lines}, it was {}", self.total_minor);
            wrong(InvariantId::Amounts, text);
        }
        for line in amended.lines.iter().filter(|line| !line.components.is_empty()) {
            let parts = line.components.iter().map(|part| i128::from(part.amount_minor)).sum::<i128>();
            if parts != i128::from(line.amount_minor.1) {
                wrong(InvariantId::Amounts, format!("the parts of line {} are {parts}", line.line_id));
            }
        }
        let Ok(units) = u32::try_from(i128::from(self.units) + units) else {
            wrong(InvariantId::Goods, format!("amended by {units} units of {}", self.units));
            return;
        };
        if units == 0 || units < self.effects.booked_units {
            wrong(InvariantId::Goods, format!("amended to {units} units, with {:?}", self.effects));
        }
        (self.units, self.total_minor) = (units, is);
        let effects = self.effects;
        let stands = (effects.authorized_minor, effects.captured_minor, effects.refunded_minor);
        let money = self.money.get_or_insert_default();
        let (planned, added) = (&amended.planned_minor, amended.payments.len());
        money.amend(planned, added, stands, (was, is), amended.settled_minor, wrong);
        money.rises_to((peak.0.max(units), peak.1.max(is)));
    }

    /// Is it open again because goods are exchanged? Asked once.
    pub(super) fn is_exchanged(&mut self) -> bool {
        self.shop.as_mut().is_some_and(|shop| std::mem::take(&mut shop.exchanges))
    }

    /// May its goods go in parts?
    fn is_in_parts(&self) -> bool {
        self.shop.as_ref().is_some_and(|shop| shop.in_parts)
    }

    /// What of its price is settled otherwise than by its payments, in minor units.
    pub(super) fn settled(&self) -> i64 {
        self.money.as_ref().map_or(0, |money| money.settled())
    }

    /// Of how many units a step was done that ended so: of those that were asked for, or of a part of them.
    pub(super) fn done_units(
        &self,
        step: StepV1,
        outcome: &StepOutcomeV1,
        wrong: &mut impl FnMut(InvariantId, String),
    ) -> u32 {
        let StepOutcomeV1::Done { lines, .. } = outcome else { return self.asked_units };
        if lines.is_empty() {
            return self.asked_units;
        }
        let units = lines.iter().fold(0, |sum: u64, line| sum.saturating_add(line.quantity));
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        if !matches!(step, StepV1::Reserve | StepV1::Book) || units == 0 || units >= self.asked_units {
            wrong(InvariantId::Goods, format!("{step:?} of {units} of {} units", self.asked_units));
        }
        units
    }

    /// A payment is captured for what has gone, and the rest of it is paid by a further one.
    pub(super) fn split_payment(
        &mut self,
        number: usize,
        planned: i64,
        rest: i64,
        wrong: &mut impl FnMut(InvariantId, String),
    ) {
        let (effects, peak) = (self.effects, self.peak());
        if effects.booked_units == 0 || effects.booked_units >= self.units || self.active.is_some() {
            wrong(InvariantId::Transitions, format!("a payment is split, with {effects:?}"));
        }
        let stands = (effects.authorized_minor, effects.captured_minor, effects.refunded_minor);
        let total = self.total_minor;
        let money = self.money.get_or_insert_default();
        money.split(number, (planned, rest), stands, total, wrong);
        money.rises_to(peak);
    }

    /// What of the way forward should stand before this step, and does not.
    pub(super) fn lacks(&self, step: StepV1) -> Option<&'static str> {
        let effects = &self.effects;
        let parts = self.is_in_parts();
        let reserved = effects.reserved_units >= self.units || (parts && effects.reserved_units > 0);
        let there = effects.reserved_units.saturating_sub(effects.booked_units);
        let due_minor = self.total_minor.saturating_sub(self.settled());
        let paid = effects.captured_minor >= due_minor;
        // What is paid back is captured still.
        let secured_minor = effects.authorized_minor.saturating_add(effects.captured_minor);
        let secured = secured_minor >= due_minor;
        let flow = self.shop.as_ref().map(|shop| (shop.authorize_first, shop.capture));
        let (authorize_first, capture) = flow.unwrap_or_default();
        let capture_first = capture == CaptureAtV1::BeforeBooking;
        let with_parts = parts && capture == CaptureAtV1::AtShipment && effects.booked_units > 0;
        let is_judged = self.shop.as_ref().is_none_or(|shop| !shop.review || shop.reviewed);
        let is_reviewed = self.shop.as_ref().is_some_and(|shop| shop.review);
        match step {
            StepV1::Book | StepV1::Capture if !is_judged => Some("its flow wants it reviewed first"),
            StepV1::Review if !is_reviewed => Some("its flow wants no review"),
            StepV1::Review if !reserved => Some("its stock is not set aside"),
            StepV1::Review if !secured => Some("its payment is not authorized"),
            StepV1::Reserve if authorize_first && !secured => {
                Some("its flow wants the payment authorized first")
            }
            StepV1::Authorize if !authorize_first && !reserved => {
                Some("its flow wants the stock set aside first")
            }
            StepV1::Book if !reserved => Some("not all is set aside"),
            StepV1::Book if parts && there < self.asked_units => Some("more is booked than is set aside"),
            StepV1::Book if capture_first && !paid => Some("its flow wants it paid first"),
            StepV1::Book if !secured => Some("not all is authorized"),
            StepV1::Capture if !capture_first && !with_parts && effects.booked_units < self.units => {
                Some("not all is booked")
            }
            _ => None,
        }
    }
}
