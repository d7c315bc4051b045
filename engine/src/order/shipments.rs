//! Where an order's shipments are, as it was reported.

use super::planned::plan_mut;
use super::saga::Saga;
use super::state::Order;
use crate::ids::TimestampMs;
use crate::wire::command::{ShipmentState, Step};
use crate::wire::order::OrderShipment;

/// The id of an order's only shipment.
pub(super) const THE_SHIPMENT: &str = "1";
/// The only shipment of an order, among its shipments.
pub(super) const THE_NUMBER: usize = 0;

impl Saga {
    /// Where shipment `number` is, from 0, and since when if that was reported; `None` of one that does not stand.
    #[must_use]
    pub fn shipment(&self, number: usize) -> Option<(ShipmentState, Option<TimestampMs>)> {
        if number != THE_NUMBER || !self.is_done(Step::Book) {
            return None;
        }
        let known = self.plan.as_ref().and_then(|plan| plan.shipments.get(number));
        Some(known.map_or((ShipmentState::Booked, None), |(state, at)| (*state, Some(*at))))
    }

    /// Shipment `number` is somewhere else.
    pub(super) fn shipment_moved(&mut self, number: usize, state: ShipmentState, at: TimestampMs) {
        if number != THE_NUMBER {
            return;
        }
        let shipments = &mut plan_mut(self).shipments;
        match shipments.get_mut(number) {
            Some(known) => *known = (state, at),
            None => shipments.push((state, at)),
        }
    }
}

/// What was booked and stands.
pub(super) fn shipments(order: &Order) -> Vec<OrderShipment> {
    let Some((state, since)) = order.saga.shipment(THE_NUMBER) else { return Vec::new() };
    let reference = order.saga.reference(Step::Book).map(|text| text.to_string());
    vec![OrderShipment { shipment_id: THE_SHIPMENT.to_owned(), reference, state, since }]
}
