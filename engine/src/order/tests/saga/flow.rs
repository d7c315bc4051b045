//! The flow of a tenant: in which order steps are asked for, and how often.

use super::*;
use crate::order::tests::the_order;
use crate::order::view;
use crate::wire::flow_rules::{BeginsWith, CaptureAt, FlowRules};
use serde_json::json;

fn flow(begins_with: BeginsWith, capture: CaptureAt) -> FlowRules {
    FlowRules { version: 2, capture, begins_with, ..FlowRules::DEFAULT }
}

fn placed_under(flow: FlowRules) -> World {
    let mut world = World::empty();
    world.context.policy.flow = flow;
    assert_eq!(world.ask(place_of(basket())), Code::Applied);
    // What is set later is for orders that come later.
    world.context.policy.flow = FlowRules { version: 9, ..FlowRules::DEFAULT };
    world
}

#[test]
fn each_flow_has_its_order() {
    use BeginsWith::{Authorize, Reserve};
    use CaptureAt::{AtEnd, AtShipment, BeforeBooking};
    for (begins_with, capture, steps) in [
        (Reserve, AtShipment, ["reserve", "authorize", "book", "capture"]),
        (Reserve, AtEnd, ["reserve", "authorize", "book", "capture"]),
        (Reserve, BeforeBooking, ["reserve", "authorize", "capture", "book"]),
        (Authorize, AtShipment, ["authorize", "reserve", "book", "capture"]),
        (Authorize, AtEnd, ["authorize", "reserve", "book", "capture"]),
        (Authorize, BeforeBooking, ["authorize", "reserve", "capture", "book"]),
    ] {
        let mut world = placed_under(flow(begins_with, capture));
        assert_eq!(world.runs_out(), steps);
        assert_eq!(world.status(), OrderStatus::Completed);
    }
}

#[test]
fn it_is_shown_and_stands_in_the_history() {
    let mut world = placed_under(flow(BeginsWith::Authorize, CaptureAt::BeforeBooking));
    world.runs_out();
    let (shown, history) = view(&the_order(), &world.log, None).unwrap().unwrap();
    assert_eq!(shown.flow, Some(flow(BeginsWith::Authorize, CaptureAt::BeforeBooking)));
    assert!(history.iter().all(|entry| entry.policy_version == Some(2)), "{history:#?}");
    assert_eq!(history[0].events[1], "flow 2 set");
    let (shown, history) = view(&the_order(), &World::completed().log, None).unwrap().unwrap();
    assert!(shown.flow.is_none() && history.iter().all(|entry| entry.policy_version.is_none()));
}

/// What was captured goes back, whether it was booked or not.
#[test]
fn a_paid_order_turns_back() {
    let paid = || {
        let mut world = placed_under(flow(BeginsWith::Reserve, CaptureAt::BeforeBooking));
        (0..3).for_each(|_| world.answer(done()));
        assert_eq!(world.step(), Some(Step::Book));
        world
    };
    for (answer, steps) in [
        (settled(true), vec!["cancel_shipment", "refund", "release"]),
        (settled(false), vec!["refund", "release"]),
    ] {
        let mut world = paid();
        assert_eq!(world.ask(cancel()), Code::Applied);
        assert_eq!(world.mode(), Some(Mode::Settle), "its booking is in doubt");
        world.answer(answer);
        assert_eq!(world.runs_out(), steps);
        assert_eq!((world.status(), world.totals().refunded_minor), (OrderStatus::Canceled, 1500));
    }
    let mut world = paid();
    world.answer(declined("no_carrier"));
    assert_eq!(world.runs_out(), ["refund", "release"]);
    assert_eq!(world.order().saga.cancel_reason.as_deref(), Some("book declined: no_carrier (no)"));
}

#[test]
fn a_shipment_that_has_gone_is_kept_and_paid() {
    let mut world = placed_under(flow(BeginsWith::Reserve, CaptureAt::BeforeBooking));
    (0..3).for_each(|_| world.answer(done()));
    world.ask(cancel());
    world.answer(settled(true));
    world.answer(refused("gone"));
    assert_eq!((world.status(), world.totals().captured_minor), (OrderStatus::Completed, 1500));
    assert_eq!(world.ask(cancel()), Code::OrderTerminal);
}

#[test]
fn stock_that_is_not_there_gives_the_authorization_up() {
    let mut world = placed_under(flow(BeginsWith::Authorize, CaptureAt::AtShipment));
    world.answer(done());
    world.answer(declined("out_of_stock"));
    assert_eq!(world.runs_out(), ["void"]);
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn money_goes_back_before_the_shipment_is_booked() {
    let mut world = placed_under(flow(BeginsWith::Authorize, CaptureAt::BeforeBooking));
    (0..3).for_each(|_| world.answer(done()));
    assert_eq!(world.ask(refund(json!({ "amount_minor": 100 }))), Code::Applied);
    assert_eq!(world.runs_out(), ["book", "refund"]);
    assert_eq!((world.status(), world.totals().refunded_minor), (OrderStatus::Completed, 100));
}

#[test]
fn tries_and_renewals_are_its_own() {
    let few = FlowRules { version: 2, attempts_max: Some(1), renewals_max: Some(0), ..FlowRules::DEFAULT };
    let mut world = placed_under(few);
    world.answer(settled(false));
    assert_eq!(world.status(), OrderStatus::Canceled, "one attempt");
    let mut world = placed_under(few);
    (0..3).for_each(|_| world.answer(done()));
    world.answer(declined("authorization_expired"));
    assert_eq!(world.attention(), Attention::Held, "no renewal");
}

/// An order was changed while its capture was in flight; the capture was declined as expired, and the payment authorized anew before
/// the units that had come in addition were set aside.
#[test]
fn what_is_captured_before_it_is_booked_is_not_changed_once_the_capture_is_asked_for() {
    let mut world = placed_under(flow(BeginsWith::Reserve, CaptureAt::BeforeBooking));
    let more = || amend(json!({ "lines": [{ "line_id": "b", "quantity": 5 }] }));
    world.answer(done());
    world.answer(done());
    assert_eq!(world.step(), Some(Step::Capture));
    assert_eq!(world.ask(more()), Code::TooLateToAmend);
    world.answer(declined("authorization_expired"));
    assert_eq!(world.step(), Some(Step::Authorize), "it is renewed, and the order stays as it was");
    assert_eq!(world.ask(more()), Code::TooLateToAmend);
    assert_eq!(world.runs_out(), ["authorize", "capture", "book"]);
}
