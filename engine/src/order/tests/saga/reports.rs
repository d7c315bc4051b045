//! What a report comes to: the reference first, and the same end whatever attention the order asks for.

use super::*;
use serde_json::json;

fn of_amount(reference: &str, minor: i64) -> CommandData {
    let data = json!({ "step": "capture", "reference": reference, "outcome": "done", "amount_minor": minor });
    CommandData::Report(serde_json::from_value(data).unwrap())
}

fn of_lines(lines: serde_json::Value) -> CommandData {
    let data = json!({ "step": "book", "reference": "p-1", "outcome": "done", "lines": lines });
    CommandData::Report(serde_json::from_value(data).unwrap())
}

/// A step that is pending as `p-1`, with each kind of attention.
fn pending_with_each_attention(step: Step) -> [World; 3] {
    let pending_now = || {
        let mut world = World::at(step);
        world.answer(pending("p-1", None));
        world
    };
    let (none, mut held, mut stalled) = (pending_now(), pending_now(), pending_now());
    held.deadline_passes();
    held.answer(pending("p-1", None));
    stalled.deadline_passes();
    stalled.deadline_passes();
    let all = [none, held, stalled];
    assert_eq!(all.each_ref().map(World::attention), [Attention::None, Attention::Held, Attention::Stalled]);
    all
}

/// Row 9 of the cases: it was called a conflict.
#[test]
fn a_reference_that_was_never_given_says_nothing() {
    for outcome in ["done", "declined", "failed"] {
        for step in [Step::Reserve, Step::Authorize, Step::Book, Step::Capture] {
            let mut world = World::completed();
            let (before, version) = (world.order().clone(), world.order().version);
            assert_eq!(world.ask(report(step, "never-given", outcome)), Code::ReferenceMismatch);
            assert_eq!((world.order(), world.order().version), (&before, version));
            for mut world in pending_with_each_attention(step) {
                let before = world.order().clone();
                assert_eq!(world.ask(report(step, "never-given", outcome)), Code::ReferenceMismatch);
                assert_eq!(*world.order(), before);
            }
        }
    }
}

/// Row 10: applied or rejected, by the attention that there was.
#[test]
fn a_report_of_another_amount_ends_the_same_way() {
    for mut world in pending_with_each_attention(Step::Capture) {
        for _ in 0..2 {
            assert_eq!(world.ask(of_amount("p-1", 1999)), Code::ConflictingReport);
            assert_eq!((world.step(), world.attention()), (Some(Step::Capture), Attention::Held));
            let reason = world.order().saga.attention.reason().unwrap();
            assert!(reason.contains("1999") && reason.contains("1500") && reason.contains("p-1"), "{reason}");
            assert_eq!((world.totals().captured_minor, world.mode()), (0, Some(Mode::Look)));
        }
        assert_eq!(world.ask(of_amount("p-1", 1500)), Code::Applied);
        assert_eq!((world.status(), world.attention()), (OrderStatus::Completed, Attention::None));
    }
}

#[test]
fn every_report_ends_the_same_way_whatever_the_attention() {
    for (outcome, status) in [("done", OrderStatus::Completed), ("declined", OrderStatus::Canceling)] {
        for mut world in pending_with_each_attention(Step::Capture) {
            assert_eq!(world.ask(report(Step::Capture, "p-1", outcome)), Code::Applied);
            assert_eq!((world.status(), world.attention()), (status, Attention::None));
            assert_eq!(world.ask(report(Step::Capture, "p-1", outcome)), Code::StepNotPending, "known");
        }
    }
}

