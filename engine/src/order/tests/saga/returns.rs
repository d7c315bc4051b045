//! Returns.

use super::*;
use serde_json::{Value, json};

fn of_a(quantity: u32) -> CommandData {
    returning(json!([{ "line_id": "a", "quantity": quantity }]))
}

/// What the next return pays back.
fn pays(world: &mut World, command: CommandData) -> i64 {
    let before = world.totals().refunded_minor;
    assert_eq!(world.ask(command), Code::Applied);
    world.runs_out();
    world.totals().refunded_minor - before
}

#[test]
fn the_parts_of_a_line_add_up_to_the_cent() {
    for parts in [&[1, 1, 1][..], &[2, 1], &[1, 2], &[3]] {
        let mut world = World::completed();
        let paid: Vec<i64> = parts.iter().map(|part| pays(&mut world, of_a(*part))).collect();
        assert_eq!(paid.iter().sum::<i64>(), 1000, "{parts:?}: {paid:?}");
        assert_eq!(pays(&mut world, returning(json!([{ "line_id": "b", "quantity": 1 }]))), 500);
        let totals = world.totals();
        assert_eq!((totals.refunded_minor, totals.restocked_units), (1500, 4));
        assert_eq!(world.ask(of_a(1)), Code::OverReturn);
        assert_eq!(world.status(), OrderStatus::Completed);
    }
    let mut world = World::completed();
    assert_eq!([1, 1, 1].map(|part| pays(&mut world, of_a(part))), [333, 334, 333]);
}

#[test]
fn a_return_asks_for_its_own_lines() {
    let mut world = World::completed();
    let both = json!([{ "line_id": "b", "quantity": 1 }, { "line_id": "a", "quantity": 2 }]);
    assert_eq!(world.ask(returning(both)), Code::Applied);
    let request = world.effect().unwrap().request;
    assert_eq!((request.step, request.amount_minor), (Step::Refund, 500 + 667));
    assert_eq!(request.reference.as_deref(), Some("ref"), "the capture");
    world.answer(done());
    let request = world.effect().unwrap().request;
    assert_eq!((request.step, request.amount_minor, request.unit_count()), (Step::Restock, 0, 3));
    world.answer(done());
    assert_eq!(world.order().deadline, None);
}

#[test]
fn what_cannot_come_back_is_rejected() {
    let mut world = World::placed();
    assert_eq!(world.ask(of_a(1)), Code::NothingToReturn, "it is not delivered");
    world.runs_out();
    assert_eq!(world.ask(of_a(4)), Code::OverReturn);
    assert_eq!(world.ask(returning(json!([{ "line_id": "z", "quantity": 1 }]))), Code::UnknownLine);
    let asking = |quantity: u32, amount: i64| {
        returning(json!([{ "line_id": "a", "quantity": quantity, "amount_minor": amount }]))
    };
    assert_eq!(world.ask(asking(1, 1501)), Code::OverRefund);
    assert_eq!(pays(&mut world, asking(1, 900)), 900, "goodwill");
    assert_eq!(world.ask(asking(1, 601)), Code::OverRefund);
    assert_eq!(pays(&mut world, of_a(1)), 334, "its own share");
    assert_eq!(pays(&mut world, of_a(1)), 266, "what is left of 1500 that were captured");
    assert_eq!(world.totals().restocked_units, 3);
}

#[test]
fn a_discount_on_the_order_is_not_paid_back() {
    let mut data = basket();
    data["components"] = json!([{ "kind": "discount", "amount_minor": -700 }]);
    let mut world = World::placed_as(data);
    world.runs_out();
    assert_eq!(world.totals().captured_minor, 800);
    assert_eq!(pays(&mut world, of_a(2)), 355, "of 1000 less 467 of the discount");
    let explicit =
        |amount: i64| returning(json!([{ "line_id": "a", "quantity": 1, "amount_minor": amount }]));
    assert_eq!(world.ask(explicit(446)), Code::OverRefund, "445 are left of what was paid");
    assert_eq!(pays(&mut world, of_a(1)), 178);
    assert_eq!(pays(&mut world, returning(json!([{ "line_id": "b", "quantity": 1 }]))), 267);
    assert_eq!((world.totals().refunded_minor, world.totals().restocked_units), (800, 4));
}

