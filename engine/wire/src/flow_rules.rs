//! In which order the steps of an order are asked for, how often, and when its money is captured.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

/// When a payment is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptureAt {
    /// Before a shipment is booked: nothing leaves that is not paid.
    BeforeBooking,
    /// With each shipment, as soon as it is booked.
    #[default]
    AtShipment,
    /// Once, when all shipments are booked.
    AtEnd,
}

impl CaptureAt {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BeforeBooking, Self::AtShipment, Self::AtEnd];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeBooking => "before_booking",
            Self::AtShipment => "at_shipment",
            Self::AtEnd => "at_end",
        }
    }
}

/// Which step an order begins with; the other one of the two comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BeginsWith {
    /// Stock is set aside, and then its payment is authorized.
    #[default]
    Reserve,
    /// The payment is authorized, and then stock is set aside.
    Authorize,
}

impl BeginsWith {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Reserve, Self::Authorize];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Authorize => "authorize",
        }
    }
}

/// What becomes of an order of which the inventory has only a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShortLines {
    /// Nothing of a delivery is booked until all of it is set aside.
    #[default]
    Wait,
    /// What is there is booked; the rest follows in a shipment of its own.
    ShipRest,
    /// What is there is booked; the rest is canceled, at its price.
    CancelRest,
}

impl ShortLines {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wait, Self::ShipRest, Self::CancelRest];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::ShipRest => "ship_rest",
            Self::CancelRest => "cancel_rest",
        }
    }
}

/// Attempts that a tenant may ask for at most: as many askings as an order remembers, and some to spare.
pub const ATTEMPTS_MAX: u32 = 12;
/// Renewals that a tenant may ask for at most.
pub const RENEWALS_MAX: u32 = 20;

/// The flow of a tenant's orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowRules {
    /// Which flow of the tenant's this is: 1 until one is set, and one more with each change.
    #[serde(default = "first_version")]
    #[schemars(range(min = 1))]
    pub version: u32,
    /// When a payment is captured.
    #[serde(default)]
    pub capture: CaptureAt,
    /// Which step an order begins with.
    #[serde(default)]
    pub begins_with: BeginsWith,
    /// How often a step forward is asked for under new keys before the order turns back; null for what is configured.
    #[serde(default)]
    #[schemars(range(min = 1, max = ATTEMPTS_MAX))]
    pub attempts_max: Option<u32>,
    /// How often an authorization that is over is asked for anew before people are asked; null for what is configured.
    #[serde(default)]
    #[schemars(range(min = 0, max = RENEWALS_MAX))]
    pub renewals_max: Option<u32>,
    /// What becomes of an order of which the inventory has only a part.
    #[serde(default)]
    pub short_lines: ShortLines,
    /// Is each order looked at by the reviewer, after it is authorized and before anything is captured or booked?
    #[serde(default)]
    pub review: bool,
}

const fn first_version() -> u32 {
    FlowRules::DEFAULT.version
}

impl FlowRules {
    /// What holds where nothing is said: stock first, and money with the shipment.
    pub const DEFAULT: Self = Self {
        version: 1,
        capture: CaptureAt::AtShipment,
        begins_with: BeginsWith::Reserve,
        attempts_max: None,
        renewals_max: None,
        short_lines: ShortLines::Wait,
        review: false,
    };
}

impl Default for FlowRules {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What is to be changed of a tenant's flow; what is not named stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowRulesChange {
    /// When a payment is captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureAt>,
    /// Which step an order begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_with: Option<BeginsWith>,
    /// How often a step forward is asked for under new keys before the order turns back; null for what is configured.
    #[serde(default, deserialize_with = "attempts", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(min = 1, max = ATTEMPTS_MAX))]
    pub attempts_max: Option<Option<u32>>,
    /// How often an authorization that is over is asked for anew before people are asked; null for what is configured.
    #[serde(default, deserialize_with = "renewals", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(min = 0, max = RENEWALS_MAX))]
    pub renewals_max: Option<Option<u32>>,
    /// What becomes of an order of which the inventory has only a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_lines: Option<ShortLines>,
    /// Is each order looked at by the reviewer, after it is authorized and before anything is captured or booked?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<bool>,
}

impl FlowRulesChange {
    /// The rules after the change: their version rises when anything of them is another.
    #[must_use]
    pub fn applied_to(self, rules: FlowRules) -> FlowRules {
        let changed = FlowRules {
            version: rules.version,
            capture: self.capture.unwrap_or(rules.capture),
            begins_with: self.begins_with.unwrap_or(rules.begins_with),
            attempts_max: self.attempts_max.unwrap_or(rules.attempts_max),
            renewals_max: self.renewals_max.unwrap_or(rules.renewals_max),
            short_lines: self.short_lines.unwrap_or(rules.short_lines),
            review: self.review.unwrap_or(rules.review),
        };
        let version = rules.version.saturating_add(u32::from(changed != rules));
        FlowRules { version, ..changed }
    }
}

fn attempts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    within(from, 1, ATTEMPTS_MAX)
}

fn renewals<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    within(from, 0, RENEWALS_MAX)
}

/// What is given, null too: something else than what is left out.
fn within<'de, D: Deserializer<'de>>(from: D, min: u32, max: u32) -> Result<Option<Option<u32>>, D::Error> {
    let given = Option::<u32>::deserialize(from)?;
    match given {
        Some(number) if !(min..=max).contains(&number) => {
            Err(de::Error::custom(format_args!("{number} is not within {min} to {max}")))
        }
        given => Ok(Some(given)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> Result<FlowRulesChange, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_version_rises_with_what_is_changed() {
        let first = change(r#"{"capture":"before_booking","attempts_max":3}"#).unwrap();
        let second = first.applied_to(FlowRules::DEFAULT);
        assert_eq!((second.version, second.capture), (2, CaptureAt::BeforeBooking));
        assert_eq!(first.applied_to(second), second, "nothing is another");
        let back = change(r#"{"capture":"at_shipment","attempts_max":null}"#).unwrap().applied_to(second);
        assert_eq!(back, FlowRules { version: 3, ..FlowRules::DEFAULT });
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for json in [r#"{"attempts_max":0}"#, r#"{"attempts_max":13}"#, r#"{"renewals_max":21}"#] {
            assert!(change(json).is_err(), "{json}");
        }
        assert_eq!(change(r#"{"renewals_max":0}"#).unwrap().renewals_max, Some(Some(0)));
    }
}
