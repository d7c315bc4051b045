//! The way forward.

use super::*;
use crate::fulfillment::Effect;
use serde_json::json;

#[test]
fn an_order_goes_through_all_steps_to_its_completion() {
    let mut world = World::placed();
    assert_eq!(world.mode(), Some(Mode::Perform));
    assert_eq!(world.runs_out(), ["reserve", "authorize", "book", "capture"]);
    assert_eq!((world.status(), world.attention()), (OrderStatus::Completed, Attention::None));
    let totals = world.totals();
    assert_eq!((totals.reserved_units, totals.booked_units, totals.captured_minor), (4, 4, 1500));
    assert_eq!(world.order().deadline, None);
    assert_eq!(world.order().version, 5, "a place and four answers");
}

#[test]
fn a_request_says_what_it_is_about() {
    let mut world = World::placed();
    let request = world.effect().unwrap().request;
    assert_eq!((request.step, request.amount_minor, request.unit_count()), (Step::Reserve, 0, 4));
    assert_eq!(request.expires, CONTEXT.now.plus_ms(CONTEXT.policy.step_deadline_ms));
    assert_eq!(world.order().deadline, Some(request.expires));
    world.answer(done());
    let request = world.effect().unwrap().request;
    assert_eq!((request.step, request.amount_minor, request.reference), (Step::Authorize, 1500, None));
    world.answer(StepOutcome::Done {
        reference: "auth-7".into(),
        amount_minor: None,
        expires: None,
        units: None,
    });
    world.answer(done());
    let request = world.effect().unwrap().request;
    assert_eq!(
        (request.step, request.amount_minor, request.reference.as_deref()),
        (Step::Capture, 1500, Some("auth-7"))
    );
}