#[test]
fn shipping_is_not_a_line_and_is_kept() {
    let mut data = basket();
    data["components"] = json!([{ "kind": "shipping", "amount_minor": 490 }]);
    let mut world = World::placed_as(data);
    world.runs_out();
    let all: Value = json!([{ "line_id": "a", "quantity": 3 }, { "line_id": "b", "quantity": 1 }]);
    assert_eq!(pays(&mut world, returning(all)), 1500);
}

#[test]
fn returns_are_carried_out_one_after_another() {
    let mut world = World::completed();
    for _ in 0..3 {
        assert_eq!(world.ask(of_a(1)), Code::Applied);
    }
    world.trail.clear();
    assert_eq!(world.runs_out(), ["refund", "restock", "refund", "restock", "refund", "restock"]);
    assert_eq!(world.trail, ["restock 1.1", "refund 2.1", "restock 2.1", "refund 3.1", "restock 3.1"]);
    assert_eq!((world.totals().refunded_minor, world.totals().restocked_units), (1000, 3));
}

#[test]
fn open_returns_are_bounded() {
    let mut data = basket();
    data["lines"][0]["quantity"] = json!(1000);
    let mut world = World::placed_as(data);
    world.runs_out();
    for _ in 0..64 {
        assert_eq!(world.ask(of_a(1)), Code::Applied);
    }
    assert_eq!(world.ask(of_a(1)), Code::Overloaded);
    world.answer(done());
    world.answer(done());
    assert_eq!(world.ask(of_a(1)), Code::Applied);
}

#[test]
fn a_refund_that_is_refused_is_held_and_its_turn_stays() {
    let held = || {
        let mut world = World::completed();
        world.ask(of_a(1));
        world.ask(of_a(2));
        world.answer(declined("no such account"));
        assert_eq!((world.active(), world.attention()), (None, Attention::Held));
        world
    };
    let mut world = held();
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!((world.asking(), world.effect().unwrap().request.amount_minor), ("refund 2.1".into(), 333));
    assert_eq!(world.runs_out(), ["refund", "restock", "refund", "restock"]);
    assert_eq!(world.totals().refunded_minor, 1000);

    let mut world = held();
    assert_eq!(world.ask(resolve_part(Step::Restock, "r1", true)), Code::StepNotPending);
    assert_eq!(world.ask(resolve_part(Step::Refund, "r1", true)), Code::Applied, "paid by hand");
    assert_eq!(world.runs_out(), ["restock", "refund", "restock"]);
    assert_eq!((world.totals().refunded_minor, world.attention()), (1000, Attention::None));

    let mut world = held();
    world.deadline_passes();
    assert_eq!(world.ask(of_a(1)), Code::OverReturn, "what is asked for counts");
}

#[test]
fn a_refund_that_fails_keeps_its_amount_under_each_key() {
    let mut world = World::completed();
    world.ask(of_a(1));
    for generation in 1..=CONTEXT.policy.step_attempts_max {
        assert_eq!(world.asking(), format!("refund 1.{generation}"));
        assert_eq!(world.effect().unwrap().request.amount_minor, 333);
        world.answer(settled(false));
    }
    assert_eq!(world.attention(), Attention::Held);
    world.ask(resume());
    world.runs_out();
    assert_eq!(world.totals().refunded_minor, 333);
}

#[test]
fn a_pending_refund_is_reported() {
    let mut world = World::completed();
    world.ask(of_a(1));
    world.answer(pending("bank-1", None));
    assert_eq!(world.ask(report(Step::Refund, "bank-1", "done")), Code::Applied);
    assert_eq!(world.runs_out(), ["restock"]);
}

/// A return's lines may be many: what follows from them must not break the record.
#[test]
fn a_return_of_a_thousand_lines_fits() {
    let name = |number: usize| format!("{number:04}{}", "\u{1f6d2}".repeat(124));
    let lines: Vec<Value> = (0..1000)
        .map(|number| json!({ "line_id": name(number), "sku": "s", "quantity": 1, "amount_minor": 1 }))
        .collect();
    let mut world = World::placed_as(json!({ "customer": "c", "currency": "EUR", "lines": lines }));
    world.runs_out();
    let back: Vec<Value> =
        (0..1000).map(|number| json!({ "line_id": name(number), "quantity": 1 })).collect();
    assert_eq!(world.ask(returning(json!(back))), Code::Applied);
    world.runs_out();
    assert_eq!((world.totals().refunded_minor, world.totals().restocked_units), (1000, 1000));
}
