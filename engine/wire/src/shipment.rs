//! Where the shipments of an order are.

use super::limits::{LINES_MAX, NAME_MAX_CHARS};
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

/// Lines that go by themselves: they are booked as a shipment of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryPart {
    /// Which lines; each line goes with one delivery at most. Lines that none names go together, as `delivery` says.
    #[serde(deserialize_with = "names")]
    #[schemars(length(min = 1, max = LINES_MAX), inner(length(min = 1, max = NAME_MAX_CHARS)))]
    pub line_ids: Vec<String>,
    /// The way of shipping, where that is not the order's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub method: Option<String>,
    /// Refers to the address, where that is not the order's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub address_ref: Option<String>,
    /// When these goods can be set aside at the earliest. At most two years ahead; a time that has passed changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub available_from: Option<TimestampMs>,
}

/// A list of names of bounded length; its items are checked afterwards.
fn names<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct Names;
    impl<'de> serde::de::Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {LINES_MAX} names")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut names = Vec::new();
            while let Some(name) = list.next_element()? {
                if names.len() == LINES_MAX {
                    return Err(serde::de::Error::custom(format_args!("more than {LINES_MAX} names")));
                }
                names.push(name);
            }
            Ok(names)
        }
    }
    from.deserialize_seq(Names)
}

/// Units of one line in a shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShippedLine {
    /// Which line.
    pub line_id: String,
    /// How many units.
    pub quantity: u64,
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
    /// What is in it; left out: all units of the order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<ShippedLine>,
}
