//! Refunds without goods.

use super::*;
use crate::wire::order::RefundStanding;
use crate::wire::return_rules::{RefundRule, ReturnRules};
use serde_json::{Value, json};

/// A line of 2000 of 2 units, shipping 500 and tax 190 beside it, completed.
fn row_6(rules: ReturnRules) -> World {
    let mut world = World::empty();
    world.context.policy.returns = rules;
    let data = json!({ "customer": "c", "currency": "EUR",
        "lines": [{ "line_id": "a", "sku": "s", "quantity": 2, "amount_minor": 2000 }],
        "components": [{ "kind": "shipping", "amount_minor": 500 }, { "kind": "tax", "amount_minor": 190 }] });
    assert_eq!(world.ask(place_of(data)), Code::Applied);
    world.runs_out();
    world
}

fn all_back() -> CommandData {
    returning(json!([{ "line_id": "a", "quantity": 2 }]))
}

fn one_back() -> CommandData {
    returning(json!([{ "line_id": "a", "quantity": 1 }]))
}

fn of_components(parts: &[(&str, i64)]) -> CommandData {
    let all: i64 = parts.iter().map(|(_, minor)| minor).sum();
    let part = |(kind, minor): &(&str, i64)| json!({ "kind": kind, "amount_minor": minor });
    refund(json!({ "amount_minor": all, "components": parts.iter().map(part).collect::<Vec<Value>>() }))
}

fn of_line(minor: i64) -> CommandData {
    refund(json!({ "amount_minor": minor, "lines": [{ "line_id": "a", "amount_minor": minor }] }))
}

fn of_nothing(minor: i64) -> CommandData {
    refund(json!({ "amount_minor": minor }))
}

/// What a command pays back, when all is done that it asks for.
#[track_caller]
fn pays(world: &mut World, command: CommandData) -> i64 {
    let before = world.totals().refunded_minor;
    assert_eq!(world.ask(command), Code::Applied);
    world.runs_out();
    world.totals().refunded_minor - before
}

#[track_caller]
fn rejected_at(world: &mut World, command: CommandData, code: Code, path: &str) {
    let before = world.aggregate.order.clone();
    assert_eq!(world.ask(command), code);
    assert_eq!(world.said.path(), Some(path), "{}", world.said.message());
    assert_eq!(*world.order(), before, "nothing changes");
}

fn standings(world: &World) -> Vec<(String, i64, RefundStanding)> {
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    let of = |refund: crate::wire::order::OrderRefund| {
        (refund.refund_id, refund.refunded_minor.minor(), refund.state)
    };
    view.refunds.into_iter().map(of).collect()
}

#[test]
fn all_comes_back_and_then_shipping_and_tax() {
    let mut world = row_6(ReturnRules::NEVER);
    assert_eq!(pays(&mut world, all_back()), 2000);
    assert_eq!(pays(&mut world, of_components(&[("shipping", 500), ("tax", 190)])), 690);
    assert_eq!(world.totals().refunded_minor, 2690);
    rejected_at(&mut world, of_nothing(1), Code::OverRefund, "data.amount_minor");
    assert_eq!(standings(&world), [("f1".into(), 690, RefundStanding::Paid)]);
}

#[test]
fn what_a_rule_paid_is_not_paid_again() {
    let rules =
        ReturnRules { shipping: RefundRule::WithLastUnit, tax: RefundRule::ProRata, ..ReturnRules::NEVER };
    let mut world = row_6(rules);
    assert_eq!(pays(&mut world, all_back()), 2690);
    rejected_at(&mut world, of_components(&[("tax", 1)]), Code::OverRefund, "data.amount_minor");
    let mut world = row_6(rules);
    assert_eq!(pays(&mut world, one_back()), 1095);
    rejected_at(
        &mut world,
        of_components(&[("tax", 96)]),
        Code::OverRefund,
        "data.components[0].amount_minor",
    );
    assert_eq!(pays(&mut world, of_components(&[("tax", 95)])), 95, "what is left of the tax");
    assert_eq!(pays(&mut world, one_back()), 1500, "its half of the line, and shipping; the tax is paid");
    assert_eq!(world.totals().refunded_minor, 2690);
}

