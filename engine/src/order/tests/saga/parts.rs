//! Goods that go in parts: what is short, deliveries by themselves, what is captured with each shipment, and what of the rest can
//! still be taken back.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::*;
use crate::ports::LineUnits;
use crate::wire::command::ShipmentState;
use crate::wire::flow_rules::{BeginsWith, CaptureAt, FlowRules, ShortLines};

fn units(parts: &[(&str, u64)]) -> Arc<[LineUnits]> {
    let part =
        |(line_id, quantity): &(&str, u64)| LineUnits { line_id: (*line_id).into(), quantity: *quantity };
    parts.iter().map(part).collect()
}

/// Done, of these units.
fn done_of(reference: &str, parts: &[(&str, u64)]) -> StepOutcome {
    let units = Some(units(parts));
    StepOutcome::Done { reference: reference.into(), amount_minor: None, expires: None, units }
}

fn placed_under(data: Value, flow: FlowRules) -> World {
    let mut world = World::empty();
    world.context.policy.flow = FlowRules { version: 2, ..flow };
    assert_eq!(world.ask(place_of(data)), Code::Applied);
    world
}

/// As the basket, of lines `a` (3 for 10.00) and `b` (1 for 5.00), with this rule for what is short.
fn short(rule: ShortLines) -> World {
    placed_under(basket(), FlowRules { short_lines: rule, ..FlowRules::DEFAULT })
}

/// Step, key's part and amount or units of what is asked for, as `capture p2 500`.
fn asked(world: &World) -> String {
    let active = world.active().expect("a step is asked for");
    let part = active.at.part.as_deref().unwrap_or("-");
    let what = if active.at.step.is_of_payment() {
        active.amount_minor.to_string()
    } else {
        let units = active.units.as_deref().unwrap_or_default();
        let units: Vec<_> = units.iter().map(|part| format!("{}{}", part.quantity, part.line_id)).collect();
        units.join("+")
    };
    format!("{} {part} {what}", active.at.step.as_str())
}

/// All that is asked for from now on, done.
fn way(world: &mut World) -> Vec<String> {
    let mut way = Vec::new();
    while world.active().is_some() {
        way.push(asked(world));
        world.answer(done());
        assert!(way.len() < 30, "it goes round: {way:?}");
    }
    way
}

#[test]
fn what_is_there_goes_and_is_paid_and_the_rest_follows() {
    let mut world = short(ShortLines::ShipRest);
    world.answer(done_of("inv-1", &[("a", 2)]));
    assert_eq!(asked(&world), "authorize - 1500");
    let expected = [
        "authorize - 1500",
        "book - 2a",
        "capture - 667",
        "reserve g2 1a+1b",
        "authorize p2 833",
        "book g2 1a+1b",
        "capture p2 833",
    ];
    assert_eq!(way(&mut world), expected);
    assert_eq!((world.status(), world.totals().captured_minor), (OrderStatus::Completed, 1500));
    assert_eq!(world.totals().voided_minor, 833, "what is left of an authorization goes with its capture");
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    let shipments: Vec<_> = view.shipments.iter().map(|one| (&*one.shipment_id, one.lines.len())).collect();
    assert_eq!(shipments, [("1", 1), ("2", 2)]);
    assert_eq!(view.payments.len(), 2);
}

#[test]
fn nothing_goes_before_all_is_there_unless_that_is_wanted() {
    let mut world = short(ShortLines::Wait);
    world.answer(done_of("inv-1", &[("a", 2)]));
    assert_eq!(way(&mut world), ["reserve g2 1a+1b", "authorize - 1500", "book - 3a+1b", "capture - 1500"]);
    assert_eq!(world.status(), OrderStatus::Completed);
    assert_eq!(world.order().saga.goods.as_ref().unwrap().reservations.len(), 2);
}

