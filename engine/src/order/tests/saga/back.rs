//! The way back: a cancel at every point.

use super::*;

const BACK: [(Step, &[&str], &[&str]); 4] = [
    (Step::Reserve, &["release"], &[]),
    (Step::Authorize, &["void", "release"], &["release"]),
    (Step::Book, &["cancel_shipment", "void", "release"], &["void", "release"]),
    (Step::Capture, &["cancel_shipment", "refund", "release"], &["cancel_shipment", "void", "release"]),
];

#[test]
fn a_step_in_flight_is_settled_before_anything_is_undone() {
    for (step, was_done, was_not) in BACK {
        for (answers, back) in [
            (vec![settled(true)], was_done),
            (vec![done()], was_done),
            (vec![unknown(), settled(true)], was_done),
            (vec![settled(false)], was_not),
            (vec![failed(), settled(false)], was_not),
            (vec![declined("nope")], was_not),
            (vec![declined("authorization_expired")], was_not),
            (vec![unknown(), settled(false)], was_not),
        ] {
            let mut world = World::at(step);
            let asked = world.asking();
            assert_eq!(world.ask(cancel()), Code::Applied);
            assert_eq!(world.ask(cancel()), Code::AlreadyCanceled);
            for answer in answers {
                assert_eq!((world.asking(), world.mode()), (asked.clone(), Some(Mode::Settle)));
                world.answer(answer);
            }
            assert_eq!(world.runs_out(), back, "{step:?}");
            assert_eq!((world.status(), world.attention()), (OrderStatus::Canceled, Attention::None));
            assert_eq!(world.order().saga.cancel_reason.as_deref(), Some("changed my mind"));
        }
    }
}

#[test]
fn a_pending_step_is_given_up() {
    for (step, was_done, was_not) in BACK {
        let until = CONTEXT.now.plus_ms(30 * 24 * 3600 * 1000);
        let pending = || {
            let mut world = World::at(step);
            world.answer(pending("p-1", Some(until)));
            assert_eq!((world.mode(), world.order().deadline), (None, Some(until)), "it waits");
            assert_eq!(world.ask(cancel()), Code::Applied);
            assert_eq!(world.mode(), Some(Mode::Settle));
            assert!(world.order().deadline.unwrap() < until, "a settlement does not take a month");
            world
        };
        let mut world = pending();
        world.answer(settled(false));
        assert_eq!(world.runs_out(), was_not);
        let mut world = pending();
        assert_eq!(world.ask(report(step, "p-1", "done")), Code::Applied, "it was faster");
        assert_eq!(world.runs_out(), was_done);
        let mut world = pending();
        world.deadline_passes();
        assert_eq!((world.mode(), world.attention()), (Some(Mode::Settle), Attention::Stalled));
        assert_eq!(world.ask(report(step, "p-1", "declined")), Code::Applied);
        assert_eq!(world.runs_out(), was_not);
        assert_eq!((world.status(), world.attention()), (OrderStatus::Canceled, Attention::None));
    }
}

/// The parcel has gone: nothing was undone, so the order goes forward, and can't be canceled any more.
#[test]
fn a_shipment_that_cannot_be_called_off_turns_the_order_forward() {
    for (answer, forward) in [(settled(false), &["capture"][..]), (settled(true), &[])] {
        let mut world = World::at(Step::Capture);
        assert_eq!(world.ask(cancel()), Code::Applied);
        world.answer(answer);
        assert_eq!(world.step(), Some(Step::CancelShipment));
        world.answer(refused("gone"));
        assert!(world.order().saga.cancel_refused);
        if !forward.is_empty() {
            assert_eq!((world.status(), world.attention()), (OrderStatus::Open, Attention::None));
            assert_eq!(world.asking(), "capture 2.1", "the first was settled");
            assert_eq!(world.ask(cancel()), Code::CancellationRefused);
        }
        assert_eq!(world.runs_out(), forward);
        assert_eq!(world.status(), OrderStatus::Completed);
        assert_eq!(world.ask(cancel()), Code::OrderTerminal);
        assert_eq!(world.order().saga.cancel_reason, None);
    }
}

#[test]
fn an_operator_may_try_again_what_was_refused_to_the_customer() {
    let mut world = World::at(Step::Capture);
    world.ask(cancel());
    world.answer(settled(false));
    world.answer(refused("gone"));
    assert_eq!(world.ask(compensate()), Code::Applied);
    world.answer(settled(false));
    assert_eq!(world.asking(), "cancel_shipment 2.1");
    assert_eq!(world.runs_out(), ["cancel_shipment", "void", "release"]);
    assert_eq!(world.status(), OrderStatus::Canceled);
}

/// Nobody asked for it, so there is no way forward: the capture was declined.
#[test]
fn without_a_cancel_a_refused_shipment_is_held() {
    let mut world = World::at(Step::Capture);
    world.answer(declined("card_blocked"));
    world.answer(refused("gone"));
    assert_eq!((world.status(), world.attention()), (OrderStatus::Canceling, Attention::Held));
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!(world.asking(), "cancel_shipment 2.1");
    assert_eq!(world.runs_out(), ["cancel_shipment", "void", "release"]);
}

/// What was undone before it stays undone; a person decides.
#[test]
fn any_other_compensation_that_is_refused_is_held() {
    for (step, before, after) in [
        (Step::Refund, &["cancel_shipment"][..], &["refund", "release"][..]),
        (Step::Release, &["cancel_shipment", "refund"], &["release"]),
    ] {
        for answer in [refused("no"), declined("no")] {
            let held = || {
                let mut world = World::at(Step::Capture);
                world.ask(cancel());
                world.answer(settled(true));
                for _ in before {
                    world.answer(done());
                }
                assert_eq!(world.step(), Some(step));
                world.answer(answer.clone());
                assert_eq!((world.active(), world.attention()), (None, Attention::Held));
                world
            };
            let mut world = held();
            world.deadline_passes();
            assert_eq!((world.active(), world.attention()), (None, Attention::Held), "it is brought to mind");
            assert_eq!(world.ask(resume()), Code::Applied);
            assert_eq!(world.runs_out(), after);
            let mut world = held();
            assert_eq!(world.ask(resolve(step, true)), Code::Applied);
            assert_eq!(world.runs_out(), after[1..]);
            assert_eq!((world.status(), world.attention()), (OrderStatus::Canceled, Attention::None));
        }
    }
}

#[test]
fn a_compensation_that_fails_is_tried_again_and_then_held() {
    let mut world = World::at(Step::Book);
    world.answer(declined("no carrier"));
    for generation in 1..=CONTEXT.policy.step_attempts_max {
        assert_eq!(world.asking(), format!("void 1.{generation}"));
        world.answer(failed());
        world.answer(settled(false));
    }
    assert_eq!((world.active(), world.attention()), (None, Attention::Held), "nothing is tried for ever");
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!(world.asking(), "void 2.1");
    assert_eq!(world.runs_out(), ["void", "release"]);
}

#[test]
fn doubt_about_a_compensation_is_never_stepped_over() {
    let mut world = World::at(Step::Book);
    world.answer(declined("no carrier"));
    let request = world.effect().map(|effect| effect.request);
    world.answer(unknown());
    for _ in 0..3 {
        world.deadline_passes();
        let asked = world.effect().map(|effect| effect.request);
        assert_eq!((asked, world.attention()), (request.clone(), Attention::Held));
        assert_eq!(world.mode(), Some(Mode::Look), "what is held is not at work");
    }
    assert_eq!(world.runs_out(), ["void", "release"]);
}
