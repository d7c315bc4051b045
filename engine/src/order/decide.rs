//! Decisions: state and command in, events or a typed denial out. No clock, no I/O.
//!
//! A decision is what the command asks for and all that follows from it by itself (`fulfillment`), so that each record
//! leaves the order waiting for something named, with its deadline.

mod engine;
mod operator;
mod report;
mod returns;

use std::sync::Arc;

pub use engine::{EngineCommand, contradiction, decide_engine};

use super::command::Command;
use super::convert::placed_from_wire;
use super::{Event, Order, OrderStatus, evolve};
use crate::fulfillment::advance;
use crate::ids::TimestampMs;
use crate::wire::command::{CancelData, PlaceData};
use crate::wire::order::Attention;
use crate::wire::{Code, CommandData};

/// Events that follow from one another in one decision at most. A legal life needs a handful.
const FOLLOWING_MAX: usize = 32;

/// The rules in force, recorded with each decision by their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which rules.
    pub version: u32,
    /// How long an order may wait for its next step before someone must look, in milliseconds.
    pub step_deadline_ms: u64,
    /// Decisions in an order's life at most. Operators and the engine itself have a reserve beyond it.
    pub decisions_max: u64,
    /// Generations of a forward step before it is given up and the order turns back.
    pub step_attempts_max: u32,
    /// How often an authorization that is over is asked for anew.
    pub renewals_max: u32,
    /// An authorization that ends within this time is not captured any more, in milliseconds.
    pub authorization_margin_ms: u64,
    /// How often an order that waits for people is brought to mind, in milliseconds.
    pub reminder_ms: u64,
    /// A mistake made on purpose: open orders get no deadline.
    #[cfg(feature = "mutants")]
    pub forgets_deadlines: bool,
}

impl Policy {
    /// The first rules.
    #[must_use]
    pub const fn v1() -> Self {
        Self {
            version: 1,
            step_deadline_ms: 15 * 60 * 1000,
            decisions_max: 100_000,
            step_attempts_max: 6,
            renewals_max: 5,
            authorization_margin_ms: 5_000,
            reminder_ms: 3600 * 1000,
            #[cfg(feature = "mutants")]
            forgets_deadlines: false,
        }
    }
}

/// What a decision may know besides state and command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// When the command was taken in.
    pub now: TimestampMs,
    /// The rules in force.
    pub policy: Policy,
}

/// Why a command is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Decided and recorded: final.
    Rejected {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: String,
    },
    /// Not recorded: the same id may come again.
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: String,
    },
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happened; never nothing.
    pub events: Vec<Event>,
    /// The state after it.
    pub order: Order,
}

impl Decision {
    /// `first`, and all that follows by itself.
    fn of(order: &Order, first: Vec<Event>, context: &Context) -> Self {
        let mut decision = Self { events: Vec::with_capacity(first.len() + 2), order: order.clone() };
        first.into_iter().for_each(|event| decision.push(event));
        decision.finish(context)
    }

    fn push(&mut self, event: Event) {
        evolve(&mut self.order, &event);
        self.events.push(event);
    }

    fn finish(mut self, context: &Context) -> Self {
        while self.events.len() < FOLLOWING_MAX
            && let Some(event) = advance(&self.order, context)
        {
            self.push(event);
        }
        self
    }
}

fn rejected(code: Code, message: impl Into<String>) -> Denial {
    Denial::Rejected { code, message: message.into() }
}

/// Rejected for what the code says.
fn plainly(code: Code) -> Denial {
    rejected(code, code.meaning())
}

fn refused(code: Code, message: impl Into<String>) -> Denial {
    Denial::Refused { code, message: message.into() }
}

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
        return Ok(Decision::of(order, place_order(place)?, context));
    }
    if !exists {
        return Err(refused(Code::OrderNotFound, Code::OrderNotFound.meaning()));
    }
    if let Some(expected) = command.data.expected_version().filter(|expected| *expected != order.version) {
        let message = format!("the order is at version {}, not at {expected}", order.version);
        return Err(rejected(Code::VersionMismatch, message));
    }
    if let CommandData::Restore(_) = &*command.data {
        return Ok(Decision::of(order, operator::restore(order)?, context));
    }
    if order.saga.archived {
        return Err(plainly(Code::Archived));
    }
    match &*command.data {
        CommandData::Place(_) | CommandData::Restore(_) => Err(plainly(Code::OrderExists)),
        CommandData::Cancel(data) => Ok(Decision::of(order, cancel(order, data)?, context)),
        CommandData::Return(data) => Ok(Decision::of(order, returns::ask(order, data)?, context)),
        CommandData::Report(data) => report::report(order, data, context),
        CommandData::Resume(data) => {
            Ok(Decision::of(order, operator::resume(order, data, context)?, context))
        }
        CommandData::ResolveStep(data) => operator::resolve(order, data, &command.actor, context),
        CommandData::Compensate(data) => Ok(Decision::of(order, operator::compensate(order, data)?, context)),
        CommandData::Archive(_) => Ok(Decision::of(order, operator::archive(order)?, context)),
    }
}

fn place_order(place: &PlaceData) -> Result<Vec<Event>, Denial> {
    if let Some(expected) = place.expected_version.filter(|expected| *expected != 0) {
        let message = format!("there is no such order, so it is not at version {expected}");
        return Err(refused(Code::OrderNotFound, message));
    }
    let placed = placed_from_wire(place).map_err(|(code, message)| refused(code, message))?;
    Ok(vec![Event::Placed(Arc::new(placed))])
}

fn cancel(order: &Order, data: &CancelData) -> Result<Vec<Event>, Denial> {
    match order.status {
        OrderStatus::Open if order.saga.cancel_refused => Err(plainly(Code::CancellationRefused)),
        OrderStatus::Open => Ok(turn_back(order, data.reason.as_str().into())),
        OrderStatus::Canceling | OrderStatus::Canceled => Err(plainly(Code::AlreadyCanceled)),
        OrderStatus::Completed | OrderStatus::Absent => Err(plainly(Code::OrderTerminal)),
    }
}

/// The order turns back because somebody asked for it. A step in flight is settled first: `fulfillment::next` sees to
/// that, and nothing is undone before.
fn turn_back(order: &Order, reason: Arc<str>) -> Vec<Event> {
    let mut events = vec![
        Event::CancelRequested { reason: reason.clone() },
        Event::StatusChanged { status: OrderStatus::Canceling, reason: Some(reason) },
    ];
    if order.saga.active.is_none() && order.saga.attention.kind() != Attention::None {
        // It was held on its way forward, which it does not go any more.
        let reason = "the order turns back".into();
        events.push(Event::AttentionChanged { attention: Attention::None, reason });
    }
    events
}
