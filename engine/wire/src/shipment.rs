//! Where the shipments of an order are.

use crate::ids::TimestampMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a booked shipment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentState {
    /// Booked: the goods are still with the shop.
    #[default]
    Booked,
    /// The carrier has it.
    HandedOver,
    /// The customer has it.
    Delivered,
    /// It came back undelivered.
    ReturnedToSender,
    /// Nobody knows where it is, and it is given up.
    Lost,
}

impl ShipmentState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Booked, Self::HandedOver, Self::Delivered, Self::ReturnedToSender, Self::Lost];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::HandedOver => "handed_over",
            Self::Delivered => "delivered",
            Self::ReturnedToSender => "returned_to_sender",
            Self::Lost => "lost",
        }
    }
}

/// A shipment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderShipment {
    /// Names it within the order.
    pub shipment_id: String,
    /// Shipping's reference; absent where it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Where it is.
    pub state: ShipmentState,
    /// Since when, as it was reported; absent while it is but booked.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<TimestampMs>,
}
