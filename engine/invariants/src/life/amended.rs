//! Orders that are changed, and what of the way forward has to stand before a step.

use super::Life;
use crate::violation::InvariantId;
use retailflow_engine::codec::v1::{AmendedV1, StatusV1, StepV1};

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
        if self.status != Some(StatusV1::Open) || self.effects.booked_units > 0 {
            wrong(InvariantId::Transitions, format!("amended in {:?} with {:?}", self.status, self.effects));
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
        if units == 0 {
            wrong(InvariantId::Goods, "amended to no units at all".into());
        }
        (self.units, self.total_minor) = (units, is);
        let effects = self.effects;
        let stands = (effects.authorized_minor, effects.captured_minor, effects.refunded_minor);
        let money = self.money.get_or_insert_default();
        money.amend(&amended.planned_minor, amended.payments.len(), stands, (was, is), wrong);
        money.rises_to((peak.0.max(units), peak.1.max(is)));
    }

    /// What of the way forward should stand before this step, and does not.
    pub(super) fn lacks(&self, step: StepV1) -> Option<&'static str> {
        let effects = &self.effects;
        let reserved = effects.reserved_units >= self.units;
        let paid = effects.captured_minor >= self.total_minor;
        // What is paid back is captured still.
        let secured_minor = effects.authorized_minor.saturating_add(effects.captured_minor);
        let secured = secured_minor >= self.total_minor;
        let (authorize_first, capture_first) = self.shop.as_ref().map(|shop| shop.flow).unwrap_or_default();
        match step {
            StepV1::Reserve if authorize_first && !secured => {
                Some("its flow wants the payment authorized first")
            }
            StepV1::Authorize if !authorize_first && !reserved => {
                Some("its flow wants the stock set aside first")
            }
            StepV1::Book if !reserved => Some("not all is set aside"),
            StepV1::Book if capture_first && !paid => Some("its flow wants it paid first"),
            StepV1::Book if !secured => Some("not all is authorized"),
            StepV1::Capture if !capture_first && effects.booked_units < self.units => {
                Some("not all is booked")
            }
            _ => None,
        }
    }
}
