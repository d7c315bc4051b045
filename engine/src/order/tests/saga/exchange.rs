//! Units come back and others are ordered in their place: one settlement.

use serde_json::{Value, json};

use super::world::*;

/// Line `line_id` comes back, `quantity` of it, and a line `c` of one unit for so much is ordered.
fn exchange(line_id: &str, quantity: u32, price: i64, payments: Value) -> CommandData {
    let data = json!({ "reason": "too small", "payments": payments,
        "lines": [{ "line_id": line_id, "quantity": quantity }],
        "add_lines": [{ "line_id": "c", "sku": "u", "quantity": 1, "amount_minor": price }] });
    CommandData::Exchange(serde_json::from_value(data).unwrap())
}

fn exchanged(line_id: &str, quantity: u32, price: i64) -> World {
    let mut world = World::completed();
    assert_eq!(world.ask(exchange(line_id, quantity, price, json!([]))), Code::Applied);
    world
}

/// Captured, paid back, and what the order costs.
fn money(world: &World) -> (i64, i64, i64) {
    let totals = world.totals();
    (totals.captured_minor, totals.refunded_minor, world.order().placed.as_ref().unwrap().total_minor)
}

#[test]
fn what_is_worth_the_same_moves_no_money() {
    let mut world = exchanged("b", 1, 500);
    assert_eq!(world.status(), OrderStatus::Open);
    assert_eq!(world.runs_out(), ["reserve", "book", "restock"]);
    assert_eq!((world.status(), money(&world)), (OrderStatus::Completed, (1500, 0, 2000)));
    // The new line is worth what was paid for it.
    assert_eq!(world.ask(returning(json!([{ "line_id": "c", "quantity": 1 }]))), Code::Applied);
    assert_eq!(world.active().unwrap().amount_minor, 500);
}

#[test]
fn only_the_difference_is_paid_or_paid_back() {
    let mut world = exchanged("b", 1, 700);
    assert_eq!(world.runs_out(), ["reserve", "authorize", "book", "capture", "restock"]);
    assert_eq!((world.status(), money(&world)), (OrderStatus::Completed, (1700, 0, 2200)));
    let mut world = exchanged("b", 1, 300);
    assert_eq!(world.active().unwrap().amount_minor, 200, "money goes back first");
    assert_eq!(world.runs_out(), ["refund", "reserve", "book", "restock"]);
    assert_eq!((world.status(), money(&world)), (OrderStatus::Completed, (1500, 200, 1800)));
    // All of it comes back in the end, and no more.
    for (line_id, quantity, minor) in [("a", 3, 1000), ("c", 1, 300)] {
        assert_eq!(
            world.ask(returning(json!([{ "line_id": line_id, "quantity": quantity }]))),
            Code::Applied
        );
        assert_eq!(world.active().unwrap().amount_minor, minor);
        world.runs_out();
    }
    assert_eq!(money(&world), (1500, 1500, 1800));
}

#[test]
fn the_difference_is_paid_as_the_command_says() {
    let mut world = World::completed();
    let by = |minor: i64| json!([{ "payment_id": "x", "token_ref": "t", "amount_minor": minor }]);
    assert_eq!(world.ask(exchange("b", 1, 700, by(700))), Code::WrongPayment);
    assert_eq!(world.ask(exchange("b", 1, 700, by(200))), Code::Applied);
    world.runs_out();
    assert_eq!((world.status(), money(&world)), (OrderStatus::Completed, (1700, 0, 2200)));
}

#[test]
fn an_exchanged_order_never_turns_back() {
    let mut world = exchanged("b", 1, 700);
    assert_eq!(world.ask(cancel()), Code::NotCancelable);
    assert_eq!(world.ask(compensate()), Code::OrderTerminal);
    world.answer(declined("out_of_stock"));
    assert_eq!((world.status(), world.attention()), (OrderStatus::Open, Attention::Held));
    // What was to go out is canceled: what came back is paid back.
    assert_eq!(world.ask(cancel_units(json!([{ "line_id": "c", "quantity": 1 }]))), Code::Applied);
    assert_eq!(world.active().unwrap().amount_minor, 500);
    assert_eq!(world.runs_out(), ["refund", "restock"]);
    assert_eq!((world.status(), money(&world)), (OrderStatus::Completed, (1500, 500, 1500)));
}

#[test]
fn a_difference_that_is_not_paid_waits_for_another_means() {
    let mut world = exchanged("b", 1, 700);
    world.answer(done());
    world.answer(declined("card_declined"));
    assert!(world.order().saga.waiting_until.is_some());
    let by = json!([{ "payment_id": "x", "token_ref": "t", "amount_minor": 200 }]);
    assert_eq!(world.ask(pay(by)), Code::Applied);
    assert_eq!(world.runs_out(), ["authorize", "book", "capture", "restock"]);
    assert_eq!(world.status(), OrderStatus::Completed);
}

#[test]
fn only_what_is_completed_is_exchanged_and_only_what_is_there() {
    assert_eq!(World::placed().ask(exchange("b", 1, 500, json!([]))), Code::NothingToReturn);
    let mut world = World::completed();
    assert_eq!(world.ask(exchange("b", 2, 500, json!([]))), Code::OverReturn);
    assert_eq!(world.ask(exchange("z", 1, 500, json!([]))), Code::UnknownLine);
    let mut again = exchange("b", 1, 500, json!([]));
    if let CommandData::Exchange(data) = &mut again {
        data.add_lines[0].line_id = "a".into();
    }
    assert_eq!(world.ask(again), Code::NotAmendable);
    assert_eq!(world.ask(exchange("b", 1, 500, json!([]))), Code::Applied);
    world.runs_out();
    // And once more, from the new line.
    let mut more = exchange("c", 1, 900, json!([]));
    if let CommandData::Exchange(data) = &mut more {
        data.add_lines[0].line_id = "d".into();
    }
    assert_eq!(world.ask(more), Code::Applied);
    world.runs_out();
    assert_eq!((world.status(), money(&world)), (OrderStatus::Completed, (1900, 0, 2900)));
}
