//! What the public hears: given an order's life, when its records are published, then it is told so.

use serde_json::json;

use super::saga::world::*;
use super::the_order;
use crate::codec::v1::{self, BodyV1};
use crate::fulfillment::key;
use crate::ids::TimestampMs;
use crate::order::{Incoming, PARKED_INDEX, Published, publish_parked, publish_unparked};
use crate::wire::event::{EventData, PublicEvent};
use crate::wire::order::GiverKind;

/// All that is published of a log, with the state behind it.
fn published(log: &[Vec<u8>]) -> (Vec<PublicEvent>, Aggregate) {
    let mut aggregate = Aggregate::new(the_order());
    let mut events = Vec::new();
    for bytes in log {
        let record = Incoming::read(bytes).unwrap();
        assert_eq!(record.order(), &the_order());
        let found = record.publish(&mut aggregate).unwrap();
        let ordinals: Vec<u32> = found.iter().map(|found| found.ordinal).collect();
        assert!(ordinals.is_sorted_by(|a, b| a < b) && ordinals.iter().all(|o| *o < record.stored_events()));
        events.extend(found.into_iter().map(|Published { event, .. }| event));
    }
    let ids: std::collections::HashSet<String> = events.iter().map(PublicEvent::id).collect();
    assert_eq!(ids.len(), events.len(), "each has its own id");
    assert!(events.is_sorted_by_key(|event| (event.version, event.index)));
    let numbers: Vec<u64> = events.iter().filter_map(|event| event.number).collect();
    assert!(numbers.iter().copied().eq(1..=events.len() as u64), "counted without a gap: {numbers:?}");
    for event in &events {
        let text = serde_json::to_string(event).unwrap();
        assert_eq!(&serde_json::from_str::<PublicEvent>(&text).unwrap(), event, "{text}");
    }
    (events, aggregate)
}

/// Of each event of the world its word, after a check that the state behind is the order's.
fn words(world: &World) -> Vec<String> {
    let (events, aggregate) = published(&world.log);
    assert_eq!((&aggregate.order, aggregate.chain), (world.order(), world.aggregate.chain));
    events.iter().map(word).collect()
}

fn word(event: &PublicEvent) -> String {
    let word = event.data.kind().trim_start_matches("retailflow.order.").trim_end_matches(".v1");
    match &event.data {
        EventData::Attention(data) => format!("{word} {}", data.attention.as_str()),
        _ => word.to_owned(),
    }
}

#[test]
fn a_whole_life_is_told_step_by_step() {
    let mut world = World::completed();
    assert_eq!(world.ask(archive()), Code::Applied);
    let whole = ["placed", "reserved", "authorized", "booked", "captured", "completed", "archived"];
    assert_eq!(words(&world), whole);
    let (events, _) = published(&world.log);
    let versions: Vec<u64> = events.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 5, 6], "completed by the decision that captured");
    let data: Vec<serde_json::Value> =
        events.iter().map(|event| serde_json::to_value(&event.data).unwrap()).collect();
    assert_eq!((&data[0]["total_minor"], &data[0]["units"]), (&1500.into(), &4.into()));
    assert_eq!(data[1], json!({ "reference": "ref" }));
    assert_eq!(data[2], json!({ "payment_id": "payment", "reference": "ref", "amount_minor": 1500 }));
    let lines = json!([{ "line_id": "a", "quantity": 3 }, { "line_id": "b", "quantity": 1 }]);
    assert_eq!(data[3], json!({ "shipment_id": "1", "reference": "ref", "lines": lines }));
    assert_eq!(data[4], json!({ "payment_id": "payment", "reference": "ref", "amount_minor": 1500 }));
    assert_eq!(data[5]["payment"]["captured_minor"], 1500);
}

