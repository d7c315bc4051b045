//! What a command comes to.

use std::fmt::Display;

use crate::fulfillment::advance;
use crate::order::event::Event;
use crate::order::evolve;
use crate::order::policy::Context;
use crate::order::state::Order;
use crate::wire::Code;

/// Events that follow from one another in one decision at most. A legal life needs a handful.
const FOLLOWING_MAX: usize = 32;

/// Why a command is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Decided and recorded: final.
    Rejected {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: String,
        /// Which part of the command is meant, such as `data.lines[0].quantity`, if one is.
        path: Option<String>,
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
    /// What the caller is told beside that it was applied: in what it was not done as they would expect.
    pub note: Option<Box<str>>,
}

impl Decision {
    /// `first`, and all that follows by itself.
    pub(super) fn of(order: &Order, first: Vec<Event>, context: &Context) -> Self {
        let mut decision =
            Self { events: Vec::with_capacity(first.len() + 2), order: order.clone(), note: None };
        first.into_iter().for_each(|event| decision.push(event));
        decision.finish(context)
    }

    pub(super) fn push(&mut self, event: Event) {
        evolve(&mut self.order, &event);
        self.events.push(event);
    }

    pub(super) fn finish(mut self, context: &Context) -> Self {
        while self.events.len() < FOLLOWING_MAX
            && let Some(event) = advance(&self.order, context)
        {
            self.push(event);
        }
        self
    }
}

pub(super) fn rejected(code: Code, message: impl Into<String>) -> Denial {
    Denial::Rejected { code, message: message.into(), path: None }
}

/// Rejected for what stands at `path` of the command's data.
pub(super) fn rejected_at(path: impl Display, code: Code, message: impl Into<String>) -> Denial {
    Denial::Rejected { code, message: message.into(), path: Some(format!("data.{path}")) }
}

/// Rejected for what the code says.
pub(super) fn plainly(code: Code) -> Denial {
    rejected(code, code.meaning())
}

pub(super) fn refused(code: Code, message: impl Into<String>) -> Denial {
    Denial::Refused { code, message: message.into() }
}
