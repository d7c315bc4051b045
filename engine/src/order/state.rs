//! The state of an order.

use std::sync::Arc;

use super::placed::Placed;
use super::saga::Saga;
use super::status::OrderStatus;
use crate::ids::TimestampMs;

/// The state that decisions are made on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Counts applied commands; rejections leave it as it is.
    pub version: u64,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was placed.
    pub placed: Option<Arc<Placed>>,
    /// How far it has come, and back.
    pub saga: Saga,
    /// How many public events it has had: what the next one's number follows.
    pub told: u64,
    /// When someone must look at it again.
    pub deadline: Option<TimestampMs>,
}
