//! Several payments.

use super::*;
use crate::order::PaymentState;
use crate::wire::order::PaymentStanding;
use crate::wire::payment_rules::{PaymentRules, RefundOrder};
use serde_json::json;

/// An order for 1500, paid in these parts.
fn paid_in(parts: &[i64]) -> World {
    World::placed_as(paid_by(parts))
}

/// Step, payment and amount of what is asked for.
fn asked(world: &World) -> (Step, usize, i64) {
    let request = world.effect().unwrap().request;
    (request.step, request.payment, request.amount_minor)
}

/// All is done that is asked for, each with a reference of its own: what it was.
fn all(world: &mut World) -> Vec<String> {
    let mut steps = Vec::new();
    while let Some(active) = world.active() {
        let (at, minor) = (active.at.clone(), active.amount_minor);
        let name = format!("{} {} {minor}", at.step.as_str(), at.part.as_deref().unwrap_or("-"));
        let acts_on = world.effect().unwrap().request.reference;
        steps.push(match acts_on {
            Some(reference) => format!("{name} of {reference}"),
            None => name,
        });
        let reference = format!("{}-{}", at.step.as_str(), at.instance).into();
        world.answer(StepOutcome::Done { reference, amount_minor: None, expires: None, units: None });
        assert!(steps.len() < 40, "{steps:?}");
    }
    steps
}

fn by_payment(world: &World, of: fn(&PaymentState) -> i64) -> Vec<i64> {
    world.order().saga.payments.iter().map(of).collect()
}

#[test]
fn each_is_authorized_and_captured_in_the_declared_order() {
    let mut world = paid_in(&[300, 0, 1200]);
    assert_eq!(
        all(&mut world),
        [
            "reserve - 0",
            "authorize - 300",
            "authorize p3 1200",
            "book - 0",
            "capture - 300 of authorize-1",
            "capture p3 1200 of authorize-2",
        ]
    );
    assert_eq!(world.status(), OrderStatus::Completed);
    assert_eq!(by_payment(&world, |one| one.captured_minor), [300, 0, 1200]);
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    let shown: Vec<_> =
        view.payments.iter().map(|one| (&*one.payment_id, one.captured_minor.minor(), one.state)).collect();
    use PaymentStanding::{Captured, Planned};
    assert_eq!(shown, [("p1", 300, Captured), ("p2", 0, Planned), ("p3", 1200, Captured)]);
    assert_eq!(view.payments[2].reference.as_deref(), Some("capture-2"));
}

#[test]
fn the_keys_of_one_payment_are_what_they_were() {
    let mut one = paid_in(&[1500]);
    let mut unnamed = World::placed();
    assert_eq!(all(&mut one), all(&mut unnamed));
    assert!(one.order().saga.earlier.is_empty());
}

#[test]
fn a_cancellation_half_way_undoes_what_stands() {
    // (answers before the cancel, what is undone)
    let cases: [(usize, &[&str]); 5] = [
        (1, &["release - 0 of reserve-1"]),
        (2, &["void - 500 of authorize-1", "release - 0 of reserve-1"]),
        (3, &["void p2 1000 of authorize-2", "void - 500 of authorize-1", "release - 0 of reserve-1"]),
        (
            4,
            &[
                "cancel_shipment - 0 of book-1",
                "void p2 1000 of authorize-2",
                "void - 500 of authorize-1",
                "release - 0 of reserve-1",
            ],
        ),
        (
            5,
            &[
                "cancel_shipment - 0 of book-1",
                "refund - 500 of capture-1",
                "void p2 1000 of authorize-2",
                "release - 0 of reserve-1",
            ],
        ),
    ];
    for (answers, undone) in cases {
        let mut world = paid_in(&[500, 1000]);
        for _ in 0..answers {
            let at = world.active().unwrap().at.clone();
            let reference = format!("{}-{}", at.step.as_str(), at.instance).into();
            world.answer(StepOutcome::Done { reference, amount_minor: None, expires: None, units: None });
        }
        assert_eq!(world.ask(cancel()), Code::Applied);
        world.answer(settled(false));
        assert_eq!(all(&mut world), undone, "after {answers}");
        assert_eq!(world.status(), OrderStatus::Canceled);
    }
}