/// Only what two sides say differently is a conflict, and of that somebody hears.
#[test]
fn a_real_conflict_is_told_to_an_operator() {
    let told = |mut world: World, data: CommandData, words: &[&str]| {
        let before = world.order().clone();
        assert_eq!(world.ask(data.clone()), Code::ConflictingReport);
        let (attention, reason) = world.order().saga.shown_attention();
        assert_eq!(attention, Attention::Held);
        words.iter().for_each(|word| assert!(reason.unwrap().contains(word), "{reason:?}"));
        assert_eq!((world.order().version, world.totals()), (before.version + 1, before.saga.totals));
        assert_eq!(world.ask(data), Code::ConflictingReport);
        assert_eq!(world.order().version, before.version + 1, "told once");
    };
    let mut done_before = World::at(Step::Book);
    done_before.answer(pending("p-1", None));
    done_before.ask(report(Step::Book, "p-1", "done"));
    told(done_before, report(Step::Book, "p-1", "failed"), &["book was done", "p-1", "failed"]);

    let mut declined_before = World::at(Step::Capture);
    declined_before.answer(pending("p-1", None));
    declined_before.ask(report(Step::Capture, "p-1", "declined"));
    told(declined_before, report(Step::Capture, "p-1", "done"), &["capture", "declined", "p-1"]);

    let mut refunded = World::completed();
    refunded.ask(returning(json!([{ "line_id": "a", "quantity": 1 }])));
    refunded.answer(StepOutcome::Done {
        reference: "re-1".into(),
        amount_minor: None,
        expires: None,
        units: None,
    });
    assert_eq!(refunded.ask(report(Step::Refund, "re-1", "done")), Code::StepNotPending);
    told(refunded, report(Step::Refund, "re-1", "declined"), &["refund was done", "re-1"]);
}

/// Row 11.
#[test]
fn lines_of_a_report_are_honored_or_refused() {
    let line = |line_id: &str, quantity: u32| json!({ "line_id": line_id, "quantity": quantity });
    for mut world in pending_with_each_attention(Step::Book) {
        let before = world.order().clone();
        for foreign in [json!([line("z", 1)]), json!([line("a", 4)])] {
            assert_eq!(world.ask(of_lines(foreign)), Code::UnknownLine);
        }
        let paid = json!([{ "line_id": "a", "quantity": 3, "amount_minor": 1 }, line("b", 1)]);
        assert_eq!(world.ask(of_lines(paid)), Code::UnsupportedValue);
        assert_eq!(*world.order(), before);
        assert_eq!(world.ask(of_lines(json!([line("b", 1), line("a", 3)]))), Code::Applied);
        assert_eq!((world.step(), world.totals().booked_units), (Some(Step::Capture), 4));
    }
    for part in [json!([line("a", 2), line("b", 1)]), json!([line("a", 3)]), json!([line("b", 1)])] {
        for mut world in pending_with_each_attention(Step::Book) {
            let units = part.as_array().unwrap().iter().map(|line| line["quantity"].as_u64().unwrap());
            let units: u64 = units.sum();
            assert_eq!(world.ask(of_lines(part.clone())), Code::Applied, "a part is honored");
            assert_eq!((world.step(), world.totals().booked_units), (Some(Step::Capture), units));
        }
    }
}

/// Row 14: each reminder was a new version and an event.
#[test]
fn reminders_change_nothing() {
    let mut unanswered = World::at(Step::Book);
    unanswered.deadline_passes();
    let mut held = World::at(Step::Book);
    held.answer(unknown());
    let [_, pending_held, pending_stalled] = pending_with_each_attention(Step::Book);
    let mut refused_return = World::completed();
    refused_return.ask(returning(json!([{ "line_id": "a", "quantity": 1 }])));
    refused_return.answer(refused("no"));
    let asking = |world: &World| (world.effect(), world.attention());
    for mut world in [unanswered, held, pending_held, pending_stalled, refused_return] {
        let look = |world: &World| crate::order::view(&crate::order::tests::the_order(), &world.log, None);
        let (view, history) = look(&world).unwrap().unwrap();
        let (before, asked) = (world.order().clone(), asking(&world));
        for _ in 0..24 {
            world.deadline_passes();
            assert!(world.order().deadline.unwrap() > world.context.now, "and it is reminded of again");
        }
        let (view_now, history_now) = look(&world).unwrap().unwrap();
        assert_eq!((world.order().version, asking(&world)), (before.version, asked));
        assert_eq!((history_now, view_now.updated_at), (history, view.updated_at));
        assert_eq!(view_now.head, view.head);
    }
}
