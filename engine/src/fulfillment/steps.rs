//! The steps, and which one comes next.

use super::flow::way_forward;
use crate::ids::TimestampMs;
use crate::order::{Goods, Order, Placed};
use crate::wire::command::Step;

pub use super::step_table::{
    AskedAmount, BACKWARD, Direction, FORWARD, RETURN, STEPS, StepSpec, Undo, is_forward, spec,
};

/// Does the order go through the step at all? A free order has nothing to pay, unless it cost something before.
#[must_use]
pub fn goes_through(order: &Order, step: Step) -> bool {
    if step == Step::Review {
        return order.saga.flow().review;
    }
    let free = order.placed.as_ref().is_none_or(|placed| placed.total_minor == 0)
        && order.saga.totals.authorized_minor == 0;
    !free || !spec(step).moves_money()
}

/// What an order's way forward has next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// A step, and for which payment, reservation or shipment, from 0. Of an order that was amended it may be one that gives
    /// up what is not wanted any more.
    Step(Step, usize),
    /// Its goods, or some of them, are not there yet.
    AwaitGoods,
    /// Nothing is left.
    Complete,
}

/// What the way forward has next at `now`.
#[must_use]
pub fn forward(order: &Order, now: TimestampMs) -> Forward {
    if let Some(payment) = due_with_shipments(order) {
        return Forward::Step(Step::Capture, payment);
    }
    way_forward(order.saga.flow())
        .into_iter()
        .find_map(|step| match (step, &order.saga.goods, &order.placed) {
            (Step::Authorize, ..) => authorize(order).map(|(step, number)| Forward::Step(step, number)),
            (Step::Capture, ..) => {
                let payment = order.saga.payments.first_where(|payment| payment.to_capture_minor() > 0);
                Some(Forward::Step(step, payment.filter(|_| goes_through(order, step))?))
            }
            (Step::Reserve, Some(goods), Some(placed)) => reserve(order, goods, placed, now),
            (Step::Book, Some(goods), Some(placed)) => {
                let next = goods.next_shipment(placed, order.saga.flow().short_lines);
                (!next.is_empty()).then_some(Forward::Step(step, goods.shipments.len()))
            }
            _ if order.saga.is_done(step) || !goes_through(order, step) => None,
            (Step::Reserve, ..) if order.awaits_goods(now).is_some() => Some(Forward::AwaitGoods),
            _ => Some(Forward::Step(step, 0)),
        })
        .unwrap_or(Forward::Complete)
}

/// What is too much is given back before more is set aside: another line may be of the same goods. What is there goes before
/// the rest is asked for: that may take long.
fn reserve(order: &Order, goods: &Goods, placed: &Placed, now: TimestampMs) -> Option<Forward> {
    if let Some(number) = goods.surplus(placed) {
        return Some(Forward::Step(Step::Release, number));
    }
    if !goods.next_shipment(placed, order.saga.flow().short_lines).is_empty() {
        return None;
    }
    if !goods.to_reserve(placed, order.saga.plan.as_deref(), now).is_empty() {
        return Some(Forward::Step(Step::Reserve, goods.reservations.len()));
    }
    order.awaits_goods(now).map(|_| Forward::AwaitGoods)
}

/// The payment, from 0, that is captured next for what is booked, where payments are captured with each shipment and some of
/// the goods are to come yet.
fn due_with_shipments(order: &Order) -> Option<usize> {
    let due_minor = order.due_minor()?;
    let payment = order.saga.payments.first_where(|payment| payment.to_capture_minor() > 0);
    // Without room for a further payment all is captured at the end.
    let may = |number: &usize| order.takes_another_payment() || order.split_for_shipment(*number).is_none();
    payment.filter(|number| due_minor > 0 && may(number))
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
