//! An order that is changed, or canceled in part, before its goods are booked.

use super::*;
use crate::order::PaymentState;
use crate::wire::payment_rules::{OnDecline, PaymentRules};
use serde_json::{Value, json};

/// All is done that is asked for, each with a reference of its own: what it was, of which units.
fn all(world: &mut World) -> Vec<String> {
    let mut steps = Vec::new();
    while world.active().is_some() {
        steps.push(one(world));
        assert!(steps.len() < 40, "{steps:?}");
    }
    steps
}

/// The step that is asked for is done: what it was.
fn one(world: &mut World) -> String {
    let active = world.active().unwrap().clone();
    let at = &active.at;
    let mut text = at.step.as_str().to_owned();
    if let Some(part) = &at.part {
        text.push_str(&format!(" {part}"));
    }
    if active.amount_minor > 0 {
        text.push_str(&format!(" {}", active.amount_minor));
    }
    for part in active.units.iter().flat_map(|units| units.iter()) {
        text.push_str(&format!(" {}:{}", part.line_id, part.quantity));
    }
    if let Some(reference) = world.effect().unwrap().request.reference {
        text.push_str(&format!(" of {reference}"));
    }
    let reference = format!("{}-{}", at.step.as_str(), at.instance).into();
    let at = at.clone();
    assert!(
        world.answer_to(&at, StepOutcome::Done { reference, amount_minor: None, expires: None, units: None })
    );
    text
}

fn planned(world: &World) -> Vec<i64> {
    world.order().saga.payments.iter().map(|one| one.planned_minor).collect()
}

fn by_payment(world: &World, of: fn(&PaymentState) -> i64) -> Vec<i64> {
    world.order().saga.payments.iter().map(of).collect()
}

fn total(world: &World) -> i64 {
    world.order().placed.as_ref().unwrap().total_minor
}

/// `reserve` and `authorize` are done; `book` is not asked for yet, because payment 2 is being authorized.
fn before_booking(parts: &[i64]) -> World {
    let mut world = World::placed_as(paid_by(parts));
    for _ in 0..parts.len() {
        one(&mut world);
    }
    assert_eq!(world.step(), Some(Step::Authorize));
    world
}

fn less(lines: Value) -> CommandData {
    amend(json!({ "lines": lines }))
}

#[test]
fn fewer_units_are_given_back_and_paid_less() {
    let mut world = before_booking(&[500, 1000]);
    // 2 of 3 units for 1000 are 667; the payment in flight cannot become less meanwhile.
    let two = || less(json!([{ "line_id": "a", "quantity": 2 }]));
    assert_eq!(world.ask(two()), Code::StepInFlight);
    world.answer(unknown());
    world.deadline_passes();
    assert_eq!(world.ask(two()), Code::StepInFlight, "nor while nobody knows");
    // A free line can go.
    let mut world = World::placed_as(basket());
    assert_eq!(world.ask(two()), Code::StepInFlight, "stock is being reserved for three");
    one(&mut world);
    assert_eq!(world.ask(two()), Code::StepInFlight);
    one(&mut world);
    assert_eq!(world.ask(two()), Code::TooLateToAmend, "the booking is asked for");
}

/// Payments of 500, 400 and 600, of which the first two are authorized.
fn third_in_flight() -> World {
    before_booking(&[500, 400, 600])
}

#[test]
fn a_change_that_leaves_the_payment_in_flight_alone_is_taken_at_once() {
    let mut world = third_in_flight();
    // The same price for fewer units.
    assert_eq!(
        world.ask(less(json!([{ "line_id": "a", "quantity": 2, "amount_minor": 1000 }]))),
        Code::Applied
    );
    assert_eq!((total(&world), planned(&world)), (1500, vec![500, 400, 600]));
    assert_eq!(
        all(&mut world),
        [
            "authorize p3 600",
            "release a:1 of reserve-1",
            "book a:2 b:1",
            "capture 500 of authorize-1",
            "capture p2 400 of authorize-2",
            "capture p3 600 of authorize-3",
        ]
    );
    assert_eq!(world.status(), OrderStatus::Completed);
}

