//! The order turns back.

use std::sync::Arc;

use super::decision::{Denial, plainly, rejected};
use super::hold::seen;
use crate::order::event::Event;
use crate::order::state::Order;
use crate::order::status::OrderStatus;
use crate::wire::Code;
use crate::wire::command::CancelData;
use crate::wire::order::Attention;

/// The tenant wants the order canceled.
pub(super) fn cancel(order: &Order, data: &CancelData) -> Result<Vec<Event>, Denial> {
    match order.status {
        OrderStatus::Open if order.saga.cancel_refused => Err(plainly(Code::CancellationRefused)),
        OrderStatus::Open if order.saga.reopened => {
            let text = "the order was completed before goods were exchanged: cancel the lines that are not booked yet, or return";
            Err(rejected(Code::NotCancelable, text))
        }
        OrderStatus::Open => Ok(turn_back(order, data.reason.as_str().into())),
        OrderStatus::Canceling | OrderStatus::Canceled => Err(plainly(Code::AlreadyCanceled)),
        OrderStatus::Completed | OrderStatus::Absent => Err(plainly(Code::OrderTerminal)),
    }
}

/// The order turns back because somebody asked for it. A step in flight is settled first: `fulfillment::next` sees to
/// that, and nothing is undone before.
pub(super) fn turn_back(order: &Order, reason: Arc<str>) -> Vec<Event> {
    let mut events = vec![
        Event::CancelRequested { reason: reason.clone() },
        Event::StatusChanged { status: OrderStatus::Canceling, reason: Some(reason) },
    ];
    if order.saga.active.is_none() && order.saga.attention.kind() != Attention::None {
        // It was held on its way forward, which it does not go any more.
        let reason = "the order turns back".into();
        events.push(Event::AttentionChanged { attention: Attention::None, reason });
    }
    let mut after = order.saga.clone();
    after.set_overdue(None, None);
    events.extend(seen(&order.saga, &after, "the order turns back"));
    events
}
