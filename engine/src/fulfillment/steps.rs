//! The steps, and which one comes next.

use crate::order::Order;
use crate::wire::command::Step;

pub use super::step_table::{
    AskedAmount, BACKWARD, Direction, FORWARD, RETURN, STEPS, StepSpec, Undo, is_forward, spec,
};

/// Does the order go through the step at all? A free order has nothing to pay.
#[must_use]
pub fn goes_through(order: &Order, step: Step) -> bool {
    let free = order.placed.as_ref().is_none_or(|placed| placed.total_minor == 0);
    !free || !spec(step).moves_money()
}

/// The next step forward, if any is left.
#[must_use]
pub fn forward(order: &Order) -> Option<Step> {
    FORWARD.into_iter().find(|step| goes_through(order, *step) && !order.saga.is_done(*step))
}

/// The next compensation, if anything is left to be undone.
#[must_use]
pub fn backward(order: &Order) -> Option<Step> {
    let saga = &order.saga;
    // What was captured is no longer only authorized.
    let stands = |step| step != Step::Void || saga.totals.captured_minor == 0;
    let is_done = |step| spec(step).acts_on.is_some_and(|undone| saga.is_done(undone));
    BACKWARD.into_iter().find(|step| is_done(*step) && stands(*step))
}
