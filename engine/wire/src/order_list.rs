//! Lists of orders as their callers see them.

use super::order::OrderHead;
use crate::ids::TimestampMs;
use crate::money::{Amount, Currency};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

super::schema_tag! {
    /// The name and version of the shape of [`OrderList`].
    OrderListSchema, "retailflow.orders.v1"
}

/// An order in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderSummary {
    /// Which order, and where it stands.
    #[serde(flatten)]
    pub head: OrderHead,
    /// What the amount is in.
    pub currency: Currency,
    /// What the whole order costs, in minor units.
    pub total_minor: Amount,
    /// When the order was first recorded.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: TimestampMs,
    /// When it last changed.
    #[serde(with = "super::time::required")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub updated_at: TimestampMs,
}

/// A page of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderList {
    /// Name and version of this shape.
    pub schema: OrderListSchema,
    /// The orders.
    pub orders: Vec<OrderSummary>,
    /// How far the list has read, for `at_least`.
    pub position: String,
    /// Where the next page begins, for `after`; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
