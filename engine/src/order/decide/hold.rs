//! Holds: put, and released.

use std::sync::Arc;

use super::super::beside::Hold;
use super::super::command::Actor;
use super::super::event::Event;
use super::super::holds::HOLDS_MAX;
use super::super::policy::Context;
use super::super::saga::Saga;
use super::super::{Order, OrderStatus};
use super::decision::{Denial, cut, plainly, refused, rejected_at};
use crate::ids::TimestampMs;
use crate::wire::Code;
use crate::wire::command::{HoldData, ReleaseHoldData};
use crate::wire::limits::REASON_MAX_CHARS;
use crate::wire::order::Attention;
use crate::wire::time::format_time;

/// The order's steps wait from now on; one in flight is finished.
pub(super) fn hold(
    order: &Order,
    data: &HoldData,
    actor: &Actor,
    context: &Context,
) -> Result<Vec<Event>, Denial> {
    match order.status {
        OrderStatus::Open => {}
        // The way back does not wait: the customer's money and stock go back.
        OrderStatus::Canceling | OrderStatus::Canceled => return Err(plainly(Code::AlreadyCanceled)),
        OrderStatus::Completed | OrderStatus::Absent => return Err(plainly(Code::OrderTerminal)),
    }
    let holds = order.saga.holds();
    if let Some(known) = holds.iter().find(|hold| *hold.name == *data.name) {
        let text = format!(
            "the order is on hold as {:?} since {}: {}",
            data.name,
            format_time(known.since),
            known.reason
        );
        return Err(rejected_at("name", Code::HoldExists, text));
    }
    if holds.len() >= HOLDS_MAX {
        let text = format!("the order has {HOLDS_MAX} holds, and takes no more of them at once");
        return Err(refused(Code::TooMany, text));
    }
    let hold = Hold {
        name: data.name.as_str().into(),
        operator: match actor {
            Actor::Tenant => None,
            Actor::Operator(name) => Some(name.clone()),
        },
        reason: data.reason.as_str().into(),
        since: context.now,
        until: data.until,
        overdue: None,
    };
    // A command that was long on its way holds the order all the same, and somebody is told.
    let overdue = is_over(&hold, context.now).then(|| overdue(&hold));
    let mut events = vec![Event::HoldPlaced(hold)];
    events.extend(overdue);
    Ok(events)
}

/// A hold ends: with the last one the steps go on.
pub(super) fn release(order: &Order, data: &ReleaseHoldData) -> Result<Vec<Event>, Denial> {
    let holds = order.saga.holds();
    let Some(hold) = holds.iter().find(|hold| *hold.name == *data.name) else {
        let names: Vec<&str> = holds.iter().map(|hold| &*hold.name).collect();
        let text = if names.is_empty() {
            "the order is not on hold".to_owned()
        } else {
            format!("the order has no hold {:?}; it has {}", data.name, names.join(", "))
        };
        return Err(rejected_at("name", Code::UnknownHold, text));
    };
    let reason = data.reason.as_deref().map(Into::into);
    let mut events = vec![Event::HoldReleased { name: hold.name.clone(), reason }];
    let mut after = order.saga.clone();
    after.release_hold(&data.name);
    events.extend(seen(&order.saga, &after, &format!("the hold {} is released", data.name)));
    Ok(events)
}

/// What takes back that people are asked to look at a hold, where nothing else asks for them.
pub(super) fn seen(before: &Saga, after: &Saga, why: &str) -> Option<Event> {
    let was_asked = before.attention.kind() == Attention::None && before.contradiction.is_none();
    let over = was_asked && before.overdue_hold().is_some() && after.overdue_hold().is_none();
    let reason = cut(&why.into(), REASON_MAX_CHARS);
    over.then_some(Event::AttentionChanged { attention: Attention::None, reason })
}

fn is_over(hold: &Hold, now: TimestampMs) -> bool {
    hold.overdue.is_none() && hold.until.is_some_and(|until| until <= now)
}

fn overdue(hold: &Hold) -> Event {
    let until = hold.until.map(format_time).unwrap_or_default();
    let reason = format!("the hold {} was meant to end by {until}: {}", hold.name, hold.reason);
    Event::HoldOverdue { name: hold.name.clone(), reason: cut(&Arc::from(reason), REASON_MAX_CHARS) }
}

/// The time of holds is over: people are told, once for each, and nothing else changes.
pub(super) fn overdue_now(order: &Order, now: TimestampMs) -> Vec<Event> {
    if !order.saga.is_on_hold(order.status) {
        return Vec::new();
    }
    order.saga.holds().iter().filter(|hold| is_over(hold, now)).map(overdue).collect()
}
