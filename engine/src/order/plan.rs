//! What an order's way was planned to be, where that is another than most orders have.

use crate::ids::TimestampMs;
use crate::wire::command::ShipmentState;
use crate::wire::flow_rules::FlowRules;

/// The plan of one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The tenant's flow when the order was placed.
    pub flow: FlowRules,
    /// When its goods can be set aside at the earliest, where that was to come when it was placed.
    pub available_from: Option<TimestampMs>,
    /// The same of deliveries by themselves, by their numbers.
    pub deliveries_from: Vec<(u16, TimestampMs)>,
    /// Where each shipment is, and since when, where more is known than that it is booked.
    pub shipments: Vec<(ShipmentState, TimestampMs)>,
}

impl Plan {
    /// When the goods of delivery `number` can be set aside at the earliest, where that was to come when it was placed.
    #[must_use]
    pub fn delivery_from(&self, number: u16) -> Option<TimestampMs> {
        let own = self.deliveries_from.iter().filter(|(delivery, _)| *delivery == number);
        own.map(|(_, from)| *from).chain(self.available_from).max()
    }
}
