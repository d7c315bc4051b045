//! No key lives on behind a new one, whoever wants the step again; and no "done" is dropped, however late it comes.

use super::*;
use serde_json::json;

/// Every step that moves something, in flight.
fn in_flight() -> Vec<World> {
    let mut worlds: Vec<World> =
        [Step::Reserve, Step::Authorize, Step::Book, Step::Capture].map(World::at).into();
    let mut returning_one = World::completed();
    returning_one.ask(returning(json!([{ "line_id": "a", "quantity": 1 }])));
    worlds.push(returning_one);
    let mut restocking = World::completed();
    restocking.ask(returning(json!([{ "line_id": "a", "quantity": 1 }])));
    restocking.answer(done());
    worlds.push(restocking);
    for steps_back in 0..3 {
        let mut world = World::at(Step::Capture);
        world.answer(declined("no"));
        (0..steps_back).for_each(|_| world.answer(done()));
        worlds.push(world);
    }
    worlds
}

fn done_as(reference: &str) -> StepOutcome {
    StepOutcome::Done { reference: reference.into(), amount_minor: None, expires: None, units: None }
}

/// Paid back twice: an operator's "not done" raised the generation of a refund that was on its way.
#[test]
fn what_is_in_flight_is_nobodys_to_resolve() {
    for mut world in in_flight() {
        let before = world.order().clone();
        let step = world.step().unwrap();
        for as_done in [true, false] {
            assert_eq!(world.ask(resolve(step, as_done)), Code::NotWaitingForAnOperator, "{step:?}");
        }
        let until = world.context.now.plus_ms(3_600_000);
        assert_eq!(before, *world.order(), "{step:?}");
        world.answer(pending("p-1", Some(until)));
        for as_done in [true, false] {
            assert_eq!(world.ask(resolve(step, as_done)), Code::NotWaitingForAnOperator, "{step:?}");
        }
        world.context.now = until;
        assert_eq!(world.ask(resolve(step, false)), Code::Applied, "it is pending past its time: {step:?}");
        assert_eq!((world.mode(), world.attention()), (Some(Mode::Settle), Attention::Stalled));
    }
}

/// The answer was lost, and the refund carried out: the operator is wrong.
#[test]
fn a_step_that_is_said_not_to_be_done_is_settled_first() {
    let stall = |world: &mut World| world.deadline_passes();
    let hold = |world: &mut World| world.answer(unknown());
    for ask_for in [stall as fn(&mut World), hold] {
        for mut world in in_flight() {
            let (step, asking, trail) = (world.step().unwrap(), world.asking(), world.trail.len());
            ask_for(&mut world);
            assert_eq!(world.ask(resolve(step, false)), Code::Applied);
            let effect = world.effect().unwrap();
            assert_eq!((world.asking(), effect.mode), (asking, Mode::Settle), "the same key");
            assert!(effect.said_not_done && !effect.doubted, "at once");
            assert_eq!(world.ask(resolve(step, false)), Code::NotWaitingForAnOperator, "once is enough");
            assert!(world.order().saga.attention.reason().unwrap().contains("ops says that"));
            let mut found_done = World::from_log(&world.log);
            found_done.context = world.context;
            found_done.answer(done_as("was-done"));
            assert_eq!(found_done.attention(), Attention::None);
            assert!(found_done.trail.len() <= trail + 1 && !found_done.asking().ends_with(".2"), "once");
            // It was not: only now another key is made.
            let text = world.asking();
            world.answer(not_done("a timeout"));
            assert_eq!(world.asking(), format!("{}2", text.strip_suffix('1').unwrap()));
        }
    }
}

#[test]
fn a_report_of_failure_settles_the_key_too() {
    for doubt in [Attention::None, Attention::Stalled, Attention::Held] {
        let mut world = World::at(Step::Capture);
        world.answer(pending("p-1", None));
        match doubt {
            Attention::None => {}
            Attention::Stalled => (0..2).for_each(|_| world.deadline_passes()),
            _ => {
                world.deadline_passes();
                world.answer(pending("p-1", None));
            }
        }
        assert_eq!(world.attention(), doubt);
        assert_eq!(world.ask(report(Step::Capture, "p-1", "failed")), Code::Applied);
        let state = (world.asking(), world.mode(), world.attention());
        assert_eq!(state, ("capture 1.1".into(), Some(Mode::Settle), Attention::None));
        assert_eq!(world.ask(report(Step::Capture, "p-1", "failed")), Code::StepNotPending, "again");
        world.answer(settled(false));
        assert_eq!(world.asking(), "capture 1.2");
        assert_eq!(world.ask(report(Step::Capture, "p-1", "failed")), Code::StepNotPending, "and again");
    }
}

/// Whether the answer comes back late or is reported, and wherever the order has got to meanwhile.
#[test]
fn a_late_done_of_an_older_key_is_told_with_both_references() {
    for reported in [false, true] {
        for steps_later in 0..3 {
            let mut world = World::at(Step::Book);
            let old = world.active().unwrap().at.clone();
            world.answer(pending("old", None));
            world.answer(not_done("gave up"));
            let again = world.ask(report(Step::Book, "old", "failed"));
            assert_eq!(again, Code::StepNotPending, "known");
            (0..steps_later).for_each(|step| world.answer(done_as(&format!("new-{step}"))));
            let (active, version) = (world.order().saga.active.clone(), world.order().version);
            match reported {
                true => {
                    let code = world.ask(report(Step::Book, "old", "done"));
                    assert_eq!(code, Code::ConflictingReport);
                }
                false => assert!(world.answer_to(&old, done_as("old"))),
            }
            assert_eq!(world.order().version, version + 1);
            assert_eq!(world.order().saga.active, active, "what is asked for goes its way");
            let (attention, reason) = world.order().saga.shown_attention();
            let reason = reason.unwrap();
            assert_eq!(attention, Attention::Held);
            assert!(reason.contains("as old"), "{reason}");
            assert!(steps_later == 0 || reason.contains("new-0"), "{reason}");
            // Told once; the step's own answers do not end it.
            assert!(!world.answer_to(&old, done_as("old")));
            assert_eq!(world.ask(report(Step::Book, "old", "done")), Code::ConflictingReport);
            assert_eq!(world.order().version, version + 1);
            world.runs_out();
            assert_eq!(world.status(), OrderStatus::Completed);
            assert_eq!(world.order().saga.shown_attention().0, Attention::Held);
            assert_eq!(world.order().saga.shown_step(), Some(Step::Book));
            assert_eq!(world.ask(archive()), Code::NotTerminal);
            assert_eq!(world.ask(resume()), Code::Applied);
            assert_eq!(world.order().saga.shown_attention(), (Attention::None, None));
            assert_eq!(world.ask(resume()), Code::NothingToResume);
            assert_eq!(world.ask(archive()), Code::Applied);
        }
    }
}

#[test]
fn what_is_remembered_of_keys_is_bounded() {
    let mut world = World::at(Step::Book);
    world.context.policy.step_attempts_max = u32::MAX;
    for number in 0..100 {
        world.answer(pending(&format!("p-{number}"), None));
        world.answer(settled(false));
    }
    assert_eq!(world.order().saga.earlier.len(), 16);
    assert_eq!(world.ask(report(Step::Book, "p-99", "done")), Code::ConflictingReport);
}
