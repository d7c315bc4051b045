//! What returns say beside: a fee, a condition, units that are not restocked.

use serde_json::{Value, json};

use super::world::*;
use crate::order::{Incoming, view_of};

fn view(world: &World) -> Value {
    json!(view_of(&world.aggregate, None).unwrap().unwrap())
}

/// What the last event of a type says.
fn told(world: &World, kind: &str) -> Value {
    let mut aggregate = Aggregate::new(super::super::the_order());
    let mut last = Value::Null;
    for bytes in &world.log {
        for published in Incoming::read(bytes).unwrap().publish(&mut aggregate).unwrap() {
            if published.event.data.kind() == format!("retailflow.order.{kind}.v1") {
                last = json!(published.event)["data"].clone();
            }
        }
    }
    last
}

#[test]
fn a_fee_stays_with_the_shop() {
    let one = json!({ "customer": "c", "currency": "EUR", "lines": [
        { "line_id": "a", "sku": "s", "quantity": 2, "amount_minor": 2000 },
    ] });
    let mut world = World::placed_as(one);
    world.runs_out();
    let unit = json!([{ "line_id": "a", "quantity": 1 }]);
    assert_eq!(world.ask(returning_with(json!({ "lines": unit, "fee_minor": 200 }))), Code::Applied);
    assert_eq!(world.active().unwrap().amount_minor, 800);
    assert_eq!(world.said.message(), Code::Applied.meaning());
    assert_eq!(told(&world, "returned")["fee_minor"], 200);
    world.runs_out();
    assert_eq!(world.ask(returning(unit)), Code::Applied);
    assert_eq!(world.active().unwrap().amount_minor, 1000);
    world.runs_out();
    assert_eq!(world.order().saga.left_minor(), 200);
    assert_eq!(view(&world)["return_terms"][0]["fee_minor"], 200);
}

#[test]
fn a_fee_keeps_no_more_than_is_paid() {
    let mut world = World::completed();
    let lines = json!([{ "line_id": "a", "quantity": 1, "amount_minor": 100 }, { "line_id": "b", "quantity": 1, "amount_minor": 50 }]);
    assert_eq!(world.ask(returning_with(json!({ "lines": lines, "fee_minor": 100 }))), Code::Applied);
    // 100 of 150, by what each line is paid.
    assert_eq!(told(&world, "returned")["lines"][0]["refund_minor"], 33);
    assert_eq!(told(&world, "returned")["lines"][1]["refund_minor"], 17);
    world.runs_out();
    let more = json!({ "lines": [{ "line_id": "a", "quantity": 1, "amount_minor": 30 }], "fee_minor": 40 });
    assert_eq!(world.ask(returning_with(more)), Code::Applied);
    assert!(world.said.message().contains("it keeps 30, not 40"), "{:?}", world.said);
    assert_eq!(world.runs_out(), ["restock"], "nothing is paid");
}

#[test]
fn what_is_not_restocked_goes_through_no_step() {
    let mut world = World::completed();
    let broken = json!([{ "line_id": "a", "quantity": 2, "condition": "broken" }, { "line_id": "b", "quantity": 1, "restock": "yes" }]);
    assert_eq!(world.ask(returning_with(json!({ "lines": broken, "restock": "no" }))), Code::Applied);
    let lines = told(&world, "returned")["lines"].clone();
    assert_eq!(
        (&lines[0]["restock"], &lines[0]["condition"], &lines[1]["restock"]),
        (&json!("no"), &json!("broken"), &json!("yes"))
    );
    assert_eq!(world.runs_out(), ["refund", "restock"]);
    assert_eq!(told(&world, "restocked")["lines"], json!([{ "line_id": "b", "quantity": 1 }]));
    assert_eq!(world.totals().restocked_units, 1);
}

#[test]
fn with_nothing_to_restock_it_is_through_when_it_is_paid_back() {
    let mut world = World::completed();
    let broken = json!({ "lines": [{ "line_id": "a", "quantity": 1 }], "restock": "no" });
    assert_eq!(world.ask(returning_with(broken.clone())), Code::Applied);
    assert_eq!(world.runs_out(), ["refund"]);
    assert_eq!(told(&world, "refunded")["lines"][0]["line_id"], "a");
    assert!(world.order().saga.owed().is_none() && world.order().deadline.is_none());
    let free = json!({ "lines": [{ "line_id": "a", "quantity": 1, "amount_minor": 0 }], "restock": "no" });
    assert_eq!(world.ask(returning_with(free)), Code::Applied);
    assert_eq!(world.step(), None, "nothing is to be done");
    assert_eq!(world.ask(returning(json!([{ "line_id": "b", "quantity": 1 }]))), Code::Applied);
    assert_eq!(world.runs_out(), ["refund", "restock"]);
    assert_eq!(world.ask(archive()), Code::Applied);
}
