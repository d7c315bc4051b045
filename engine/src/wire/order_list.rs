//! Lists of orders as their callers see them.

use super::command::Step;
use super::order::{Attention, OrderStatus};
use crate::ids::{OrderId, TenantId, TimestampMs};
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
    /// The tenant.
    pub tenant: TenantId,
    /// The order.
    pub order: OrderId,
    /// How often it has changed.
    pub version: u64,
    /// Where it stands as a whole.
    pub status: OrderStatus,
    /// The step that it is at; absent when none is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Whether someone should look.
    pub attention: Attention,
    /// Why someone should look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_reason: Option<String>,
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
