//! Orders whose goods go in parts: what is waited for, and what is due with what has gone.

use super::payments::{PaymentState, THE_PAYMENT};
use super::placed::{Payment, Placed};
use super::state::Order;
use crate::ids::TimestampMs;
use crate::wire::command::Step;
use crate::wire::flow_rules::CaptureAt;
use crate::wire::limits::PAYMENTS_OF_ORDER_MAX;

impl Order {
    /// Until when stock is not asked for yet, for all of the goods or for what is left of them, if that is so.
    #[must_use]
    pub fn awaits_goods(&self, now: TimestampMs) -> Option<TimestampMs> {
        match (&self.saga.goods, &self.placed) {
            (Some(goods), Some(placed)) => goods.awaited(placed, self.saga.plan.as_deref(), now),
            _ => {
                let begun = self.saga.cell(Step::Reserve).instance > 0;
                self.saga.available_from().filter(|from| *from > now && !begun)
            }
        }
    }

    /// What is to be captured for what is booked, in minor units, where some of the goods are to come yet and payments are
    /// captured with each shipment; `None` where all is captured at once.
    #[must_use]
    pub fn due_minor(&self) -> Option<i64> {
        let (goods, placed) = (self.saga.goods.as_ref()?, self.placed.as_ref()?);
        // What is exchanged is paid at its end: what went before is paid.
        let in_parts = !self.saga.reopened
            && self.saga.flow().capture == CaptureAt::AtShipment
            && goods.stands(Step::Book)
            && !goods.lacking(Step::Book, placed).is_empty();
        if !in_parts {
            return None;
        }
        let planned_minor = self.saga.payments.iter().map(|payment| payment.planned_minor);
        let planned_minor = planned_minor.fold(0, i64::saturating_add);
        let shipped: Vec<_> = goods.shipments.iter().flat_map(|shipment| shipment.units.clone()).collect();
        let worth_minor = placed.worth_minor(&shipped).clamp(0, planned_minor.max(0));
        Some(worth_minor.saturating_sub(self.saga.totals.captured_minor).max(0))
    }

    /// How payment `number` is split before it is captured for what has gone: what is captured, and by what the rest is paid.
    /// `None` where it is captured whole.
    #[must_use]
    pub fn split_for_shipment(&self, number: usize) -> Option<(i64, Payment)> {
        let (due_minor, placed) = (self.due_minor()?, self.placed.as_ref()?);
        let open_minor = self.saga.payments.get(number).map_or(0, PaymentState::open_minor);
        let rest_minor = open_minor.saturating_sub(due_minor);
        if rest_minor <= 0 {
            return None;
        }
        let captured_minor = self.saga.payments.get(number).map_or(0, |payment| payment.captured_minor);
        let means = placed.payments.get(number).map_or("", |payment| &*payment.token_ref);
        let rest = further_payment(placed, self.saga.payments.count(), means, rest_minor);
        Some((captured_minor.saturating_add(due_minor), rest))
    }

    /// May an order that has had so many payments have another one?
    #[must_use]
    pub fn takes_another_payment(&self) -> bool {
        self.saga.payments.count() < PAYMENTS_OF_ORDER_MAX
    }
}

/// A payment of the same means as another one of the order, with an id that it has not had.
pub(super) fn further_payment(placed: &Placed, count: usize, means: &str, amount_minor: i64) -> Payment {
    let mut ids = (count.saturating_add(1)..).map(|number| format!("{THE_PAYMENT}-{number}"));
    let payment_id = ids.find(|id| placed.payment_number(id).is_none()).unwrap_or_default();
    Payment { payment_id: payment_id.into(), token_ref: means.into(), amount_minor }
}
