//! Waiting for goods, for a participant that needs longer, and for money that never comes.

use super::*;
use crate::ids::TimestampMs;
use crate::order::Incoming;
use crate::order::tests::the_order;
use crate::wire::command::ReportOutcome;
use crate::wire::flow_rules::{BeginsWith, FlowRules};
use crate::wire::payment_rules::{OnDecline, PaymentRules};
use serde_json::{Value, json};

const DAY_MS: u64 = 24 * 3_600_000;

fn placing(available_from: TimestampMs) -> CommandData {
    let CommandData::Place(mut place) = place_of(basket()) else { unreachable!("a place") };
    place.available_from = Some(available_from);
    CommandData::Place(place)
}

fn backordered(flow: FlowRules) -> World {
    let mut world = World::empty();
    world.context.policy.flow = flow;
    let from = world.context.now.plus_ms(30 * DAY_MS);
    assert_eq!(world.ask(placing(from)), Code::Applied);
    world
}

fn events(world: &World) -> Vec<Value> {
    let mut replayed = Aggregate::new(the_order());
    let publish = |bytes: &Vec<u8>| Incoming::read(bytes).unwrap().publish(&mut replayed).unwrap();
    let published: Vec<_> = world.log.iter().flat_map(publish).collect();
    published.into_iter().map(|published| json!(published.event)).collect()
}

fn event(world: &World, kind: &str) -> Option<Value> {
    let kind = format!("retailflow.order.{kind}.v1");
    events(world).into_iter().rfind(|event| event["type"] == json!(kind)).map(|event| event["data"].clone())
}

fn still_pending(step: Step, reference: &str, until: TimestampMs) -> CommandData {
    let CommandData::Report(mut data) = report(step, reference, "done") else { unreachable!("a report") };
    (data.outcome, data.until) = (ReportOutcome::Pending, Some(until));
    CommandData::Report(data)
}

#[test]
fn stock_is_asked_for_when_it_is_there() {
    let mut world = backordered(FlowRules::DEFAULT);
    let from = world.context.now.plus_ms(30 * DAY_MS);
    assert_eq!((world.status(), world.step(), world.attention()), (OrderStatus::Open, None, Attention::None));
    assert_eq!(world.order().deadline, Some(from), "it does not wait silently");
    assert!(event(&world, "awaiting_goods").is_some(), "and the public hears of it");
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    assert_eq!((view.available_from, view.fulfillment.waiting_until), (Some(from), Some(from)));
    assert_eq!(world.ask(resume()), Code::NothingToResume, "nobody is asked");
    world.deadline_passes();
    assert_eq!(world.runs_out(), ["reserve", "authorize", "book", "capture"]);
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    assert_eq!((view.available_from, view.fulfillment.waiting_until), (Some(from), None));
}

#[test]
fn who_pays_first_waits_then() {
    let mut world =
        backordered(FlowRules { version: 2, begins_with: BeginsWith::Authorize, ..FlowRules::DEFAULT });
    assert_eq!(world.asking(), "authorize 1.1");
    world.answer(done());
    assert_eq!((world.step(), world.status()), (None, OrderStatus::Open));
    world.deadline_passes();
    assert_eq!(world.runs_out(), ["reserve", "book", "capture"]);
}

#[test]
fn it_is_canceled_before_its_goods_are_there() {
    let mut world = backordered(FlowRules::DEFAULT);
    assert_eq!(world.ask(cancel()), Code::Applied);
    assert_eq!((world.status(), world.order().deadline), (OrderStatus::Canceled, None));
}

#[test]
fn a_time_that_has_passed_is_none_and_one_too_far_is_refused() {
    let mut world = World::empty();
    let now = world.context.now;
    assert_eq!(world.ask(placing(now.plus_ms(2 * 366 * DAY_MS + 1))), Code::InvalidField);
    assert_eq!(world.ask(placing(now)), Code::Applied);
    assert_eq!(world.asking(), "reserve 1.1");
    assert!(world.order().saga.plan.is_none() && event(&world, "awaiting_goods").is_none());
}

#[test]
fn a_participant_that_needs_longer_says_so() {
    let mut world = World::placed();
    let now = world.context.now;
    world.answer(pending("po-7", Some(now.plus_ms(DAY_MS))));
    let later = now.plus_ms(9 * DAY_MS);
    assert_eq!(world.ask(still_pending(Step::Reserve, "po-8", later)), Code::ReferenceMismatch);
    assert_eq!(world.ask(still_pending(Step::Reserve, "po-7", now)), Code::InvalidField, "it has passed");
    assert_eq!(world.ask(still_pending(Step::Reserve, "po-7", later)), Code::Applied);
    assert_eq!((world.attention(), world.order().deadline), (Attention::None, Some(later)));
    let told = event(&world, "pending").unwrap();
    assert_eq!((&told["reference"], &told["step"]), (&json!("po-7"), &json!("reserve")));
    let view = crate::order::view_of(&world.aggregate, None).unwrap().unwrap();
    assert_eq!(view.pending.unwrap().until, Some(later));
    world.deadline_passes();
    assert_eq!(world.mode(), Some(Mode::Look));
    // It is looked at, and pending still: people are told. Its participant knows more, and they need not be.
    world.answer(pending("po-7", None));
    assert_eq!(world.attention(), Attention::Held);
    let later = later.plus_ms(DAY_MS);
    assert_eq!(world.ask(still_pending(Step::Reserve, "po-7", later)), Code::Applied);
    assert_eq!((world.attention(), world.order().deadline), (Attention::None, Some(later)));
    assert_eq!(world.ask(report(Step::Reserve, "po-7", "done")), Code::Applied);
    assert_eq!(world.ask(still_pending(Step::Reserve, "po-7", later)), Code::StepNotPending, "it came late");
    assert!(world.order().saga.contradiction.is_none());
    assert_eq!(world.runs_out(), ["authorize", "book", "capture"]);
}

#[test]
fn who_is_not_wanted_any_more_is_not_waited_for() {
    let mut world = World::placed();
    let later = world.context.now.plus_ms(DAY_MS);
    world.answer(pending("po-7", None));
    assert_eq!(world.ask(cancel()), Code::Applied);
    assert_eq!(world.ask(still_pending(Step::Reserve, "po-7", later)), Code::StepNotPending);
    assert_eq!(world.mode(), Some(Mode::Settle));
}

/// An unpaid order expires by the rule of its tenant: stock comes back, and its event says why.
#[test]
fn an_order_that_nobody_pays_expires() {
    let mut world = World::empty();
    world.context.policy.payments =
        PaymentRules { on_decline: OnDecline::Wait, payment_wait_ms: DAY_MS, ..PaymentRules::DEFAULT };
    assert_eq!(world.ask(place_of(basket())), Code::Applied);
    world.answer(done());
    world.answer(declined("no_funds"));
    let totals = |world: &World| world.totals().reserved_units - world.totals().released_units;
    assert_eq!((totals(&world), world.order().deadline), (4, Some(world.context.now.plus_ms(DAY_MS))));
    world.deadline_passes();
    assert_eq!(world.runs_out(), ["release"]);
    assert_eq!((world.status(), totals(&world)), (OrderStatus::Canceled, 0));
    for kind in ["canceling", "canceled"] {
        let reason = &event(&world, kind).unwrap()["reason"];
        assert_eq!(*reason, json!("no other means of payment came in time"), "{kind}");
    }
    assert!(event(&world, "released").is_some());
}