#[test]
fn causes_and_traces_are_named() {
    let mut world = World::at(Step::Reserve);
    let asked = world.active().unwrap().at.clone();
    world.answer(done());
    let (events, _) = published(&world.log);
    assert_eq!(events[0].causation_id.as_deref(), Some("c-1"));
    let trace = events[0].traceparent.as_deref().unwrap();
    assert_eq!((&trace[..36], trace.len()), ("00-07070707070707070707070707070707-", 55));
    assert!(trace.ends_with("-00"), "{trace}");
    assert_eq!(events[1].causation_id.as_deref(), Some(&*key(&the_order(), &asked)));
    assert_eq!((events[1].traceparent.as_deref(), events[1].time), (None, CONTEXT.now));
    let sources = [0, 1].map(|at| (events[at].causation_source.is_some(), events[at].actor));
    assert_eq!(sources, [(true, Some(GiverKind::Tenant)), (false, Some(GiverKind::Engine))]);
}

#[test]
fn a_cancellation_is_told_with_its_reason() {
    let mut world = World::at(Step::Book);
    assert_eq!(world.ask(cancel()), Code::Applied);
    world.answer(settled(false));
    world.runs_out();
    let told = ["placed", "reserved", "authorized", "canceling", "voided", "released", "canceled"];
    assert_eq!(words(&world), told, "what was undone is told, too");
    let (events, _) = published(&world.log);
    let (EventData::Canceling(asked), EventData::Canceled(ended)) = (&events[3].data, &events[6].data) else {
        panic!("{events:?}")
    };
    assert_eq!((&*asked.reason, &*ended.reason), ("changed my mind", "changed my mind"));
    assert_eq!(ended.payment.authorized_minor.minor(), 0);

    let mut world = World::at(Step::Reserve);
    world.answer(declined("no stock"));
    assert_eq!(words(&world), ["placed", "canceling", "canceled"]);
}

#[test]
fn a_refused_cancellation_is_no_status_and_yet_told() {
    let mut world = World::at(Step::Capture);
    assert_eq!(world.ask(cancel()), Code::Applied);
    world.answer(settled(false));
    world.answer(refused("gone"));
    assert_eq!(world.status(), OrderStatus::Open);
    let (events, _) = published(&world.log);
    let EventData::Attention(told) = &events.last().unwrap().data else { panic!("{events:?}") };
    assert_eq!((told.attention, &*told.reason), (Attention::None, "cancellation_refused: gone"));
    world.runs_out();
    let end = ["canceling", "attention none", "captured", "completed"];
    assert!(words(&world).ends_with(&end.map(str::to_owned)), "{:?}", words(&world));
}

#[test]
fn a_declined_payment_is_told_with_its_reason() {
    let mut world = World::at(Step::Authorize);
    world.answer(declined("no money"));
    let (events, _) = published(&world.log);
    let EventData::PaymentFailed(failed) = &events[2].data else { panic!("{events:?}") };
    assert_eq!(
        (failed.step, failed.amount_minor.minor(), &*failed.payment_id),
        (Step::Authorize, 1500, "payment")
    );
    assert_eq!(&words(&world)[..4], ["placed", "reserved", "payment_failed", "canceling"]);
}

#[test]
fn what_is_taken_on_is_told_once_however_often_it_is_looked_at() {
    let mut world = World::at(Step::Authorize);
    world.answer(pending("review-1", None));
    world.deadline_passes();
    world.answer(pending("review-1", None));
    assert_eq!(words(&world), ["placed", "reserved", "pending", "attention held"]);
}

#[test]
fn coming_back_from_the_archive_is_told() {
    let mut world = World::completed();
    assert_eq!(world.ask(archive()), Code::Applied);
    assert_eq!(world.ask(restore()), Code::Applied);
    assert!(words(&world).ends_with(&["archived", "restored"].map(str::to_owned)));
}