#[test]
fn what_is_not_in_stock_is_canceled_at_its_price() {
    let mut world = short(ShortLines::CancelRest);
    world.answer(done_of("inv-1", &[("a", 2)]));
    assert_eq!(world.order().placed.as_ref().unwrap().total_minor, 667);
    assert_eq!(way(&mut world), ["authorize - 667", "book - 2a", "capture - 667"]);
    assert_eq!(world.status(), OrderStatus::Completed);
    // A decline that names what is short says the same.
    let mut world = short(ShortLines::CancelRest);
    let (code, reason) = ("out_of_stock".into(), "no".into());
    world.answer(StepOutcome::Declined { code, reason, lines: units(&[("b", 1)]).to_vec() });
    assert_eq!(way(&mut world), ["reserve - 3a", "authorize - 1000", "book - 3a", "capture - 1000"]);
    // All of it is not to be had.
    let mut world = short(ShortLines::CancelRest);
    world.answer(declined("out_of_stock"));
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn the_rest_that_is_never_to_be_had_is_for_people_or_is_canceled() {
    let mut world = short(ShortLines::ShipRest);
    world.answer(done_of("inv-1", &[("a", 2)]));
    while asked(&world) != "reserve g2 1a+1b" {
        world.answer(done());
    }
    world.answer(declined("out_of_stock"));
    assert_eq!((world.status(), world.attention()), (OrderStatus::Open, Attention::Held));
    let rest = json!([{ "line_id": "a", "quantity": 1 }, { "line_id": "b", "quantity": 1 }]);
    let too_many = json!([{ "line_id": "a", "quantity": 2 }]);
    assert_eq!(world.ask(cancel_units(too_many)), Code::NotCancelable, "two have gone");
    assert_eq!(world.ask(cancel_units(rest)), Code::Applied);
    assert_eq!((world.status(), world.totals().captured_minor), (OrderStatus::Completed, 667));
    // By its flow.
    let mut world = short(ShortLines::CancelRest);
    world.answer(done_of("inv-1", &[("a", 2), ("b", 1)]));
    assert_eq!(way(&mut world).last().unwrap(), "capture - 1167");
}

#[test]
fn a_participant_that_says_what_it_was_not_asked_for_is_not_believed() {
    for parts in [vec![("z", 1)], vec![("a", 4)], vec![("a", 1), ("a", 1)], vec![("a", 0)], vec![]] {
        let mut world = World::placed();
        world.answer(done_of("inv-1", &parts));
        assert_eq!((world.step(), world.attention()), (Some(Step::Reserve), Attention::Held), "{parts:?}");
    }
    // All units are no part.
    let mut world = World::placed();
    world.answer(done_of("inv-1", &[("b", 1), ("a", 3)]));
    assert!(world.order().saga.goods.is_none());
    // Money is moved whole.
    let mut world = World::at(Step::Capture);
    world.answer(done_of("cap-1", &[("a", 1)]));
    assert_eq!((world.step(), world.attention()), (Some(Step::Capture), Attention::Held));
}

/// `b` goes by itself, and is there later.
fn pre_order(from_ms: u64) -> Value {
    let mut data = basket();
    let from = CONTEXT.now.plus_ms(from_ms);
    data["components"] = json!([{ "kind": "shipping", "amount_minor": 300 }]);
    data["deliveries"] =
        json!([{ "line_ids": ["b"], "available_from": crate::wire::time::format_time(from) }]);
    data
}

#[test]
fn a_delivery_that_comes_later_is_asked_for_then_and_paid_then() {
    let mut world = placed_under(pre_order(86_400_000), FlowRules::DEFAULT);
    let first = ["reserve - 3a", "authorize - 1800", "book - 3a", "capture - 1200"];
    assert_eq!(way(&mut world), first);
    assert_eq!((world.status(), world.attention()), (OrderStatus::Open, Attention::None));
    let at = CONTEXT.now.plus_ms(86_400_000);
    assert_eq!(world.order().deadline, Some(at));
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    assert_eq!((view.fulfillment.waiting_until, view.fulfillment.short_units), (Some(at), 0));
    assert_eq!(view.deliveries[0].available_from, Some(at));
    world.deadline_passes();
    assert_eq!(way(&mut world), ["reserve g2 1b", "authorize p2 600", "book g2 1b", "capture p2 600"]);
    assert_eq!(world.status(), OrderStatus::Completed);
}

#[test]
fn what_comes_later_can_be_canceled_and_is_not_paid() {
    let mut world = placed_under(pre_order(86_400_000), FlowRules::DEFAULT);
    way(&mut world);
    assert_eq!(world.ask(cancel_units(json!([{ "line_id": "b", "quantity": 1 }]))), Code::Applied);
    // Shipping is paid for in full.
    assert_eq!(way(&mut world), ["authorize p2 100", "capture p2 100"]);
    assert_eq!((world.status(), world.totals().captured_minor), (OrderStatus::Completed, 1300));
    // What was captured beforehand goes back.
    let flow = FlowRules { capture: CaptureAt::BeforeBooking, ..FlowRules::DEFAULT };
    let mut world = placed_under(pre_order(86_400_000), flow);
    way(&mut world);
    assert_eq!(world.totals().captured_minor, 1800);
    assert_eq!(world.ask(cancel_units(json!([{ "line_id": "b", "quantity": 1 }]))), Code::Applied);
    assert_eq!(way(&mut world), ["refund f1 500"]);
    assert_eq!((world.status(), world.totals().refunded_minor), (OrderStatus::Completed, 500));
    // What is left can be returned, and no more.
    assert_eq!(world.ask(returning(json!([{ "line_id": "a", "quantity": 3 }]))), Code::Applied);
    assert_eq!(world.active().unwrap().amount_minor, 1000);
}

#[test]
fn all_flows_come_to_their_end_in_parts() {
    for begins_with in BeginsWith::ALL {
        for capture in CaptureAt::ALL {
            for short_lines in ShortLines::ALL {
                let flow = FlowRules { begins_with, capture, short_lines, ..FlowRules::DEFAULT };
                let mut world = placed_under(pre_order(1000), flow);
                let mut way = Vec::new();
                while world.status() == OrderStatus::Open {
                    match world.step() {
                        None => world.deadline_passes(),
                        Some(step) => {
                            way.push(asked(&world));
                            let three =
                                world.active().unwrap().units.as_deref() == Some(&*units(&[("a", 3)]));
                            let partial = step == Step::Reserve && three;
                            world.answer(if partial { done_of("half", &[("a", 2)]) } else { done() });
                        }
                    }
                    assert!(way.len() < 30, "{way:?}");
                }
                assert_eq!(world.status(), OrderStatus::Completed, "{flow:?} {way:?}");
                let captures = way.iter().filter(|step| step.starts_with("capture")).count();
                let shipments = way.iter().filter(|step| step.starts_with("book")).count();
                let expected = if capture == CaptureAt::AtShipment { shipments } else { 1 };
                assert_eq!(captures, expected, "{flow:?} {way:?}");
            }
        }
    }
}

#[test]
fn a_payment_of_the_rest_that_is_declined_takes_nothing_back() {
    let mut world = placed_under(pre_order(1000), FlowRules::DEFAULT);
    way(&mut world);
    world.deadline_passes();
    world.answer(done());
    assert_eq!(asked(&world), "authorize p2 600");
    world.answer(declined("card_declined"));
    assert_eq!((world.status(), world.attention()), (OrderStatus::Open, Attention::None));
    let until = world.order().saga.waiting_until.expect("it waits for another means");
    assert_eq!(world.order().deadline, Some(until));
    world.deadline_passes();
    assert_eq!((world.status(), world.attention()), (OrderStatus::Open, Attention::Held));
    let by = json!([{ "payment_id": "x", "token_ref": "t", "amount_minor": 600 }]);
    assert_eq!(world.ask(pay(by)), Code::Applied);
    assert_eq!(way(&mut world), ["authorize p3 600", "book g2 1b", "capture p3 600"]);
    assert_eq!(world.status(), OrderStatus::Completed);
}

#[test]
fn each_shipment_is_somewhere() {
    let mut world = short(ShortLines::ShipRest);
    world.answer(done_of("inv-1", &[("a", 2)]));
    let mut number = 0;
    while let Some(step) = world.step() {
        number += usize::from(step == Step::Book);
        let reference = if step == Step::Book { format!("par-{number}") } else { "ref".to_owned() };
        world.answer(StepOutcome::Done {
            reference: reference.into(),
            amount_minor: None,
            expires: None,
            units: None,
        });
    }
    let moved = |reference: &str, state: ShipmentState| {
        let mut command = report(Step::Book, reference, "done");
        if let CommandData::Report(data) = &mut command {
            data.shipment = Some(state);
        }
        command
    };
    assert_eq!(world.ask(moved("par-2", ShipmentState::Delivered)), Code::Applied);
    assert_eq!(world.ask(moved("par-1", ShipmentState::Lost)), Code::Applied);
    assert_eq!(world.ask(moved("par-2", ShipmentState::Lost)), Code::ConflictingReport);
    assert_eq!(world.ask(moved("par-3", ShipmentState::Lost)), Code::ReferenceMismatch);
    let saga = &world.order().saga;
    let states = [0, 1, 2].map(|number| saga.shipment(number).map(|(state, _)| state));
    assert_eq!(states, [Some(ShipmentState::Lost), Some(ShipmentState::Delivered), None]);
}

#[test]
fn a_cancel_takes_back_the_parts_that_have_not_gone() {
    let mut world = short(ShortLines::ShipRest);
    world.answer(done_of("inv-1", &[("a", 2)]));
    while asked(&world) != "reserve g2 1a+1b" {
        world.answer(done());
    }
    world.answer(done_of("inv-2", &[("a", 1)]));
    assert_eq!(world.ask(cancel()), Code::Applied);
    assert_eq!(world.step(), Some(Step::Authorize), "what is in flight is settled first");
    world.answer(settled(false));
    let back = ["cancel_shipment - 2a", "refund - 667", "release g2 1a", "release - 2a"];
    assert_eq!(way(&mut world), back);
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn parts_have_an_end() {
    let mut data = basket();
    data["lines"][0]["quantity"] = json!(1000);
    let mut world = placed_under(data, FlowRules { short_lines: ShortLines::Wait, ..FlowRules::DEFAULT });
    for number in 0..63 {
        assert_eq!((world.step(), world.attention()), (Some(Step::Reserve), Attention::None), "{number}");
        world.answer(done_of(&format!("inv-{number}"), &[("a", 1)]));
    }
    world.answer(done_of("inv-63", &[("a", 1)]));
    assert_eq!((world.step(), world.attention()), (Some(Step::Reserve), Attention::Held));
}
