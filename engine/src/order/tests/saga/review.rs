//! Orders that somebody judges before anything is captured or booked.

use serde_json::json;

use super::world::*;
use crate::wire::flow_rules::{BeginsWith, CaptureAt, FlowRules};

fn reviewed_under(flow: FlowRules) -> World {
    let mut world = World::empty();
    world.context.policy.flow = FlowRules { version: 2, review: true, ..flow };
    assert_eq!(world.ask(place_of(basket())), Code::Applied);
    world
}

fn at_review() -> World {
    let mut world = reviewed_under(FlowRules::DEFAULT);
    while world.step() != Some(Step::Review) {
        world.answer(done());
    }
    world
}

#[test]
fn an_order_is_judged_once_all_is_there_and_before_anything_leaves() {
    for begins_with in BeginsWith::ALL {
        for capture in CaptureAt::ALL {
            let mut world = reviewed_under(FlowRules { begins_with, capture, ..FlowRules::DEFAULT });
            let way = world.runs_out();
            let judged = way.iter().position(|step| *step == "review").unwrap();
            assert_eq!(judged, 2, "{way:?}");
            assert_eq!(way.len(), 5);
            assert_eq!(world.status(), OrderStatus::Completed);
        }
    }
    assert!(!World::placed().runs_out().contains(&"review"), "only where the flow says so");
}

#[test]
fn a_free_order_is_judged_too() {
    let mut data = basket();
    data["components"] = json!([{ "kind": "discount", "amount_minor": -1500 }]);
    let mut world = World::empty();
    world.context.policy.flow = FlowRules { version: 2, review: true, ..FlowRules::DEFAULT };
    assert_eq!(world.ask(place_of(data)), Code::Applied);
    assert_eq!(world.runs_out(), ["reserve", "review", "book"]);
}

#[test]
fn a_bad_judgement_turns_the_order_back() {
    let mut world = at_review();
    world.answer(declined("suspicious"));
    assert_eq!(world.status(), OrderStatus::Canceling);
    assert_eq!(world.order().saga.cancel_reason.as_deref(), Some("review declined: suspicious (no)"));
    assert_eq!(world.runs_out(), ["void", "release"]);
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn people_may_judge_it_and_report() {
    for (outcome, status) in [("done", OrderStatus::Open), ("declined", OrderStatus::Canceling)] {
        let mut world = at_review();
        world.answer(pending("case-7", Some(world.context.now.plus_ms(86_400_000))));
        assert_eq!(world.ask(report(Step::Review, "case-8", outcome)), Code::ReferenceMismatch);
        assert_eq!(world.ask(report(Step::Review, "case-7", outcome)), Code::Applied);
        assert_eq!((world.status(), world.step() == Some(Step::Book)), (status, outcome == "done"));
    }
    // Nobody is asked of an order that is not judged.
    assert_eq!(World::placed().ask(report(Step::Review, "x", "done")), Code::UnknownStep);
}

#[test]
fn what_failed_or_is_in_doubt_is_settled_as_every_step() {
    let mut world = at_review();
    world.answer(failed());
    assert_eq!(world.mode(), Some(Mode::Settle));
    world.answer(settled(false));
    assert_eq!(world.asking(), "review 1.2");
    assert_eq!(world.ask(cancel()), Code::Applied);
    assert_eq!((world.step(), world.mode()), (Some(Step::Review), Some(Mode::Settle)));
    world.answer(settled(true));
    assert_eq!(world.runs_out(), ["void", "release"]);
    let mut world = at_review();
    world.answer(unknown());
    assert_eq!(world.attention(), Attention::Held);
    assert_eq!(world.ask(resolve(Step::Review, true)), Code::Applied);
    assert_eq!(world.step(), Some(Step::Book));
}

#[test]
fn another_order_is_judged_again() {
    let more = || amend(json!({ "lines": [{ "line_id": "b", "quantity": 2 }] }));
    let word = || amend(json!({ "note": "ring twice" }));
    let mut world = at_review();
    assert_eq!(world.ask(more()), Code::StepInFlight, "it is judged as it is");
    assert_eq!(world.ask(word()), Code::Applied);
    world.answer(done());
    assert_eq!(world.step(), Some(Step::Book), "a word is no other order");
    let mut world = at_review();
    assert_eq!(world.ask(hold("address", None)), Code::Applied);
    world.answer(done());
    assert_eq!(world.ask(more()), Code::Applied);
    assert_eq!(world.ask(release_hold("address")), Code::Applied);
    assert_eq!(world.runs_out(), ["reserve", "authorize", "review", "book", "capture", "capture"]);
    // So is one of which goods are exchanged; what has gone is not taken back for it.
    let data = json!({ "reason": "too small", "lines": [{ "line_id": "b", "quantity": 1 }],
        "add_lines": [{ "line_id": "c", "sku": "u", "quantity": 1, "amount_minor": 700 }] });
    let exchange = CommandData::Exchange(serde_json::from_value(data).unwrap());
    assert_eq!(world.ask(exchange), Code::Applied);
    while world.step() != Some(Step::Review) {
        world.answer(done());
    }
    world.answer(declined("suspicious"));
    assert_eq!((world.status(), world.attention()), (OrderStatus::Open, Attention::Held));
    assert_eq!(world.order().saga.shown_step(), Some(Step::Review));
}
