//! Decisions: state and command in, events or a typed denial out. No clock, no I/O.

use std::sync::Arc;

use super::command::Command;
use super::convert::placed_from_wire;
use super::{Event, Order, OrderStatus};
use crate::ids::TimestampMs;
use crate::wire::{Code, CommandData};

/// The rules in force, recorded with each decision by their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which rules.
    pub version: u32,
    /// How long an order may wait for its next step before someone must look, in milliseconds.
    pub step_deadline_ms: u64,
    /// Decisions in an order's life at most.
    pub decisions_max: u64,
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

fn rejected(code: Code, message: impl Into<String>) -> Denial {
    Denial::Rejected { code, message: message.into() }
}

fn refused(code: Code, message: impl Into<String>) -> Denial {
    Denial::Refused { code, message: message.into() }
}

/// Decides one command on the state that the one before it left.
///
/// # Errors
/// [`Denial`]: rejected (to be recorded) or refused (leaves no trace). Only an order that exists, or a command that
/// creates one, leads to a record.
pub fn decide(order: &Order, command: &Command, _context: &Context) -> Result<Vec<Event>, Denial> {
    let exists = order.status != OrderStatus::Absent;
    let CommandData::Place(place) = &*command.data else {
        return Err(if exists {
            refused(Code::UnsupportedCommand, Code::UnsupportedCommand.meaning())
        } else {
            refused(Code::OrderNotFound, Code::OrderNotFound.meaning())
        });
    };
    if exists {
        return Err(rejected(Code::OrderExists, Code::OrderExists.meaning()));
    }
    if let Some(expected) = place.expected_version.filter(|expected| *expected != 0) {
        let message = format!("there is no such order, so it is not at version {expected}");
        return Err(refused(Code::OrderNotFound, message));
    }
    let placed = placed_from_wire(place).map_err(|(code, message)| refused(code, message))?;
    Ok(vec![Event::Placed(Arc::new(placed))])
}