#[test]
fn before_a_return_it_reduces_what_is_left() {
    let mut world = row_6(ReturnRules::NEVER);
    assert_eq!(pays(&mut world, of_line(500)), 500);
    assert_eq!(pays(&mut world, all_back()), 1500, "no more than the line was");
    rejected_at(&mut world, of_line(1), Code::OverRefund, "data.lines[0].amount_minor");
    assert_eq!(pays(&mut world, of_components(&[("shipping", 500)])), 500);
    rejected_at(
        &mut world,
        of_components(&[("shipping", 1)]),
        Code::OverRefund,
        "data.components[0].amount_minor",
    );
    // Of nothing in particular: only what is left of all bounds it.
    let mut world = row_6(ReturnRules::NEVER);
    assert_eq!(pays(&mut world, of_nothing(1000)), 1000);
    assert_eq!(pays(&mut world, all_back()), 1690);
    assert_eq!(world.totals().refunded_minor, 2690);
    assert!(world.order().saga.owed().is_none());
}

#[test]
fn a_line_is_paid_back_unit_by_unit_after_a_part_of_it() {
    let mut world = row_6(ReturnRules::NEVER);
    assert_eq!(pays(&mut world, of_line(500)), 500);
    assert_eq!([1, 2].map(|_| pays(&mut world, one_back())), [1000, 500]);
    let mut world = row_6(ReturnRules::NEVER);
    assert_eq!(pays(&mut world, one_back()), 1000);
    rejected_at(&mut world, of_line(1001), Code::OverRefund, "data.lines[0].amount_minor");
    assert_eq!(pays(&mut world, of_line(1000)), 1000);
    assert_eq!(pays(&mut world, one_back()), 0, "it is paid already");
}

#[test]
fn shipping_that_was_paid_back_does_not_come_with_the_last_unit() {
    let rules = ReturnRules { shipping: RefundRule::WithLastUnit, ..ReturnRules::NEVER };
    let mut world = row_6(rules);
    assert_eq!(pays(&mut world, of_components(&[("shipping", 200)])), 200);
    assert_eq!(pays(&mut world, all_back()), 2300);
}

#[test]
fn several_wait_for_each_other_and_are_promised() {
    let mut world = row_6(ReturnRules::NEVER);
    assert_eq!(world.ask(of_nothing(2000)), Code::Applied);
    assert_eq!(world.asking(), "refund 1.1");
    assert_eq!(world.ask(all_back()), Code::Applied, "while it is in flight");
    assert!(world.said.message().contains("690"), "capped: {}", world.said.message());
    rejected_at(&mut world, of_nothing(1), Code::OverRefund, "data.amount_minor");
    assert_eq!(standings(&world), [("f1".into(), 0, RefundStanding::InFlight)]);
    assert_eq!(world.runs_out(), ["refund", "refund", "restock"]);
    assert_eq!(world.trail.last().unwrap(), "restock 1.1");
    assert_eq!(world.totals().refunded_minor, 2690);
    // The other way round: a return in flight, then two refunds, in the order of asking.
    let mut world = row_6(ReturnRules::NEVER);
    assert_eq!(world.ask(one_back()), Code::Applied);
    assert_eq!(world.ask(of_components(&[("tax", 190)])), Code::Applied);
    assert_eq!(world.ask(of_nothing(10)), Code::Applied);
    assert_eq!(world.ask(one_back()), Code::Applied);
    assert_eq!(world.runs_out(), ["refund", "restock", "refund", "refund", "refund", "restock"]);
    assert_eq!(world.totals().refunded_minor, 2200);
}

#[test]
fn what_is_asked_for_can_be_read() {
    let mut world = row_6(ReturnRules::NEVER);
    let (path, line) =
        ("data.lines[1].line_id", |id: &str, minor| json!({ "line_id": id, "amount_minor": minor }));
    let unknown = refund(json!({ "amount_minor": 20, "lines": [line("a", 10), line("z", 10)] }));
    rejected_at(&mut world, unknown, Code::UnknownLine, path);
    let stranger = refund(json!({ "amount_minor": 20, "payment_id": "p9" }));
    rejected_at(&mut world, stranger, Code::UnknownPayment, "data.payment_id");
    rejected_at(
        &mut world,
        of_components(&[("fee", 1)]),
        Code::OverRefund,
        "data.components[0].amount_minor",
    );
    assert!(world.said.message().contains("0 is left of fee"), "{}", world.said.message());
    rejected_at(
        &mut world,
        of_components(&[("tax", 100), ("tax", 100)]),
        Code::OverRefund,
        "data.components[1].amount_minor",
    );
    rejected_at(&mut world, of_nothing(2691), Code::OverRefund, "data.amount_minor");
    assert!(world.said.message().contains("2690 is left"), "{}", world.said.message());
    let named = refund(json!({ "amount_minor": 20, "payment_id": "payment" }));
    assert_eq!(pays(&mut world, named), 20);
}