#[test]
fn a_return_is_told_when_it_is_asked_for() {
    let mut world = World::completed();
    let before = words(&world).len();
    assert_eq!(world.ask(returning(json!([{ "line_id": "a", "quantity": 2 }]))), Code::Applied);
    world.runs_out();
    let (events, _) = published(&world.log);
    let data = serde_json::to_value(&events[before].data).unwrap();
    let lines = json!([{ "line_id": "a", "quantity": 2, "refund_minor": 667 }]);
    let wanted =
        json!({ "return_id": data["return_id"], "lines": lines, "refund_minor": 667, "reason": "too small" });
    assert_eq!(data, wanted);
    assert_eq!(words(&world)[before..], ["returned", "refunded", "restocked"]);
    let [EventData::Refunded(paid), EventData::Restocked(stock)] =
        [1, 2].map(|at| events[before + at].data.clone())
    else {
        panic!("{events:?}")
    };
    let return_id = data["return_id"].as_str().unwrap();
    assert_eq!((paid.return_id.as_deref(), paid.amount_minor.minor()), (Some(return_id), 667));
    assert_eq!((&*stock.return_id, stock.lines[0].quantity, stock.lines.len()), (return_id, 2, 1));
}

#[test]
fn attention_names_the_step_and_its_end_is_told() {
    let mut world = World::at(Step::Authorize);
    world.answer(unknown());
    let (events, _) = published(&world.log);
    let EventData::Attention(told) = &events.last().unwrap().data else { panic!("{events:?}") };
    assert_eq!((told.attention, told.step), (Attention::Held, Some(Step::Authorize)));
    assert_eq!(world.ask(resolve(Step::Authorize, true)), Code::Applied);
    let told = words(&world);
    assert_eq!(told[2], "attention held");
    let mut rest = told[3..].to_vec();
    rest.sort();
    assert_eq!(rest, ["attention none", "authorized"], "resolved as done is done");
    let (events, _) = published(&world.log);
    let authorized = events.iter().find_map(|event| match &event.data {
        EventData::Authorized(data) => Some(data),
        _ => None,
    });
    assert_eq!(authorized.unwrap().reference, "by phone");
}

#[test]
fn what_was_not_done_is_not_told() {
    let mut world = World::placed();
    world.answer(pending("later", None));
    assert_eq!(words(&world), ["placed", "pending"]);
    assert_eq!(world.ask(report(Step::Reserve, "later", "done")), Code::Applied);
    let told = ["placed", "pending", "reserved"];
    assert_eq!(words(&world), told);
    world.answer(failed());
    assert_eq!(words(&world), told, "it is asked again");
    world.ask(place_of(basket()));
    assert_eq!(words(&world), told, "a rejection is for who asked");
}

#[test]
fn a_step_settled_without_a_reference_goes_by_its_key() {
    let mut world = World::at(Step::Book);
    let asked = world.active().unwrap().at.clone();
    assert_eq!(world.ask(cancel()), Code::Applied);
    world.answer(StepOutcome::Settled { done: true, reference: None });
    let (events, _) = published(&world.log);
    let EventData::Booked(booked) = &events.last().unwrap().data else { panic!("{events:?}") };
    assert_eq!(booked.reference, &*key(&the_order(), &asked));
}

#[test]
fn a_parked_order_is_told_beside_its_versions() {
    let nothing = Aggregate::new(the_order());
    assert_eq!(publish_parked(&nothing, "it crashes", TimestampMs(5), 0), None);
    let world = World::at(Step::Book);
    let (events, aggregate) = published(&world.log);
    let [first, second] =
        [0, 1].map(|n| publish_parked(&aggregate, "it crashes", TimestampMs(5), n).unwrap());
    assert_eq!((first.version, first.index, first.time), (3, PARKED_INDEX, TimestampMs(5)));
    let freed = publish_unparked(&aggregate, TimestampMs(6), 0).unwrap();
    assert!(first.index < freed.index && freed.index < second.index, "readers go by the order of indexes");
    assert_eq!((first.number, freed.number), (None, None), "no decisions of the order's");
    assert!(events.iter().all(|event| event.index < PARKED_INDEX));
}

#[test]
fn a_record_out_of_turn_is_an_error() {
    let world = World::at(Step::Book);
    let late = Incoming::read(&world.log[1]).unwrap();
    assert!(late.publish(&mut Aggregate::new(the_order())).is_err());
    let BodyV1::Decisions(decisions) = v1::decode(&world.log[1]).unwrap().body else { panic!("decisions") };
    assert_eq!(late.stored_events() as usize, decisions[0].events.len());
}
