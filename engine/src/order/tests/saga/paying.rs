//! Another means after a decline.

use super::*;
use crate::wire::order::PaymentStanding;
use crate::wire::payment_rules::{OnDecline, PaymentRules};
use serde_json::{Value, json};

const WAIT_MS: u64 = 3_600_000;

fn waits_with(data: Value) -> World {
    let mut world = World::empty();
    world.context.policy.payments =
        PaymentRules { on_decline: OnDecline::Wait, payment_wait_ms: WAIT_MS, ..PaymentRules::DEFAULT };
    assert_eq!(world.ask(place_of(data)), Code::Applied);
    world.context.policy.payments = PaymentRules::DEFAULT;
    world.answer(done());
    world
}

/// The second of two payments, of 500 and 1000, was declined.
fn second_declined() -> World {
    let mut world = waits_with(paid_by(&[500, 1000]));
    world.answer(done());
    world.answer(declined("no_funds"));
    world
}

fn means(id: &str, minor: i64) -> Value {
    json!({ "payment_id": id, "token_ref": "t", "amount_minor": minor })
}

#[test]
fn the_order_waits_and_goes_on() {
    let mut world = second_declined();
    assert_eq!((world.status(), world.attention(), world.step()), (OrderStatus::Open, Attention::None, None));
    let until = world.context.now.plus_ms(WAIT_MS);
    assert_eq!(world.order().deadline, Some(until));
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    assert_eq!(view.payment.waiting_until, Some(until));
    assert_eq!(view.payments[1].state, PaymentStanding::Declined);
    for (payments, path) in [
        (json!([means("p3", 999)]), "data.payments"),
        (json!([means("p3", 500), means("p2", 500)]), "data.payments[1].payment_id"),
    ] {
        assert_eq!(world.ask(pay(payments)), Code::WrongPayment);
        assert_eq!(world.said.path(), Some(path));
    }
    assert_eq!(world.ask(pay(json!([means("p3", 600), means("p4", 400)]))), Code::Applied);
    let request = world.effect().unwrap().request;
    assert_eq!(
        (request.payment_id(), request.token_ref(), request.amount_minor),
        (Some("p3"), Some("t"), 600)
    );
    assert_eq!(world.ask(pay(json!([means("p5", 1000)]))), Code::NothingToPay, "it is paid");
    assert_eq!(world.runs_out(), ["authorize", "authorize", "book", "capture", "capture", "capture"]);
    assert_eq!(world.status(), OrderStatus::Completed);
    let captured: Vec<i64> = world.order().saga.payments.iter().map(|one| one.captured_minor).collect();
    assert_eq!(captured, [500, 0, 600, 400]);
    assert_eq!(world.ask(pay(json!([means("p5", 1000)]))), Code::NothingToPay);
}

#[test]
fn the_time_is_over() {
    let mut world = second_declined();
    world.deadline_passes();
    assert_eq!(world.status(), OrderStatus::Canceling);
    assert_eq!(world.ask(pay(json!([means("p3", 1000)]))), Code::AlreadyCanceled, "late");
    assert_eq!(world.runs_out(), ["void", "release"]);
    let reason = world.order().saga.cancel_reason.as_deref();
    assert_eq!(reason, Some("no other means of payment came in time"));
}

#[test]
fn it_is_canceled_while_it_waits() {
    let mut world = second_declined();
    assert_eq!(world.ask(cancel()), Code::Applied);
    assert_eq!(world.ask(pay(json!([means("p3", 1000)]))), Code::AlreadyCanceled);
    assert_eq!(world.runs_out(), ["void", "release"]);
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn the_other_means_is_declined_too() {
    let mut world = waits_with(basket());
    world.answer(declined("no_funds"));
    assert_eq!(world.ask(pay(json!([means("payment", 1500)]))), Code::WrongPayment, "the first is called so");
    assert_eq!(world.ask(pay(json!([means("x", 1500)]))), Code::Applied);
    assert_eq!(world.asking(), "authorize 2.1");
    world.answer(declined("no_funds"));
    assert_eq!(world.step(), None, "it waits again");
    assert_eq!(world.ask(pay(json!([means("y", 1500)]))), Code::Applied);
    world.runs_out();
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    let shown: Vec<_> = view.payments.iter().map(|one| (&*one.payment_id, one.state)).collect();
    use PaymentStanding::{Captured, Declined};
    assert_eq!(shown, [("payment", Declined), ("x", Declined), ("y", Captured)]);
}

#[test]
fn an_order_that_does_not_wait_turns_back() {
    let mut world = World::placed();
    assert_eq!(world.ask(pay(json!([means("x", 1500)]))), Code::NothingToPay);
    world.answer(done());
    world.answer(declined("no_funds"));
    assert_eq!(world.ask(pay(json!([means("x", 1500)]))), Code::AlreadyCanceled);
}

#[test]
fn money_goes_back_while_it_waits() {
    let mut world = waits_with(paid_by(&[500, 1000]));
    (0..4).for_each(|_| world.answer(done()));
    world.answer(declined("authorization_expired"));
    world.answer(declined("no_funds"));
    let until = world.order().saga.waiting_until;
    assert!(world.step().is_none() && until.is_some());
    assert_eq!(world.ask(refund(json!({ "amount_minor": 100 }))), Code::Applied);
    assert_eq!(world.asking(), "refund 1.1");
    assert_eq!(world.ask(pay(json!([means("x", 1000)]))), Code::Applied, "one step at a time");
    assert_eq!(world.runs_out(), ["refund", "authorize", "capture"]);
    assert_eq!((world.status(), world.totals().captured_minor), (OrderStatus::Completed, 1500));
}
