//! How events change the state. Total: any event on any state gives a state.

use super::decide::Policy;
use super::{Event, Order, OrderStatus};
use crate::ids::TimestampMs;

/// The state after `event`.
pub fn evolve(order: &mut Order, event: &Event) {
    match event {
        Event::Placed(placed) => {
            order.status = OrderStatus::Open;
            order.placed = Some(placed.clone());
        }
    }
}

/// When someone must look at an order that stands like this. No open order waits silently.
pub(super) fn deadline(order: &Order, now: TimestampMs, policy: &Policy) -> Option<TimestampMs> {
    match order.status {
        OrderStatus::Absent => None,
        OrderStatus::Open => Some(now.plus_ms(policy.step_deadline_ms)),
    }
}
