//! Answers that come late, twice or from elsewhere, and deadlines.

use super::*;
use crate::codec::v1::{self, BodyV1, DeadlineV1, EventV1, StepOutcomeV1};
use retailflow_invariants::{InvariantId, OrderCheck};

#[test]
fn a_step_without_an_answer_in_time_asks_for_attention() {
    for step in [Step::Reserve, Step::Authorize, Step::Book, Step::Capture] {
        let mut world = World::at(step);
        let effect = world.effect();
        assert!(!world.engine(&EngineCommand::DeadlinePassed { last: None }), "not yet");
        world.deadline_passes();
        assert_eq!((world.attention(), world.effect()), (Attention::Stalled, effect.clone()));
        world.deadline_passes();
        assert_eq!(
            (world.attention(), world.effect()),
            (Attention::Stalled, effect),
            "it is brought to mind"
        );
        world.answer(unknown());
        assert_eq!(
            world.attention(),
            Attention::Held,
            "late, and then one that cannot be: that is the cause"
        );
        world.answer(done());
        assert_eq!(world.attention(), Attention::None, "a late answer folds in");
        world.runs_out();
        assert_eq!(world.status(), OrderStatus::Completed);
    }
}

#[test]
fn a_late_decline_clears_the_attention_and_turns_back() {
    let mut world = World::at(Step::Book);
    world.deadline_passes();
    world.answer(declined("nope"));
    assert_eq!((world.attention(), world.status()), (Attention::None, OrderStatus::Canceling));
    assert_eq!(world.runs_out(), ["void", "release"]);
}

#[test]
fn an_asking_ends_once() {
    let mut world = World::at(Step::Book);
    let first = world.active().unwrap().at.clone();
    world.answer(settled(false));
    let before = world.order().clone();
    for outcome in [failed(), declined("x"), unknown(), pending("p", None), refused("x"), settled(false)] {
        assert!(!world.answer_to(&first, outcome), "that asking is over");
    }
    let foreign = [
        StepAt { step: Step::Capture, ..first.clone() },
        StepAt { instance: 2, ..first.clone() },
        StepAt { generation: 7, ..first.clone() },
        StepAt { generation: 2, part: Some("r1".into()), ..first.clone() },
    ];
    for at in foreign {
        assert!(!world.answer_to(&at, done()), "{at:?} was never asked for");
    }
    assert_eq!(*world.order(), before);
}

/// Promise 4, as the checker of logs sees it: no new key after an unknown outcome.
#[test]
fn a_generation_that_rises_in_doubt_is_a_violation() {
    let mut world = World::placed();
    world.answer(settled(false));
    assert_eq!(world.asking(), "reserve 1.2");
    let violations = |outcome: StepOutcomeV1| {
        let mut check = OrderCheck::default();
        assert_eq!(check.record(&world.log[0]).unwrap(), []);
        let mut record = v1::decode(&world.log[1]).unwrap();
        let BodyV1::Decisions(decisions) = &mut record.body else { panic!("decisions") };
        let EventV1::StepEnded { outcome: said, .. } = &mut decisions[0].events[0] else { panic!("ended") };
        *said = outcome;
        check.record(&v1::encode(&record).unwrap()).unwrap().into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    let reason = || "r".to_owned();
    // As builds before the first release wrote it.
    assert_eq!(violations(StepOutcomeV1::Failed { reason: reason() }), []);
    assert_eq!(violations(StepOutcomeV1::Settled { done: false, reference: None }), []);
    assert_eq!(violations(StepOutcomeV1::NotDone { reason: None, calls: 1 }), []);
    for outcome in [
        StepOutcomeV1::Resolved { done: false, operator: reason(), evidence: reason() },
        StepOutcomeV1::Unknown { reason: reason() },
        StepOutcomeV1::Pending { reference: reason(), until_ms: None, lines: vec![] },
        StepOutcomeV1::Declined { code: reason(), reason: reason(), lines: vec![] },
        StepOutcomeV1::Settled { done: true, reference: None },
    ] {
        assert!(violations(outcome).contains(&InvariantId::Transitions));
    }
}

/// What participants say is not believed to be short.
#[test]
fn what_a_participant_says_is_cut_to_the_limits_of_the_contract() {
    let long: std::sync::Arc<str> = "\u{1f6d2}".repeat(100_000).into();
    let units = |_| crate::ports::LineUnits { line_id: long.clone(), quantity: u64::MAX };
    let outcome = StepOutcome::Declined {
        code: long.clone(),
        reason: long.clone(),
        lines: (0..3).map(units).collect(),
    };
    let mut world = World::at(Step::Book);
    world.answer(outcome);
    assert!(world.log.last().unwrap().len() < 10_000);
    for outcome in
        [StepOutcome::Failed { reason: long.clone() }, StepOutcome::Unknown { reason: long.clone() }]
    {
        let mut world = World::at(Step::Book);
        world.answer(outcome);
        assert!(world.log.last().unwrap().len() < 10_000);
    }
}

/// As builds before the saga wrote it: placed, with a deadline, and no step begun.
#[test]
fn an_order_of_an_older_build_goes_on_at_its_deadline() {
    let placed = World::placed();
    let mut record = v1::decode(&placed.log[0]).unwrap();
    let BodyV1::Decisions(decisions) = &mut record.body else { panic!("decisions") };
    decisions[0].events.truncate(1);
    let deadline = CONTEXT.now.plus_ms(60_000);
    assert_eq!(decisions[0].deadline, DeadlineV1::Set(deadline.0));
    let old = || World::from_log(&[v1::encode(&record).unwrap()]);

    let mut world = old();
    assert_eq!((world.active(), world.order().deadline), (None, Some(deadline)));
    world.deadline_passes();
    assert_eq!(world.runs_out(), ["reserve", "authorize", "book", "capture"]);
    assert_eq!(world.status(), OrderStatus::Completed);

    let mut world = old();
    assert_eq!(world.ask(cancel()), Code::Applied);
    assert_eq!(world.status(), OrderStatus::Canceled, "there is nothing to undo");

    let mut world = old();
    assert_eq!(world.ask(resume()), Code::NothingToResume);
    assert_eq!(world.ask(resolve(Step::Reserve, true)), Code::Applied);
    assert_eq!(world.runs_out(), ["authorize", "book", "capture"]);
}
