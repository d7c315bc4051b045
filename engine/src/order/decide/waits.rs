//! Times until which an order waits: for its goods, and for a participant that needs longer.

use super::super::Order;
use super::super::event::Event;
use super::super::policy::Context;
use super::super::saga::Active;
use super::decision::{Decision, Denial, plainly, refused};
use crate::fulfillment::is_settling;
use crate::ids::TimestampMs;
use crate::wire::Code;
use crate::wire::command::{PlaceData, ReportData};
use crate::wire::limits::WAIT_MAX_MS;
use crate::wire::order::Attention;

/// Its goods are not there yet, if that is so.
pub(super) fn goods(place: &PlaceData, context: &Context) -> Result<Option<Event>, Denial> {
    let Some(until) = place.available_from.filter(|from| *from > context.now) else { return Ok(None) };
    not_too_far("available_from", until, context)?;
    Ok(Some(Event::GoodsAwaited { until }))
}

/// The goods of some deliveries are not there yet, if that is so.
pub(super) fn deliveries(place: &PlaceData, context: &Context) -> Result<Vec<Event>, Denial> {
    let mut events = Vec::new();
    for (part, delivery) in place.deliveries.iter().zip(1_u16..) {
        let Some(until) = part.available_from.filter(|from| *from > context.now) else { continue };
        let number = usize::from(delivery).saturating_sub(1);
        not_too_far(&format!("deliveries[{number}].available_from"), until, context)?;
        events.push(Event::DeliveryAwaited { delivery, until });
    }
    Ok(events)
}

/// The participant of the step says that it needs longer: nobody has to look before.
pub(super) fn still_pending(
    order: &Order,
    active: &Active,
    data: &ReportData,
    context: &Context,
) -> Result<Decision, Denial> {
    // The order does not want it any more, or somebody says that it was not done: only how it ended is of use.
    if is_settling(order, active) {
        return Err(plainly(Code::StepNotPending));
    }
    let Some(until) = data.until.filter(|until| *until > context.now) else {
        return Err(refused(Code::InvalidField, "data.until: it has passed"));
    };
    not_too_far("until", until, context)?;
    let reason = data.reason.as_deref().map(Into::into);
    let mut events = vec![Event::StillPending { at: active.at.clone(), until, reason }];
    if order.saga.attention.kind() != Attention::None {
        let reason = "its participant says when it will be decided".into();
        events.push(Event::AttentionChanged { attention: Attention::None, reason });
    }
    Ok(Decision::of(order, events, context))
}

fn not_too_far(path: &str, until: TimestampMs, context: &Context) -> Result<(), Denial> {
    if until <= context.now.plus_ms(WAIT_MAX_MS) {
        return Ok(());
    }
    Err(refused(Code::InvalidField, format!("data.{path}: it is more than two years ahead")))
}
