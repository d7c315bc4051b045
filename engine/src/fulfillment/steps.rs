//! The steps, and which one comes next.

use super::flow::way_forward;
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

/// The next step forward, and for which payment, from 0, where it is of one; if any is left.
#[must_use]
pub fn forward(order: &Order) -> Option<(Step, usize)> {
    let payments = &order.saga.payments;
    way_forward(order.saga.flow()).into_iter().find_map(|step| {
        let payment = match step {
            Step::Authorize => payments.first_where(|payment| payment.not_authorized_minor() > 0),
            Step::Capture => payments.first_where(|payment| payment.held_minor() > 0),
            _ => (!order.saga.is_done(step)).then_some(0),
        };
        Some((step, payment.filter(|_| goes_through(order, step))?))
    })
}

/// The next compensation, and for which payment, from 0, where it is of one; if anything is left to be undone. The last
/// payment is undone first.
#[must_use]
pub fn backward(order: &Order) -> Option<(Step, usize)> {
    let (saga, payments) = (&order.saga, &order.saga.payments);
    BACKWARD.into_iter().find_map(|step| {
        let payment = match step {
            Step::Refund => payments.last_where(|payment| payment.kept_minor() > 0),
            Step::Void => payments.last_where(|payment| payment.held_minor() > 0),
            _ => spec(step).acts_on.is_some_and(|undone| saga.is_done(undone)).then_some(0),
        };
        Some((step, payment?))
    })
}