#[test]
fn it_is_too_early_or_too_late() {
    let mut world = World::at(Step::Capture);
    rejected_at(&mut world, of_nothing(1), Code::OverRefund, "data.amount_minor");
    assert_eq!(world.ask(cancel()), Code::Applied);
    assert_eq!(world.ask(of_nothing(1)), Code::AlreadyCanceled);
    world.runs_out();
    assert_eq!(world.ask(of_nothing(1)), Code::AlreadyCanceled);
    assert_eq!(World::empty().ask(of_nothing(1)), Code::OrderNotFound);
    let mut world = World::completed();
    assert_eq!(world.ask(archive()), Code::Applied);
    assert_eq!(world.ask(of_nothing(1)), Code::Archived);
    assert_eq!(world.ask(restore()), Code::Applied);
    assert_eq!(world.ask(of_nothing(1)), Code::Applied);
    assert_eq!(world.ask(archive()), Code::NotTerminal, "it is owed something");
}

#[test]
fn what_its_provider_refuses_is_held_and_tried_again() {
    let mut world = row_6(ReturnRules::NEVER);
    assert_eq!(world.ask(of_nothing(100)), Code::Applied);
    assert_eq!(world.ask(of_nothing(200)), Code::Applied);
    world.answer(refused("closed"));
    assert_eq!(world.attention(), Attention::Held);
    assert_eq!(
        standings(&world),
        [("f1".into(), 0, RefundStanding::Held), ("f2".into(), 0, RefundStanding::Queued)]
    );
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!(world.asking(), "refund 2.1");
    world.answer(failed());
    world.answer(not_done("no"));
    assert_eq!(world.asking(), "refund 2.2", "the same refund under the next generation");
    world.deadline_passes();
    assert_eq!(world.ask(resolve_part(Step::Refund, "f1", true)), Code::Applied);
    assert_eq!(world.runs_out(), ["refund"]);
    assert_eq!(world.totals().refunded_minor, 300);
}

#[test]
fn the_public_hears_of_what_it_is() {
    let rules = ReturnRules { tax: RefundRule::ProRata, ..ReturnRules::NEVER };
    let mut world = row_6(rules);
    let both = refund(json!({ "amount_minor": 600,
        "lines": [{ "line_id": "a", "amount_minor": 100 }], "components": [{ "kind": "shipping", "amount_minor": 500 }] }));
    assert_eq!(world.ask(both), Code::Applied);
    world.runs_out();
    assert_eq!(world.ask(one_back()), Code::Applied);
    world.runs_out();
    let mut replayed = Aggregate::new(crate::order::tests::the_order());
    let mut told = Vec::new();
    for bytes in &world.log {
        let published = crate::order::Incoming::read(bytes).unwrap().publish(&mut replayed).unwrap();
        told.extend(published.into_iter().map(|found| json!(found.event)));
    }
    let refunds: Vec<&Value> = told
        .iter()
        .filter(|event| event["type"] == "retailflow.order.refunded.v1")
        .map(|event| &event["data"])
        .collect();
    assert_eq!(refunds[0]["refund_id"], "f1");
    assert_eq!(refunds[0]["lines"], json!([{ "line_id": "a", "amount_minor": 100 }]));
    assert_eq!(refunds[0]["components"], json!([{ "kind": "shipping", "amount_minor": 500 }]));
    assert_eq!((&refunds[1]["return_id"], &refunds[1]["amount_minor"]), (&json!("r1"), &json!(1095)));
    assert_eq!(refunds[1]["lines"], json!([{ "line_id": "a", "amount_minor": 1000 }]));
    assert_eq!(refunds[1]["components"], json!([{ "kind": "tax", "amount_minor": 95 }]));
}