/// Held before the booking: all is authorized, and the addition was declined.
fn addition_declined() -> World {
    let mut world = third_in_flight();
    let line = json!({ "line_id": "c", "sku": "u", "quantity": 2, "amount_minor": 300 });
    assert_eq!(world.ask(amend(json!({ "add_lines": [line] }))), Code::Applied);
    assert_eq!(one(&mut world), "authorize p3 600");
    assert_eq!(world.asking(), "reserve 2.1");
    world.answer(declined("out_of_stock"));
    assert_eq!((world.status(), world.attention()), (OrderStatus::Open, Attention::Held));
    assert_eq!(world.order().saga.shown_step(), Some(Step::Reserve));
    world
}

#[test]
fn a_line_that_comes_in_addition_is_reserved_and_paid_by_itself() {
    let mut world = third_in_flight();
    let line = json!({ "line_id": "c", "sku": "u", "quantity": 2, "amount_minor": 300 });
    assert_eq!(world.ask(amend(json!({ "add_lines": [line] }))), Code::Applied);
    assert_eq!((total(&world), planned(&world)), (1800, vec![500, 400, 600, 300]));
    assert_eq!(
        all(&mut world),
        [
            "authorize p3 600",
            "reserve g2 c:2",
            "authorize p4 300",
            "book a:3 b:1 c:2",
            "capture 500 of authorize-1",
            "capture p2 400 of authorize-2",
            "capture p3 600 of authorize-3",
            "capture p4 300 of authorize-4",
        ]
    );
    assert_eq!((world.status(), world.totals().captured_minor), (OrderStatus::Completed, 1800));
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    let shown: Vec<_> =
        view.payments.iter().map(|one| (&*one.payment_id, one.token_ref.as_deref())).collect();
    assert_eq!(shown[3], ("payment-4", Some("t3")), "by the means of the last payment");
    assert_eq!((view.lines[2].reserved_units, view.lines[2].booked_units), (Some(2), Some(2)));
    assert_eq!(view.fulfillment.ordered_units, 6);
}

#[test]
fn an_addition_that_is_not_to_be_had_waits_for_people() {
    let mut world = addition_declined();
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!(world.asking(), "reserve 3.1");
    world.answer(declined("out_of_stock"));
    // Without it the order goes on; what was paid for it is not asked for.
    assert_eq!(world.ask(cancel_units(json!([{ "line_id": "c", "quantity": 2 }]))), Code::Applied);
    assert_eq!(world.attention(), Attention::None);
    assert_eq!((total(&world), planned(&world)), (1500, vec![500, 400, 600, 0]));
    assert_eq!(all(&mut world)[0], "book a:3 b:1");
    assert_eq!(world.status(), OrderStatus::Completed);
}

#[test]
fn what_is_authorized_beyond_the_price_is_given_up() {
    let mut world = addition_declined();
    // 1800 to 700: the last payment, which is not asked for, then 600 whole, and 200 of 400.
    let lines = json!([{ "line_id": "a", "quantity": 1, "amount_minor": 700 },
        { "line_id": "b", "quantity": 0 }, { "line_id": "c", "quantity": 0 }]);
    assert_eq!(world.ask(less(lines)), Code::Applied);
    assert_eq!((total(&world), planned(&world)), (700, vec![500, 200, 0, 0]));
    assert_eq!(
        all(&mut world),
        [
            "release a:2 b:1 of reserve-1",
            "void p3 600 of authorize-3",
            "book a:1",
            "capture 500 of authorize-1",
            "capture p2 200 of authorize-2",
        ]
    );
    assert_eq!(world.status(), OrderStatus::Completed);
    assert_eq!(
        by_payment(&world, |one| one.voided_minor),
        [0, 200, 600, 0],
        "the rest goes with the capture"
    );
    assert_eq!(by_payment(&world, |one| one.captured_minor), [500, 200, 0, 0]);
    // A return pays by the price that the line has now.
    assert_eq!(world.ask(returning(json!([{ "line_id": "a", "quantity": 1 }]))), Code::Applied);
    all(&mut world);
    assert_eq!(world.totals().refunded_minor, 700);
    assert_eq!(world.ask(returning(json!([{ "line_id": "b", "quantity": 1 }]))), Code::OverReturn);
}

