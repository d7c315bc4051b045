//! The steps, and which one comes next.

use super::flow::way_forward;
use crate::order::Order;
use crate::wire::command::Step;

pub use super::step_table::{
    AskedAmount, BACKWARD, Direction, FORWARD, RETURN, STEPS, StepSpec, Undo, is_forward, spec,
};

/// Does the order go through the step at all? A free order has nothing to pay, unless it cost something before.
#[must_use]
pub fn goes_through(order: &Order, step: Step) -> bool {
    let free = order.placed.as_ref().is_none_or(|placed| placed.total_minor == 0)
        && order.saga.totals.authorized_minor == 0;
    !free || !spec(step).moves_money()
}

/// The next step forward, and for which payment, reservation or shipment, from 0; if any is left. Of an order that was
/// amended it may be one that gives up what is not wanted any more.
#[must_use]
pub fn forward(order: &Order) -> Option<(Step, usize)> {
    way_forward(order.saga.flow()).into_iter().find_map(|step| {
        match (step, &order.saga.goods, &order.placed) {
            (Step::Authorize, ..) => authorize(order),
            (Step::Capture, ..) => {
                let payment = order.saga.payments.first_where(|payment| payment.to_capture_minor() > 0);
                Some((step, payment.filter(|_| goes_through(order, step))?))
            }
            (_, Some(goods), Some(placed)) => goods.forward(step, placed),
            _ => (!order.saga.is_done(step) && goes_through(order, step)).then_some((step, 0)),
        }
    })
}

/// What is planned and not authorized; then payments that are not wanted any more, whole.
fn authorize(order: &Order) -> Option<(Step, usize)> {
    let payments = &order.saga.payments;
    let lacking = payments.first_where(|payment| payment.not_authorized_minor() > 0);
    if let Some(payment) = lacking.filter(|_| goes_through(order, Step::Authorize)) {
        return Some((Step::Authorize, payment));
    }
    let unwanted = payments.last_where(|payment| payment.held_minor() > 0 && payment.to_capture_minor() == 0);
    unwanted.map(|payment| (Step::Void, payment))
}

/// The next compensation, and for which payment, reservation or shipment, from 0; if anything is left to be undone. The
/// last one is undone first.
#[must_use]
pub fn backward(order: &Order) -> Option<(Step, usize)> {
    let (saga, payments) = (&order.saga, &order.saga.payments);
    BACKWARD.into_iter().find_map(|step| {
        let number = match step {
            Step::Refund => payments.last_where(|payment| payment.kept_minor() > 0),
            Step::Void => payments.last_where(|payment| payment.held_minor() > 0),
            _ => match &saga.goods {
                Some(goods) => goods.backward(step),
                None => spec(step).acts_on.is_some_and(|undone| saga.is_done(undone)).then_some(0),
            },
        };
        Some((step, number?))
    })
}
