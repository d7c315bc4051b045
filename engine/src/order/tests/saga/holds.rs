//! Holds: no step is started while one stands, but for the way back.

use super::world::*;
use crate::ids::TimestampMs;
use crate::order::{Incoming, view_of};

fn at(ms: i64) -> Option<TimestampMs> {
    Some(TimestampMs(CONTEXT.now.0 + ms))
}

/// The types of all events, in their order.
fn told(world: &World) -> Vec<&'static str> {
    let mut aggregate = Aggregate::new(super::super::the_order());
    let published =
        world.log.iter().flat_map(|bytes| Incoming::read(bytes).unwrap().publish(&mut aggregate).unwrap());
    let kinds = published.map(|published| published.event.data.kind());
    kinds.map(|kind| kind.strip_prefix("retailflow.order.").unwrap().strip_suffix(".v1").unwrap()).collect()
}

#[test]
fn a_step_in_flight_is_finished_and_no_other_is_begun() {
    let mut world = World::at(Step::Authorize);
    assert_eq!(world.ask(hold("fraud", None)), Code::Applied);
    assert_eq!(world.ask(hold("address", None)), Code::Applied);
    world.answer(done());
    assert_eq!((world.step(), world.status()), (None, OrderStatus::Open));
    assert_eq!(world.ask(release_hold("fraud")), Code::Applied);
    assert_eq!(world.step(), None, "the other stands");
    world.deadline_passes();
    assert_eq!(world.step(), None, "time does not end it");
    assert_eq!(world.ask(release_hold("address")), Code::Applied);
    assert_eq!(world.runs_out(), ["book", "capture"]);
    assert_eq!(world.status(), OrderStatus::Completed);
    assert_eq!(
        told(&world),
        [
            "placed",
            "reserved",
            "held",
            "held",
            "authorized",
            "hold_released",
            "hold_released",
            "booked",
            "captured",
            "completed",
        ]
    );
}

#[test]
fn a_step_that_was_not_done_waits_for_the_release() {
    let mut world = World::at(Step::Book);
    world.ask(hold("fraud", None));
    world.answer(settled(false));
    assert_eq!((world.step(), world.attention()), (None, Attention::None));
    world.ask(release_hold("fraud"));
    assert_eq!(world.asking(), "book 2.1");
}

#[test]
fn an_order_does_not_complete_nor_pay_back_while_a_hold_stands() {
    let mut world = World::at(Step::Capture);
    world.ask(hold("fraud", None));
    world.answer(done());
    assert_eq!((world.step(), world.status()), (None, OrderStatus::Open));
    assert_eq!(world.ask(refund(serde_json::json!({ "amount_minor": 100 }))), Code::Applied);
    assert_eq!(world.step(), None);
    world.ask(release_hold("fraud"));
    assert_eq!(world.runs_out(), ["refund"]);
    assert_eq!(world.status(), OrderStatus::Completed);
    assert_eq!(world.ask(hold("fraud", None)), Code::OrderTerminal);
}

#[test]
fn a_cancel_goes_its_way_back_whatever_hold_stands() {
    let mut world = World::at(Step::Capture);
    world.ask(hold("fraud", None));
    assert_eq!(world.ask(cancel()), Code::Applied);
    world.answer(done());
    assert_eq!(world.runs_out(), ["cancel_shipment", "refund", "release"]);
    assert_eq!((world.status(), world.order().saga.holds().len()), (OrderStatus::Canceled, 0));
    assert_eq!(world.ask(hold("fraud", None)), Code::AlreadyCanceled);
}

#[test]
fn a_hold_stands_when_the_order_goes_forward_again() {
    let mut world = World::at(Step::Capture);
    world.ask(hold("fraud", at(1_000)));
    world.ask(cancel());
    world.answer(settled(false));
    world.answer(refused("gone"));
    assert_eq!((world.step(), world.status()), (None, OrderStatus::Open));
    world.ask(release_hold("fraud"));
    assert_eq!(world.step(), Some(Step::Capture));
}

#[test]
fn when_its_time_is_over_people_are_told_once_and_nothing_else_changes() {
    let mut world = World::at(Step::Book);
    world.ask(hold("fraud", at(1_000)));
    assert_eq!(world.order().deadline, at(1_000));
    world.deadline_passes();
    assert_eq!(world.asking(), "book 1.1", "what is in flight goes on");
    world.answer(done());
    let view = view_of(&world.aggregate, None).unwrap().unwrap();
    assert_eq!((view.head.attention, view.head.step), (Attention::Held, None));
    assert!(view.head.attention_reason.unwrap().starts_with("the hold fraud was meant to end by"));
    assert!(view.holds[0].overdue);
    let before = (world.order().version, told(&world));
    world.deadline_passes();
    world.deadline_passes();
    assert_eq!(before, (world.order().version, told(&world)), "they are told once");
    world.ask(release_hold("fraud"));
    assert_eq!(world.step(), Some(Step::Capture));
    assert_eq!(view_of(&world.aggregate, None).unwrap().unwrap().head.attention, Attention::None);
    assert_eq!(told(&world)[4..], ["attention", "booked", "hold_released", "attention"]);
}

#[test]
fn a_hold_that_comes_late_holds_all_the_same() {
    let mut world = World::at(Step::Book);
    world.ask(hold("fraud", at(-1_000)));
    world.answer(done());
    assert_eq!((world.step(), told(&world)[3..].to_vec()), (None, vec!["held", "attention", "booked"]));
}

#[test]
fn names_are_used_once_at_a_time() {
    let mut world = World::placed();
    assert_eq!(world.ask(release_hold("fraud")), Code::UnknownHold);
    world.ask(hold("fraud", None));
    assert_eq!(world.ask(hold("fraud", None)), Code::HoldExists);
    assert_eq!(world.ask(release_hold("address")), Code::UnknownHold);
    assert_eq!(world.said.path(), Some("data.name"));
    for number in 1..16 {
        assert_eq!(world.ask(hold(&format!("h{number}"), None)), Code::Applied);
    }
    assert_eq!(world.ask(hold("one too many", None)), Code::TooMany);
}

#[test]
fn no_operator_begins_a_step_past_a_hold() {
    let mut world = World::at(Step::Book);
    world.ask(hold("fraud", None));
    world.answer(done());
    assert_eq!(world.ask(resolve(Step::Capture, true)), Code::OnHold);
    assert_eq!(world.ask(resume()), Code::NothingToResume);
}
