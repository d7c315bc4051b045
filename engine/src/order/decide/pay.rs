//! Another means of payment, where one was declined and the order waits for it.

use super::super::convert::payment_from_wire;
use super::super::event::Event;
use super::super::owed::sum_of;
use super::super::payments::PaymentState;
use super::super::placed::Payment;
use super::super::{Order, OrderStatus, held_step};
use super::decision::{Denial, plainly, rejected, rejected_at};
use crate::fulfillment::has_gone;
use crate::wire::Code;
use crate::wire::command::{PayData, Step};
use crate::wire::limits::PAYMENTS_OF_ORDER_MAX;
use crate::wire::order::Attention;

pub(super) fn pay(order: &Order, data: &PayData) -> Result<Vec<Event>, Denial> {
    match order.status {
        OrderStatus::Canceling | OrderStatus::Canceled => return Err(plainly(Code::AlreadyCanceled)),
        OrderStatus::Completed | OrderStatus::Absent => return Err(plainly(Code::NothingToPay)),
        OrderStatus::Open => {}
    }
    let (saga, Some(placed)) = (&order.saga, &order.placed) else { return Err(plainly(Code::NothingToPay)) };
    let declined = saga.payments.iter().filter(|payment| payment.declined);
    let open_minor = sum_of(declined.map(PaymentState::not_authorized_minor));
    // Its time was over, and a part of the order has gone: it is held, and can be paid all the same.
    let held = saga.active.is_none()
        && saga.attention.kind() == Attention::Held
        && held_step(saga.last_ended) == Some(Step::Authorize)
        && has_gone(order, Step::Authorize)
        && open_minor > 0;
    if saga.waiting_until.is_none() && !held {
        return Err(plainly(Code::NothingToPay));
    }
    let given_minor = sum_of(data.payments.iter().map(|payment| payment.amount_minor.minor()));
    if given_minor != open_minor {
        let text = format!("the payments are {given_minor} together, and {open_minor} is open");
        return Err(rejected_at("payments", Code::WrongPayment, text));
    }
    for (number, payment) in data.payments.iter().enumerate() {
        if placed.payment_number(&payment.payment_id).is_some() {
            let text = format!(
                "the order has had a payment {:?}: give this one an id of its own",
                payment.payment_id
            );
            return Err(rejected_at(format_args!("payments[{number}].payment_id"), Code::WrongPayment, text));
        }
    }
    if saga.payments.count().saturating_add(data.payments.len()) > PAYMENTS_OF_ORDER_MAX {
        let text = format!("an order has at most {PAYMENTS_OF_ORDER_MAX} payments over its whole life");
        return Err(rejected(Code::WrongPayment, text));
    }
    let payments: Vec<Payment> = data.payments.iter().map(payment_from_wire).collect();
    let reason = data.reason.as_deref().map(Into::into);
    let mut events = vec![Event::PaymentsAdded { payments: payments.into(), reason }];
    if held {
        let reason = "another means of payment came".into();
        events.push(Event::AttentionChanged { attention: Attention::None, reason });
    }
    Ok(events)
}
