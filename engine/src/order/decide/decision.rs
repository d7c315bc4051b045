//! What a command comes to.

use std::fmt::Display;
use std::sync::Arc;

use crate::fulfillment::advance;
use crate::order::event::Event;
use crate::order::evolve;
use crate::order::policy::Context;
use crate::order::saga::{StepState, Waiting};
use crate::order::state::Order;
use crate::order::step::StepAt;
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
    /// Rejected, because the two sides say different things: [`Code::ConflictingReport`], and an operator is told.
    Conflict {
        /// Why, for people.
        message: String,
        /// What an operator is told.
        found: Contradiction,
    },
    /// Not recorded: the same id may come again.
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: String,
    },
}

/// What the two sides say differently of an asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// Which asking.
    pub at: StepAt,
    /// What its participant calls what was done, if that is what it says.
    pub reference: Option<Arc<str>>,
    /// What each side says, for people.
    pub reason: Arc<str>,
}

impl Contradiction {
    /// An asking that ended otherwise is said to be done, as `reference`. Both references are named: what was done
    /// instead of it may be the same thing a second time.
    pub(super) fn done_after_all(
        order: &Order,
        at: &StepAt,
        standing: StepState,
        reference: Option<Arc<str>>,
    ) -> Self {
        let saga = &order.saga;
        let step = at.step.as_str();
        let ended = match standing {
            StepState::Declined => "declined",
            StepState::Refused => "refused",
            _ => "settled as not done",
        };
        let called = |reference: Option<&Arc<str>>| {
            reference.map(|reference| format!(" as {reference}")).unwrap_or_default()
        };
        let later =
            saga.earlier.iter().rev().find(|other| {
                other.at.step == at.step && other.at != *at && other.standing == StepState::Done
            });
        let other = match (
            &saga.active,
            saga.reference_of(at.step, at.number()).or(later.and_then(|one| one.reference.as_ref())),
        ) {
            (Some(active), _) if active.at.step == at.step => {
                let pending = match &active.waiting {
                    Waiting::Pending { reference, .. } => Some(reference),
                    Waiting::Asked => None,
                };
                format!(
                    "; it is asked for again under generation {}{}",
                    active.at.generation,
                    called(pending)
                )
            }
            (_, Some(reference)) => {
                format!("; it was done otherwise as {reference}: it may have been done twice")
            }
            (_, None) => String::new(),
        };
        let said = called(reference.as_ref());
        let reason = format!(
            "{step} of generation {} was {ended}, and its participant says now that it was done{said}{other}",
            at.generation
        );
        Self { at: at.clone(), reference, reason: reason.into() }
    }
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happened; nothing where only the deadline of what waits for people moves.
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

/// A text of at most so many characters.
pub(super) fn cut(text: &Arc<str>, max_chars: usize) -> Arc<str> {
    match text.char_indices().nth(max_chars) {
        None => text.clone(),
        Some((end, _)) => text[..end].into(),
    }
}
