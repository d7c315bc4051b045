//! Decisions: state and command in, events or a typed denial out. No clock, no I/O.
//!
//! A decision is what the command asks for and all that follows from it by itself (`fulfillment`), so that each record
//! leaves the order waiting for something named, with its deadline.

mod amend;
mod amend_goods;
mod cancel;
mod decision;
mod due;
mod engine;
mod exchange;
mod hold;
mod operator;
mod part;
mod pay;
mod record;
mod refund;
mod report;
mod returns;
mod shipment;
mod waits;

use std::sync::Arc;

pub use decision::{Contradiction, Decision, Denial};
pub use engine::{EngineCommand, LastWords, contradiction, decide_engine};

use self::decision::{plainly, refused, rejected};
use super::command::Command;
use super::event::Event;
use super::placed::Placed;
use super::policy::Context;
use super::state::Order;
use super::status::OrderStatus;
use crate::wire::command::PlaceData;
use crate::wire::flow_rules::FlowRules;
use crate::wire::payment_rules::PaymentRules;
use crate::wire::return_rules::ReturnRules;
use crate::wire::{Code, CommandData};

/// Decides one command on the state that the one before it left.
///
/// # Errors
/// [`Denial`]: rejected (to be recorded) or refused (leaves no trace). Only an order that exists, or a command that
/// creates one, leads to a record.
pub fn decide(order: &Order, command: &Command, context: &Context) -> Result<Decision, Denial> {
    let exists = order.status != OrderStatus::Absent;
    if let CommandData::Place(place) = &*command.data {
        if exists {
            return Err(plainly(Code::OrderExists));
        }
        return Ok(Decision::of(order, place_order(place, context)?, context));
    }
    if !exists {
        return Err(refused(Code::OrderNotFound, Code::OrderNotFound.meaning()));
    }
    if let Some(expected) = command.data.expected_version().filter(|expected| *expected != order.version) {
        let message = format!("the order is at version {}, not at {expected}", order.version);
        return Err(rejected(Code::VersionMismatch, message));
    }
    if let CommandData::Restore(data) = &*command.data {
        return Ok(Decision::of(order, operator::restore(order, data)?, context));
    }
    if order.saga.archived {
        return Err(plainly(Code::Archived));
    }
    match &*command.data {
        CommandData::Place(_) | CommandData::Restore(_) => Err(plainly(Code::OrderExists)),
        CommandData::Cancel(data) if !data.lines.is_empty() => {
            Ok(Decision::of(order, amend::cancel_lines(order, data)?, context))
        }
        CommandData::Cancel(data) => Ok(Decision::of(order, cancel::cancel(order, data)?, context)),
        CommandData::Return(data) => returns::ask(order, data, context),
        CommandData::Report(data) => report::report(order, data, context),
        CommandData::Resume(data) => {
            Ok(Decision::of(order, operator::resume(order, data, context)?, context))
        }
        CommandData::ResolveStep(data) => operator::resolve(order, data, &command.actor, context),
        CommandData::Compensate(data) => Ok(Decision::of(order, operator::compensate(order, data)?, context)),
        CommandData::Archive(data) => Ok(Decision::of(order, operator::archive(order, data)?, context)),
        CommandData::Refund(data) => Ok(Decision::of(order, refund::ask(order, data)?, context)),
        CommandData::Pay(data) => Ok(Decision::of(order, pay::pay(order, data)?, context)),
        CommandData::Hold(data) => {
            Ok(Decision::of(order, hold::hold(order, data, &command.actor, context)?, context))
        }
        CommandData::ReleaseHold(data) => Ok(Decision::of(order, hold::release(order, data)?, context)),
        CommandData::Record(data) => Ok(Decision::of(order, record::record(order, data, context)?, context)),
        CommandData::Amend(data) => Ok(Decision::of(order, amend::amend(order, data)?, context)),
        CommandData::Exchange(data) => exchange::exchange(order, data, context),
    }
}

fn place_order(place: &PlaceData, context: &Context) -> Result<Vec<Event>, Denial> {
    if let Some(expected) = place.expected_version.filter(|expected| *expected != 0) {
        let message = format!("there is no such order, so it is not at version {expected}");
        return Err(refused(Code::OrderNotFound, message));
    }
    let placed = Placed::from_wire(place).map_err(|(code, message)| refused(code, message))?;
    let mut events = vec![Event::Placed(Arc::new(placed))];
    events.extend(place.relates_to.iter().map(|relation| Event::Related(Arc::new(relation.clone()))));
    if context.policy.returns != ReturnRules::NEVER {
        events.push(Event::ReturnRulesSet(context.policy.returns));
    }
    if context.policy.payments != PaymentRules::DEFAULT {
        events.push(Event::PaymentRulesSet(context.policy.payments));
    }
    if context.policy.flow != FlowRules::DEFAULT {
        events.push(Event::FlowSet(context.policy.flow));
    }
    events.extend(waits::goods(place, context)?);
    events.extend(waits::deliveries(place, context)?);
    Ok(events)
}