#[test]
fn what_is_authorized_still_pays_a_price_that_rises_again() {
    let mut world = addition_declined();
    let lines =
        json!([{ "line_id": "b", "quantity": 1, "amount_minor": 100 }, { "line_id": "c", "quantity": 1 }]);
    assert_eq!(world.ask(less(lines)), Code::Applied);
    // One of two additional units is asked for again: 150 of it is left.
    assert_eq!((total(&world), planned(&world)), (1250, vec![500, 400, 350, 0]));
    assert_eq!(world.asking(), "reserve 3.1");
    world.answer(declined("out_of_stock"));
    assert_eq!(
        world.ask(less(json!([{ "line_id": "b", "quantity": 1, "amount_minor": 400 }]))),
        Code::Applied
    );
    assert_eq!((total(&world), planned(&world)), (1550, vec![500, 400, 600, 50]));
    assert_eq!(world.attention(), Attention::Held, "the goods are as they were");
    assert_eq!(world.ask(cancel_units(json!([{ "line_id": "c", "quantity": 1 }]))), Code::Applied);
    assert_eq!(planned(&world), [500, 400, 500, 0]);
    assert_eq!(all(&mut world).last().map(String::as_str), Some("capture p3 500 of authorize-3"));
    assert_eq!(world.status(), OrderStatus::Completed);
}

