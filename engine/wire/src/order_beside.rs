//! What an order's view shows of what shops do beside its own way.

use crate::ids::TimestampMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A hold that stands: no step of the order is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderHold {
    /// Its name in the order.
    pub name: String,
    /// The operator who put it, by the name that they gave; absent: the tenant's systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: TimestampMs,
    /// Until when somebody means to have looked. It does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::time::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<TimestampMs>,
    /// That time is over, and somebody should look.
    #[serde(default, skip_serializing_if = "is_false")]
    pub overdue: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_false(value: &bool) -> bool {
    !value
}
