//! Facts: money that the bank took back is not paid back a second time.

use serde_json::json;

use super::world::*;
use crate::order::view_of;

fn view(world: &World) -> serde_json::Value {
    json!(view_of(&world.aggregate, None).unwrap().unwrap())
}

#[test]
fn one_of_a_kind_and_reference_is_recorded_once() {
    let mut world = World::completed();
    assert_eq!(world.ask(record("external_payment", "cash-1", 300, None)), Code::Applied);
    assert_eq!(world.ask(record("external_payment", "cash-1", 400, None)), Code::AlreadyRecorded);
    assert_eq!(world.said.path(), Some("data.reference"));
    assert_eq!(world.ask(record("goodwill", "cash-1", 400, None)), Code::Applied);
    assert_eq!(world.ask(record("external_payment", "cash-2", 5, None)), Code::Applied);
    let view = view(&world);
    assert_eq!(view["facts"].as_array().unwrap().len(), 3);
    let sums = json!([{ "kind": "goodwill", "amount_minor": 400 }, { "kind": "external_payment", "amount_minor": 305 }]);
    assert_eq!(view["fact_sums"], sums);
    assert_eq!(world.order().saga.left_minor(), 1500, "it moves nothing of what was captured");
}

#[test]
fn what_is_charged_back_is_not_paid_back() {
    let mut world = World::completed();
    assert_eq!(world.ask(record("chargeback", "case-1", 1501, None)), Code::OverRefund);
    assert_eq!(world.ask(record("chargeback", "case-1", 900, Some("other"))), Code::UnknownPayment);
    assert_eq!(world.ask(record("chargeback", "case-1", 900, None)), Code::Applied);
    assert_eq!(world.order().saga.left_minor(), 600);
    assert_eq!(view(&world)["payment"]["charged_back_minor"], 900);
    assert_eq!(world.ask(refund(json!({ "amount_minor": 601 }))), Code::OverRefund);
    assert_eq!(world.ask(returning(json!([{ "line_id": "a", "quantity": 3 }]))), Code::Applied);
    assert_eq!(world.active().unwrap().amount_minor, 600, "the return is capped");
    assert_eq!(world.runs_out(), ["refund", "restock"]);
    assert_eq!(world.ask(record("chargeback", "case-2", 601, None)), Code::OverRefund);
}

#[test]
fn what_is_promised_and_charged_back_is_covered_and_what_is_in_flight_is_left() {
    let mut world = World::completed();
    world.ask(refund(json!({ "amount_minor": 400 })));
    world.ask(refund(json!({ "amount_minor": 700 })));
    assert_eq!(world.ask(record("chargeback", "case-1", 1000, None)), Code::Applied);
    // 500 is kept, 400 of it in flight.
    assert_eq!(world.order().saga.promised_minor(), 500);
    assert_eq!(world.runs_out(), ["refund", "refund"]);
    assert_eq!(world.totals().refunded_minor, 500);
    let view = view(&world);
    assert_eq!(
        (&view["refunds"][0]["state"], &view["refunds"][1]["state"]),
        (&json!("paid"), &json!("charged_back"))
    );
    assert_eq!(view["payment"]["charged_back_minor"], 1000);
}

#[test]
fn a_refund_that_was_not_done_is_asked_for_anew_with_what_is_left() {
    let mut world = World::completed();
    world.ask(refund(json!({ "amount_minor": 400 })));
    world.ask(record("chargeback", "case-1", 1300, None));
    world.answer(settled(false));
    assert_eq!((world.asking(), world.active().unwrap().amount_minor), ("refund 2.1".to_owned(), 200));
    world.ask(record("chargeback", "case-2", 200, None));
    world.answer(settled(false));
    assert_eq!((world.step(), world.order().saga.owed().is_none()), (None, true));
}

#[test]
fn a_return_that_is_covered_still_takes_its_units_back() {
    let mut world = World::completed();
    world.ask(refund(json!({ "amount_minor": 100 })));
    world.ask(returning(json!([{ "line_id": "b", "quantity": 1 }])));
    world.ask(record("chargeback", "case-1", 1500, None));
    assert_eq!(world.runs_out(), ["refund", "restock"]);
}

#[test]
fn a_cancel_pays_back_what_the_bank_left() {
    let mut world = World::placed_as(paid_by(&[600, 900]));
    while world.asking() != "capture 2.1" {
        world.answer(done());
    }
    assert_eq!(world.ask(record("chargeback", "case-1", 10, None)), Code::UnknownPayment, "of which");
    assert_eq!(world.ask(record("chargeback", "case-1", 10, Some("p2"))), Code::OverRefund, "not captured");
    assert_eq!(world.ask(record("chargeback", "case-1", 250, Some("p1"))), Code::Applied);
    world.ask(cancel());
    assert_eq!(world.runs_out(), ["capture", "cancel_shipment", "refund", "refund", "release"]);
    assert_eq!((world.status(), world.totals().refunded_minor), (OrderStatus::Canceled, 1250));
    assert_eq!(world.ask(record("loss", "claim-1", 1500, None)), Code::Applied, "also when it is over");
}
