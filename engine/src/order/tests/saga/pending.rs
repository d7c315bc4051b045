//! Steps that take their time, and what participants report.

use super::*;
use crate::order::StepState;
use serde_json::json;

const HOUR_MS: u64 = 3600 * 1000;

fn pending_at(step: Step) -> World {
    let mut world = World::at(step);
    let until = world.context.now.plus_ms(HOUR_MS);
    world.answer(pending("p-1", Some(until)));
    assert_eq!((world.effect(), world.order().deadline), (None, Some(until)), "it waits for a report");
    assert_eq!(world.attention(), Attention::None);
    world
}

#[test]
fn a_report_ends_what_was_pending() {
    let mut world = pending_at(Step::Authorize);
    assert_eq!(world.ask(report(Step::Authorize, "p-1", "done")), Code::Applied);
    assert_eq!(world.order().saga.reference(Step::Authorize).map(|reference| &**reference), Some("p-1"));
    assert_eq!(world.runs_out(), ["book", "capture"]);

    let mut world = pending_at(Step::Authorize);
    assert_eq!(world.ask(report(Step::Authorize, "p-1", "declined")), Code::Applied);
    assert_eq!(world.runs_out(), ["release"]);

    let mut world = pending_at(Step::Authorize);
    assert_eq!(world.ask(report(Step::Authorize, "p-1", "failed")), Code::Applied);
    assert_eq!((world.asking(), world.mode()), ("authorize 1.1".into(), Some(Mode::Settle)));
    world.answer(settled(false));
    assert_eq!((world.asking(), world.mode()), ("authorize 1.2".into(), Some(Mode::Perform)));
}

#[test]
fn a_report_must_be_about_what_waits() {
    let mut world = pending_at(Step::Book);
    assert_eq!(world.ask(report(Step::Book, "p-2", "done")), Code::ReferenceMismatch);
    assert_eq!(world.ask(report(Step::Capture, "p-1", "done")), Code::StepNotPending, "it has not begun");
    assert_eq!(
        world.ask(report(Step::Reserve, "ref", "done")),
        Code::StepNotPending,
        "it is over, and was so"
    );
    assert_eq!(world.ask(report(Step::Reserve, "ref", "declined")), Code::ConflictingReport);
    assert_eq!(world.ask(report(Step::Reserve, "ref", "failed")), Code::ConflictingReport);
    let at = world.active().unwrap().at.clone();
    assert!(!world.answer_to(&at, pending("p-3", None)), "that it is pending is known");
    assert_eq!(world.ask(report(Step::Book, "p-1", "done")), Code::Applied);
    assert_eq!(world.ask(report(Step::Book, "p-1", "done")), Code::StepNotPending, "the same report again");
    assert_eq!(world.ask(report(Step::Book, "p-1", "declined")), Code::ConflictingReport);
}

#[test]
fn a_report_that_overtakes_the_answer_may_come_again() {
    let mut world = World::at(Step::Book);
    assert_eq!(world.ask(report(Step::Book, "p-1", "done")), Code::Unavailable);
    world.answer(pending("p-1", None));
    assert_eq!(world.ask(report(Step::Book, "p-1", "done")), Code::Applied);
}

#[test]
fn a_declined_step_knows_its_late_reports() {
    let mut world = World::at(Step::Capture);
    world.answer(declined("nope"));
    assert_eq!(world.ask(report(Step::Capture, "x", "declined")), Code::ReferenceMismatch);
    assert_eq!(world.ask(report(Step::Capture, "x", "done")), Code::ReferenceMismatch, "never given");
    world.runs_out();
    assert_eq!(world.order().saga.cell(Step::Book).standing, StepState::Undone);
    assert_eq!(world.ask(report(Step::Book, "ref", "done")), Code::StepNotPending);
}

#[test]
fn what_is_pending_beyond_its_time_is_looked_at_and_then_held() {
    let mut world = pending_at(Step::Book);
    let key = crate::fulfillment::key(&crate::order::tests::the_order(), &world.active().unwrap().at);
    world.deadline_passes();
    let look = world.effect().unwrap();
    assert_eq!((look.mode, look.request.key, world.attention()), (Mode::Look, key, Attention::None));
    world.answer(pending("p-1", None));
    assert_eq!((world.mode(), world.attention()), (Some(Mode::Look), Attention::Held));
    assert!(world.effect().unwrap().doubted, "without haste");
    assert_eq!(world.order().deadline, Some(world.context.now.plus_ms(CONTEXT.policy.reminder_ms)));
    // It is looked at again and again, and stays held: that it is pending is no news.
    let at = world.active().unwrap().at.clone();
    assert!(!world.answer_to(&at, pending("p-1", None)));
    world.deadline_passes();
    assert_eq!((world.mode(), world.attention()), (Some(Mode::Look), Attention::Held));
    assert!(!world.answer_to(&at, pending("p-1", None)));
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!((world.mode(), world.attention()), (Some(Mode::Look), Attention::None));
    assert_eq!(world.runs_out(), ["book", "capture"]);
    assert_eq!((world.status(), world.attention()), (OrderStatus::Completed, Attention::None));
}

/// A participant that reports well and cannot be asked: the report must not wait for the look.
#[test]
fn a_report_is_taken_while_the_step_is_looked_at() {
    for doubt in [false, true] {
        let mut world = pending_at(Step::Book);
        world.deadline_passes();
        if doubt {
            world.answer(unknown());
            assert_eq!((world.mode(), world.attention()), (Some(Mode::Look), Attention::Held));
            world.deadline_passes();
        }
        assert_eq!(world.ask(report(Step::Book, "p-2", "done")), Code::ReferenceMismatch);
        assert_eq!(world.ask(report(Step::Book, "p-1", "done")), Code::Applied);
        assert_eq!((world.step(), world.attention()), (Some(Step::Capture), Attention::None));
    }
}

#[test]
fn a_look_that_is_not_answered_is_stalled() {
    let mut world = pending_at(Step::Book);
    world.deadline_passes();
    world.deadline_passes();
    assert_eq!((world.mode(), world.attention()), (Some(Mode::Look), Attention::Stalled));
    assert_eq!(world.runs_out(), ["book", "capture"]);
    assert_eq!(world.attention(), Attention::None);
}

#[test]
fn what_an_operator_resolves_keeps_the_participants_reference() {
    let mut world = pending_at(Step::Authorize);
    world.deadline_passes();
    assert_eq!(world.ask(resolve(Step::Authorize, true)), Code::Applied);
    world.answer(done());
    assert_eq!(world.effect().unwrap().request.reference.as_deref(), Some("p-1"));
}

#[test]
fn a_report_of_another_amount_ends_nothing() {
    let report = |amount: i64| {
        let data =
            json!({ "step": "capture", "reference": "p-1", "outcome": "done", "amount_minor": amount });
        CommandData::Report(serde_json::from_value(data).unwrap())
    };
    let mut world = pending_at(Step::Capture);
    assert_eq!(world.ask(report(1)), Code::ConflictingReport);
    assert_eq!((world.step(), world.attention()), (Some(Step::Capture), Attention::Held));
    assert_eq!(world.totals().captured_minor, 0);
    assert_eq!(world.ask(report(1)), Code::ConflictingReport);
    assert_eq!(world.ask(report(1500)), Code::Applied);
    assert_eq!((world.status(), world.attention()), (OrderStatus::Completed, Attention::None));
}