#[test]
fn a_free_order_pays_nothing_and_gets_nothing_back() {
    let free = json!({ "customer": "c", "currency": "EUR",
        "lines": [{ "line_id": "a", "sku": "s", "quantity": 2, "amount_minor": 500 }],
        "components": [{ "kind": "discount", "amount_minor": -500 }] });
    let mut world = World::placed_as(free.clone());
    assert_eq!(world.ask(report(Step::Authorize, "ref", "done")), Code::UnknownStep);
    assert_eq!(world.runs_out(), ["reserve", "book"]);
    assert_eq!(world.status(), OrderStatus::Completed);
    assert_eq!(world.ask(returning(json!([{ "line_id": "a", "quantity": 1 }]))), Code::Applied);
    assert_eq!(world.runs_out(), ["restock"]);
    assert_eq!((world.totals().restocked_units, world.totals().refunded_minor), (1, 0));

    let mut world = World::placed_as(free);
    world.answer(done());
    assert_eq!(world.ask(cancel()), Code::Applied);
    world.answer(settled(true));
    assert_eq!(world.runs_out(), ["cancel_shipment", "release"]);
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn what_is_declined_is_undone_in_the_right_order() {
    let expected: [(Step, &[&str]); 4] = [
        (Step::Reserve, &[]),
        (Step::Authorize, &["release"]),
        (Step::Book, &["void", "release"]),
        (Step::Capture, &["cancel_shipment", "void", "release"]),
    ];
    for (step, back) in expected {
        let mut world = World::at(step);
        world.answer(declined("nope"));
        assert_eq!(world.runs_out(), back, "{step:?}");
        assert_eq!(world.status(), OrderStatus::Canceled);
        let reason = world.order().saga.cancel_reason.clone().unwrap();
        assert_eq!(*reason, *format!("{} declined: nope (no)", step.as_str()));
        assert_eq!(world.ask(cancel()), Code::AlreadyCanceled);
    }
}

#[test]
fn a_step_that_was_not_done_is_asked_for_anew_and_given_up_in_the_end() {
    for ends in [vec![failed(), settled(false)], vec![settled(false)], vec![not_done("no carrier today")]] {
        let mut world = World::at(Step::Book);
        let mut keys = std::collections::HashSet::new();
        for generation in 1..=CONTEXT.policy.step_attempts_max {
            assert_eq!(world.asking(), format!("book 1.{generation}"));
            assert!(keys.insert(world.effect().unwrap().request.key), "a key of its own");
            ends.iter().for_each(|outcome| world.answer(outcome.clone()));
        }
        assert_eq!(world.status(), OrderStatus::Canceling);
        assert_eq!(world.runs_out(), ["void", "release"]);
    }
}

#[test]
fn nobody_knowing_raises_no_generation() {
    for step in [Step::Reserve, Step::Authorize, Step::Book, Step::Capture] {
        let mut world = World::at(step);
        let effect = world.effect().unwrap();
        world.answer(unknown());
        assert_eq!(world.attention(), Attention::Held, "an operator hears of it at once");
        let look = Effect { mode: Mode::Look, doubted: true, ..effect.clone() };
        assert_eq!(world.effect().unwrap(), look, "nothing is done under the same key until somebody knows");
        assert!(!world.answer_to(&effect.at, unknown()), "that is known");
        world.answer(done());
        assert_eq!(world.attention(), Attention::None);
    }
}

#[test]
fn an_authorization_that_is_over_is_renewed_before_the_capture() {
    let mut world = World::at(Step::Authorize);
    let soon = world.context.now.plus_ms(10_000);
    world.answer(StepOutcome::Done {
        reference: "old".into(),
        amount_minor: None,
        expires: Some(soon),
        units: None,
    });
    world.context.now = world.context.now.plus_ms(6_000);
    world.answer(done());
    assert_eq!(world.asking(), "authorize 2.1", "four seconds are less than the margin");
    assert_eq!((world.totals().authorized_minor, world.totals().voided_minor), (1500, 1500));
    world.answer(StepOutcome::Done {
        reference: "new".into(),
        amount_minor: None,
        expires: None,
        units: None,
    });
    assert_eq!(world.effect().unwrap().request.reference.as_deref(), Some("new"));
    assert_eq!(world.runs_out(), ["capture"]);
    assert_eq!(world.status(), OrderStatus::Completed);
}

#[test]
fn an_authorization_that_the_provider_calls_over_is_renewed() {
    let mut world = World::at(Step::Capture);
    world.answer(declined("authorization_expired"));
    assert_eq!((world.asking(), world.status()), ("authorize 2.1".into(), OrderStatus::Open));
    assert_eq!(world.runs_out(), ["authorize", "capture"]);
    assert_eq!(world.status(), OrderStatus::Completed);
}

/// However often it is over: bounded by itself, and an operator may go beyond, or turn back.
#[test]
fn renewals_are_bounded_and_people_go_beyond() {
    let held = || {
        let mut world = World::at(Step::Capture);
        for renewal in 2..=CONTEXT.policy.renewals_max + 1 {
            world.answer(declined("authorization_expired"));
            assert_eq!(world.asking(), format!("authorize {renewal}.1"));
            world.answer(done());
        }
        world.answer(declined("authorization_expired"));
        assert_eq!((world.attention(), world.active()), (Attention::Held, None));
        world
    };
    let mut world = held();
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!(world.runs_out(), ["authorize", "capture"]);
    assert_eq!(world.status(), OrderStatus::Completed);

    let mut world = held();
    assert_eq!(world.ask(cancel()), Code::Applied);
    assert_eq!(world.attention(), Attention::None, "what it was held for is no matter any more");
    assert_eq!(world.runs_out(), ["cancel_shipment", "void", "release"]);
    assert_eq!(world.status(), OrderStatus::Canceled);
}

#[test]
fn a_step_done_for_another_amount_is_not_done_as_asked() {
    for other in [0, 1499, 1501] {
        for step in [Step::Authorize, Step::Capture] {
            let mut world = World::at(step);
            let outcome = StepOutcome::Done {
                reference: "r".into(),
                amount_minor: Some(other),
                expires: None,
                units: None,
            };
            world.answer(outcome);
            assert_eq!((world.step(), world.attention()), (Some(step), Attention::Held));
            let cause = format!("it says {other}, and 1500 was asked for");
            let told = |world: &World| world.order().saga.attention.reason().unwrap().ends_with(&cause);
            assert!(told(&world));
            world.deadline_passes();
            assert!(told(&world), "brought to mind again, with its cause");
            assert_eq!(world.ask(resolve(step, true)), Code::Applied);
            world.runs_out();
            assert_eq!(world.status(), OrderStatus::Completed);
        }
    }
}
