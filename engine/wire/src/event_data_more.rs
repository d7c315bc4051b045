//! What public events say of what shops do beside an order's own way.

use crate::ids::TimestampMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The order's steps wait from now on, until the hold is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Its name in the order.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Until when somebody means to have looked. It does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<TimestampMs>,
}

/// A hold ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldReleased {
    /// Its name in the order.
    pub name: String,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The holds that still stand: with none the steps go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}