#[test]
fn the_second_is_declined_after_the_first_stands() {
    let mut world = paid_in(&[500, 1000]);
    world.answer(done());
    world.answer(done());
    assert_eq!(asked(&world), (Step::Authorize, 1, 1000));
    world.answer(declined("insufficient_funds"));
    assert_eq!(world.status(), OrderStatus::Canceling);
    assert_eq!(world.runs_out(), ["void", "release"]);
    assert_eq!(by_payment(&world, |one| one.voided_minor), [500, 0]);
    // Captures, too: what is captured goes back, what is authorized is given up.
    let mut world = paid_in(&[500, 1000]);
    (0..5).for_each(|_| world.answer(done()));
    assert_eq!(asked(&world), (Step::Capture, 1, 1000));
    world.answer(declined("card_closed"));
    assert_eq!(world.runs_out(), ["cancel_shipment", "refund", "void", "release"]);
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn one_that_is_over_is_renewed_among_several() {
    let mut world = paid_in(&[500, 700, 300]);
    world.answer(done());
    world.answer(done());
    let expires = Some(world.context.now.plus_ms(60_000));
    world.answer(StepOutcome::Done { reference: "old".into(), amount_minor: None, expires, units: None });
    world.answer(done());
    world.context.now = world.context.now.plus_ms(70_000);
    world.answer(done());
    assert_eq!(asked(&world), (Step::Capture, 0, 500));
    world.answer(done());
    assert_eq!(asked(&world), (Step::Authorize, 1, 700), "only that one");
    assert_eq!(by_payment(&world, |one| one.voided_minor), [0, 700, 0]);
    assert_eq!(all(&mut world)[1..], ["capture p2 700 of authorize-4", "capture p3 300 of ref"]);
    assert_eq!(world.status(), OrderStatus::Completed);
    // Its provider says so at the capture.
    let mut world = paid_in(&[500, 1000]);
    (0..5).for_each(|_| world.answer(done()));
    for _ in 0..=world.context.policy.renewals_max {
        assert_eq!(asked(&world), (Step::Capture, 1, 1000));
        world.answer(declined("authorization_expired"));
        if world.attention() == Attention::Held {
            break;
        }
        assert_eq!(asked(&world), (Step::Authorize, 1, 1000));
        world.answer(done());
    }
    assert_eq!(world.attention(), Attention::Held, "a bounded number of times");
    assert_eq!(world.order().saga.payments.get(0).unwrap().entered, 1, "the first was asked once");
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!(asked(&world), (Step::Authorize, 1, 1000));
    world.runs_out();
    assert_eq!(world.status(), OrderStatus::Completed);
}

#[test]
fn a_return_goes_back_to_the_last_payment_first() {
    let mut world = paid_in(&[800, 700]);
    all(&mut world);
    assert_eq!(world.ask(returning(json!([{ "line_id": "a", "quantity": 3 }]))), Code::Applied);
    assert_eq!(
        all(&mut world),
        ["refund r1.p2 700 of capture-2", "refund r1 300 of capture-1", "restock r1 0"]
    );
    assert_eq!(by_payment(&world, |one| one.refunded_minor), [300, 700]);
    assert_eq!(world.ask(returning(json!([{ "line_id": "b", "quantity": 1 }]))), Code::Applied);
    assert_eq!(all(&mut world), ["refund r2 500 of capture-1", "restock r2 0"]);
}

#[test]
fn or_to_all_by_what_they_hold() {
    let mut world = World::empty();
    world.context.policy.payments =
        PaymentRules { refund_order: RefundOrder::ProRata, ..PaymentRules::DEFAULT };
    assert_eq!(world.ask(place_of(paid_by(&[500, 700, 300]))), Code::Applied);
    // It keeps the rules of its placement.
    world.context.policy.payments = PaymentRules::DEFAULT;
    all(&mut world);
    assert_eq!(world.ask(returning(json!([{ "line_id": "a", "quantity": 1 }]))), Code::Applied);
    assert_eq!(
        all(&mut world),
        [
            "refund r1 111 of capture-1",
            "refund r1.p2 155 of capture-2",
            "refund r1.p3 67 of capture-3",
            "restock r1 0"
        ]
    );
    assert_eq!(world.totals().refunded_minor, 333);
    assert_eq!(world.ask(refund(json!({ "amount_minor": 1 }))), Code::Applied);
    assert_eq!(all(&mut world).len(), 1);
    assert_eq!(world.ask(refund(json!({ "amount_minor": 1166 }))), Code::Applied);
    assert_eq!(all(&mut world).len(), 3);
    assert_eq!(by_payment(&world, |one| one.kept_minor()), [0, 0, 0]);
}

#[test]
fn or_to_the_one_that_is_named() {
    let mut world = paid_in(&[800, 700]);
    all(&mut world);
    let named =
        |payment_id: &str, minor: i64| refund(json!({ "amount_minor": minor, "payment_id": payment_id }));
    assert_eq!(world.ask(named("p1", 801)), Code::OverRefund);
    assert_eq!(world.said.path(), Some("data.payment_id"));
    assert_eq!(world.ask(named("p1", 600)), Code::Applied);
    assert_eq!(world.ask(named("p2", 700)), Code::Applied);
    assert_eq!(world.ask(named("p1", 201)), Code::OverRefund);
    // What names none leaves to the named ones what they were promised.
    assert_eq!(world.ask(refund(json!({ "amount_minor": 200 }))), Code::Applied);
    assert_eq!(world.ask(refund(json!({ "amount_minor": 1 }))), Code::OverRefund);
    assert_eq!(
        all(&mut world),
        ["refund f1 600 of capture-1", "refund f2.p2 700 of capture-2", "refund f3 200 of capture-1"]
    );
}

#[test]
fn a_named_one_is_not_taken_from_by_what_is_on_its_way() {
    let mut world = paid_in(&[800, 700]);
    all(&mut world);
    let named =
        |payment_id: &str, minor: i64| refund(json!({ "amount_minor": minor, "payment_id": payment_id }));
    assert_eq!(world.ask(refund(json!({ "amount_minor": 500 }))), Code::Applied);
    assert_eq!(asked(&world), (Step::Refund, 1, 500));
    assert_eq!(world.ask(named("p2", 201)), Code::OverRefund);
    assert_eq!(world.ask(named("p2", 200)), Code::Applied);
    all(&mut world);
    assert_eq!(by_payment(&world, |one| one.refunded_minor), [0, 700]);
}

#[test]
fn money_goes_back_between_two_captures() {
    let mut world = paid_in(&[800, 700]);
    (0..5).for_each(|_| world.answer(done()));
    assert_eq!(asked(&world), (Step::Capture, 1, 700));
    assert_eq!(world.ask(refund(json!({ "amount_minor": 900 }))), Code::OverRefund, "only 800 is captured");
    assert_eq!(world.ask(refund(json!({ "amount_minor": 100 }))), Code::Applied);
    assert_eq!(asked(&world), (Step::Capture, 1, 700), "one step at a time");
    world.answer(done());
    assert_eq!(world.status(), OrderStatus::Open);
    world.runs_out();
    assert_eq!((world.status(), world.totals().refunded_minor), (OrderStatus::Completed, 100));
    // Canceled meanwhile, it goes back with all the rest, once.
    let mut world = paid_in(&[800, 700]);
    (0..5).for_each(|_| world.answer(done()));
    assert_eq!(world.ask(refund(json!({ "amount_minor": 100 }))), Code::Applied);
    assert_eq!(world.ask(cancel()), Code::Applied);
    world.answer(settled(false));
    world.runs_out();
    assert_eq!((world.status(), world.totals().refunded_minor), (OrderStatus::Canceled, 800));
    assert_eq!(world.order().deadline, None);
}

#[test]
fn a_report_names_the_payment_by_its_reference() {
    let mut world = paid_in(&[800, 700]);
    (0..2).for_each(|_| world.answer(done()));
    world.answer(pending("auth-2", None));
    assert_eq!(world.ask(report(Step::Authorize, "ref", "done")), Code::StepNotPending, "that is the first");
    assert_eq!(world.ask(report(Step::Authorize, "ref", "declined")), Code::ConflictingReport);
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!(world.ask(report(Step::Authorize, "nobody", "done")), Code::ReferenceMismatch);
    assert_eq!(world.ask(report(Step::Authorize, "auth-2", "done")), Code::Applied);
    assert_eq!(world.runs_out(), ["book", "capture", "capture"]);
}

#[test]
fn an_operator_resolves_the_one_that_is_asked_for() {
    let mut world = paid_in(&[800, 700]);
    (0..5).for_each(|_| world.answer(done()));
    world.deadline_passes();
    assert_eq!(world.ask(resolve_part(Step::Capture, "p2", false)), Code::Applied);
    world.answer(not_done("it was not"));
    assert_eq!(asked(&world), (Step::Capture, 1, 700));
    assert_eq!(world.asking(), "capture 2.2");
    world.deadline_passes();
    assert_eq!(world.ask(resolve_part(Step::Capture, "p2", true)), Code::Applied);
    assert_eq!(world.status(), OrderStatus::Completed);
    assert_eq!(by_payment(&world, |one| one.captured_minor), [800, 700]);
}

#[test]
fn a_refund_to_a_named_payment_leaves_the_rest_to_all_payments() {
    let mut world = World::empty();
    world.context.policy.payments =
        PaymentRules { refund_order: RefundOrder::ProRata, ..PaymentRules::DEFAULT };
    assert_eq!(world.ask(place_of(paid_by(&[500, 500, 500]))), Code::Applied);
    all(&mut world);
    assert_eq!(world.ask(refund(json!({ "amount_minor": 900 }))), Code::Applied);
    assert_eq!(asked(&world), (Step::Refund, 0, 300));
    let named = |minor: i64| refund(json!({ "amount_minor": minor, "payment_id": "p3" }));
    assert_eq!(world.ask(named(500)), Code::Applied);
    all(&mut world);
    assert_eq!(by_payment(&world, |one| one.refunded_minor), [471, 429, 500]);
}
