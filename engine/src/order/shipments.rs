//! Where an order's shipments are, as it was reported.

use super::goods::Lot;
use super::planned::plan_mut;
use super::saga::Saga;
use super::state::Order;
use crate::ids::TimestampMs;
use crate::ports::LineUnits;
use crate::wire::command::{ShipmentState, Step};
use crate::wire::order::{OrderShipment, ShippedLine};

/// The id of shipment `number`, from 0: shipments are counted from 1.
pub(super) fn shipment_id(number: usize) -> String {
    number.saturating_add(1).to_string()
}

impl Saga {
    /// How many shipments were ever booked.
    fn shipments_booked(&self) -> usize {
        self.goods.as_ref().map_or(1, |goods| goods.shipments.len())
    }

    /// Where shipment `number` is, from 0, and since when if that was reported; `None` of one that does not stand.
    #[must_use]
    pub fn shipment(&self, number: usize) -> Option<(ShipmentState, Option<TimestampMs>)> {
        let stands = match &self.goods {
            Some(goods) => goods.shipments.get(number).is_some_and(|lot| !lot.units.is_empty()),
            None => number == 0 && self.is_done(Step::Book),
        };
        let known = self.plan.as_ref().and_then(|plan| plan.shipments.get(number));
        let known = known.filter(|(state, _)| *state != ShipmentState::Booked);
        stands.then(|| known.map_or((ShipmentState::Booked, None), |(state, at)| (*state, Some(*at))))
    }

    /// What is in shipment `number`, from 0; `None`: all units of the order.
    #[must_use]
    pub fn shipped(&self, number: usize) -> Option<&[LineUnits]> {
        self.goods.as_ref()?.shipments.get(number).map(|lot: &Lot| &*lot.units)
    }

    /// Shipment `number` is somewhere else.
    pub(super) fn shipment_moved(&mut self, number: usize, state: ShipmentState, at: TimestampMs) {
        if number >= self.shipments_booked() {
            return;
        }
        let shipments = &mut plan_mut(self).shipments;
        while shipments.len() <= number {
            shipments.push((ShipmentState::Booked, at));
        }
        if let Some(known) = shipments.get_mut(number) {
            *known = (state, at);
        }
    }
}

/// What was booked and stands.
pub(super) fn shipments(order: &Order) -> Vec<OrderShipment> {
    let saga = &order.saga;
    let shipment = |number: usize| {
        let (state, since) = saga.shipment(number)?;
        let reference = saga.reference_of(Step::Book, number).map(|text| text.to_string());
        let line =
            |part: &LineUnits| ShippedLine { line_id: part.line_id.to_string(), quantity: part.quantity };
        let lines = saga.shipped(number).unwrap_or_default().iter().map(line).collect();
        Some(OrderShipment { shipment_id: shipment_id(number), reference, state, since, lines })
    };
    (0..saga.shipments_booked()).filter_map(shipment).collect()
}