#[test]
fn a_cancellation_undoes_each_reservation() {
    let mut world = third_in_flight();
    let lines = json!([{ "line_id": "a", "quantity": 5, "amount_minor": 1000 }]);
    assert_eq!(world.ask(less(lines)), Code::Applied);
    one(&mut world);
    assert_eq!(one(&mut world), "reserve g2 a:2");
    assert_eq!(world.step(), Some(Step::Book));
    assert_eq!(world.ask(cancel()), Code::Applied);
    world.answer(settled(true));
    assert_eq!(
        all(&mut world),
        [
            "cancel_shipment a:5 b:1 of settled",
            "void p3 600 of authorize-3",
            "void p2 400 of authorize-2",
            "void 500 of authorize-1",
            "release g2 a:2 of reserve-2",
            "release a:3 b:1 of reserve-1",
        ]
    );
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn what_cannot_be_is_rejected_with_its_path() {
    let mut world = third_in_flight();
    let line = |id: &str| json!({ "line_id": id, "sku": "u", "quantity": 1, "amount_minor": 100 });
    let pays = |minor: i64| json!([{ "payment_id": "p1", "token_ref": "t", "amount_minor": minor }]);
    let cases = [
        (json!({ "lines": [{ "line_id": "z", "quantity": 1 }] }), Code::UnknownLine, "lines[0].line_id"),
        (
            json!({ "lines": [{ "line_id": "a", "quantity": 0 }, { "line_id": "b", "quantity": 0 }] }),
            Code::NotAmendable,
            "lines",
        ),
        (
            json!({ "lines": [{ "line_id": "a", "quantity": 0, "amount_minor": 5 }] }),
            Code::NotAmendable,
            "lines[0].amount_minor",
        ),
        (json!({ "add_lines": [line("a")] }), Code::NotAmendable, "add_lines[0].line_id"),
        (json!({ "add_lines": [line("c")], "payments": pays(99) }), Code::WrongPayment, "payments"),
        (
            json!({ "add_lines": [line("c")], "payments": pays(100) }),
            Code::WrongPayment,
            "payments[0].payment_id",
        ),
        (json!({ "note": "n", "payments": pays(1) }), Code::WrongPayment, "payments"),
    ];
    for (data, code, path) in cases {
        assert_eq!(world.ask(amend(data.clone())), code, "{data}");
        assert_eq!(world.said.path(), Some(&*format!("data.{path}")), "{data}");
    }
    assert_eq!(
        world.ask(less(json!([{ "line_id": "a", "quantity": 3 }]))),
        Code::NotAmendable,
        "nothing changes"
    );
    assert_eq!(world.ask(cancel_units(json!([{ "line_id": "a", "quantity": 4 }]))), Code::NotAmendable);
    // All units are the whole order.
    let all_units = json!([{ "line_id": "a", "quantity": 3 }, { "line_id": "b", "quantity": 1 }]);
    assert_eq!(world.ask(cancel_units(all_units)), Code::Applied);
    assert_eq!(world.status(), OrderStatus::Canceling);
    assert_eq!(world.ask(amend(json!({ "note": "n" }))), Code::AlreadyCanceled);
    let mut world = World::at(Step::Capture);
    assert_eq!(world.ask(amend(json!({ "note": "n" }))), Code::TooLateToAmend);
    assert_eq!(world.ask(cancel_units(json!([{ "line_id": "a", "quantity": 1 }]))), Code::NotCancelable);
}

#[test]
fn the_total_is_never_below_zero_and_may_become_nothing() {
    let mut data = paid_by(&[500, 400]);
    data["components"] = json!([{ "kind": "discount", "amount_minor": -600 }]);
    let mut world = World::placed_as(data);
    one(&mut world);
    one(&mut world);
    assert_eq!(
        world.ask(less(json!([{ "line_id": "a", "quantity": 3, "amount_minor": 99 }]))),
        Code::NotAmendable
    );
    world.answer(declined("no"));
    assert_eq!(world.runs_out(), ["void", "release"]);
    // Nothing to pay any more: what is authorized is given up, and the goods go.
    let mut world = third_in_flight();
    one(&mut world);
    assert_eq!(world.step(), Some(Step::Book));
    let mut world = third_in_flight();
    let line = json!({ "line_id": "c", "sku": "u", "quantity": 1, "amount_minor": 0 });
    assert_eq!(world.ask(amend(json!({ "add_lines": [line] }))), Code::Applied);
    one(&mut world);
    world.answer(declined("out_of_stock"));
    let free = |id: &str, quantity: u32| json!({ "line_id": id, "quantity": quantity, "amount_minor": 0 });
    assert_eq!(world.ask(less(json!([free("a", 3), free("b", 1), free("c", 0)]))), Code::Applied);
    assert_eq!(
        all(&mut world),
        [
            "void p3 600 of authorize-3",
            "void p2 400 of authorize-2",
            "void 500 of authorize-1",
            "book a:3 b:1"
        ]
    );
    assert_eq!((world.status(), world.totals().captured_minor), (OrderStatus::Completed, 0));
}

#[test]
fn a_further_payment_that_is_declined_follows_the_rule() {
    for on_decline in [OnDecline::Cancel, OnDecline::Wait] {
        let mut world = World::empty();
        world.context.policy.payments = PaymentRules { on_decline, ..PaymentRules::DEFAULT };
        assert_eq!(world.ask(place_of(paid_by(&[500, 1000]))), Code::Applied);
        one(&mut world);
        one(&mut world);
        let line = json!({ "line_id": "c", "sku": "u", "quantity": 1, "amount_minor": 300 });
        let pays = json!([{ "payment_id": "more", "token_ref": "t", "amount_minor": 300 }]);
        assert_eq!(world.ask(amend(json!({ "add_lines": [line], "payments": pays }))), Code::Applied);
        assert_eq!(one(&mut world), "authorize p2 1000");
        assert_eq!(one(&mut world), "reserve g2 c:1");
        world.answer(declined("no"));
        if on_decline == OnDecline::Cancel {
            assert_eq!(world.status(), OrderStatus::Canceling);
            continue;
        }
        assert!(world.order().saga.waiting_until.is_some());
        // Without the line nothing is waited for.
        assert_eq!(world.ask(cancel_units(json!([{ "line_id": "c", "quantity": 1 }]))), Code::Applied);
        assert_eq!(all(&mut world)[0], "release g2 c:1 of reserve-2");
        assert_eq!((world.status(), world.totals().captured_minor), (OrderStatus::Completed, 1500));
    }
}

#[test]
fn address_attributes_and_note_are_changed_and_shown() {
    let mut data = basket();
    data["attributes"] = json!({ "channel": "web", "gift": "yes" });
    let mut world = World::placed_as(data);
    let data = json!({ "delivery": { "method": "express", "address_ref": "addr-2" },
        "attributes": { "gift": "", "floor": "3" }, "note": "ring twice" });
    assert_eq!(world.ask(amend(data)), Code::Applied, "also while stock is being reserved");
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    assert_eq!(view.delivery.map(|one| one.method), Some("express".into()));
    assert_eq!(view.note.as_deref(), Some("ring twice"));
    let attributes: Vec<_> = view.attributes.iter().map(|(name, text)| (&**name, &**text)).collect();
    assert_eq!(attributes, [("channel", "web"), ("floor", "3")]);
    assert!(world.order().saga.goods.is_none(), "the goods go all at once");
    assert_eq!(all(&mut world), ["reserve", "authorize 1500", "book", "capture 1500 of authorize-1"]);
}

#[test]
fn parts_of_a_line_are_scaled_and_nothing_is_lost() {
    let lines = json!([{ "line_id": "a", "sku": "s", "quantity": 3, "amount_minor": 1000, "components": [
        { "kind": "goods", "amount_minor": 1100 }, { "kind": "tax", "amount_minor": 101 }, { "kind": "discount", "amount_minor": -201 }] }]);
    let mut world = World::placed_as(json!({ "customer": "c", "currency": "EUR", "lines": lines,
        "payments": [{ "payment_id": "p1", "token_ref": "t", "amount_minor": 0 }, { "payment_id": "p2", "token_ref": "t", "amount_minor": 1000 }] }));
    one(&mut world);
    assert_eq!(world.ask(less(json!([{ "line_id": "a", "quantity": 4 }]))), Code::Applied);
    let placed = world.order().placed.clone().unwrap();
    let parts: Vec<i64> = placed.lines[0].components.iter().map(|part| part.amount_minor).collect();
    assert_eq!((placed.lines[0].amount_minor, parts), (1333, vec![1466, 135, -268]));
    all(&mut world);
    assert_eq!(world.totals().captured_minor, 1333);
}

/// The checker forgot what an only payment had been planned for before a second one came.
#[test]
fn an_only_payment_that_was_authorized_for_more_stands_beside_a_second_one() {
    let mut world = World::placed();
    world.answer(done());
    world.answer(pending("p-1", None));
    assert_eq!(world.ask(hold("look", None)), Code::Applied);
    assert_eq!(world.ask(report(Step::Authorize, "p-1", "done")), Code::Applied);
    assert_eq!(world.totals().authorized_minor, 1500);
    let less = json!({ "lines": [{ "line_id": "a", "quantity": 1 }] });
    assert_eq!(world.ask(amend(less)), Code::Applied);
    let line = json!({ "line_id": "c", "sku": "s", "quantity": 1, "amount_minor": 2000 });
    let pays = json!([{ "payment_id": "second", "token_ref": "t", "amount_minor": 2000 }]);
    assert_eq!(world.ask(amend(json!({ "add_lines": [line], "payments": pays }))), Code::Applied);
    assert_eq!(world.ask(release_hold("look")), Code::Applied);
    world.runs_out();
    assert_eq!(world.status(), OrderStatus::Completed);
}
