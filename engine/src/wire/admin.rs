//! What operators get at their own door.

use crate::ids::{OrderId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

super::schema_tag! {
    /// The name and version of the shape of [`ParkedList`].
    ParkedListSchema, "retailflow.parked.v1"
}

super::schema_tag! {
    /// The name and version of the shape of [`ReleaseReport`].
    ReleaseSchema, "retailflow.release.v1"
}

/// An order that takes no commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedEntry {
    /// The tenant.
    pub tenant: TenantId,
    /// The order.
    pub order: OrderId,
    /// Why.
    pub reason: String,
    /// How many commands wait behind it.
    pub queued: u64,
}

/// All parked orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedList {
    /// Name and version of this shape.
    pub schema: ParkedListSchema,
    /// The orders.
    pub orders: Vec<ParkedEntry>,
}

/// What became of the commands that waited behind a parked order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseReport {
    /// Name and version of this shape.
    pub schema: ReleaseSchema,
    /// Commands read from the queue: all of the others together.
    pub commands: u64,
    /// Applied now.
    pub applied: u64,
    /// Rejected now.
    pub rejected: u64,
    /// Decided before.
    pub replayed: u64,
    /// Put among the dead letters, because the order could record nothing of them.
    pub dead_lettered: u64,
}
