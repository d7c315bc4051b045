//! What people see of an order: the step that it is at, what is pending, and why, who and on what evidence.

use super::*;
use crate::ids::TimestampMs;
use crate::order::LastWords;
use crate::wire::order::{HistoryEntry, OrderView};
use serde_json::json;

fn seen(world: &World) -> (OrderView, Vec<HistoryEntry>) {
    crate::order::view(&crate::order::tests::the_order(), &world.log, None).unwrap().unwrap()
}

fn happened(world: &World) -> String {
    seen(world).1.into_iter().flat_map(|entry| entry.events).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_held_order_names_its_step() {
    let mut back = World::at(Step::Authorize);
    back.answer(declined("no"));
    back.answer(refused("gone"));
    let mut returned = World::completed();
    returned.ask(returning(json!([{ "line_id": "a", "quantity": 1 }])));
    returned.answer(refused("no"));
    let mut restocking = World::completed();
    restocking.ask(returning(json!([{ "line_id": "a", "quantity": 1 }])));
    restocking.answer(done());
    restocking.answer(declined("no room"));
    let mut in_doubt = World::at(Step::Book);
    in_doubt.answer(unknown());
    let mut renewed = World::at(Step::Authorize);
    renewed.context.policy.renewals_max = 0;
    renewed.answer(StepOutcome::Done {
        reference: "r".into(),
        amount_minor: None,
        expires: Some(TimestampMs(1)),
        units: None,
    });
    renewed.answer(done());
    for (world, step) in [
        (back, Step::Release),
        (returned, Step::Refund),
        (restocking, Step::Restock),
        (in_doubt, Step::Book),
        (renewed, Step::Authorize),
    ] {
        let view = seen(&world).0;
        assert_eq!((view.head.attention, view.head.step), (Attention::Held, Some(step)));
        assert!(view.head.attention_reason.is_some());
    }
}

#[test]
fn what_is_pending_shows_its_reference_and_since_and_until_when() {
    let mut world = World::at(Step::Authorize);
    assert_eq!(seen(&world).0.pending, None);
    world.context.now = world.context.now.plus_ms(10);
    let (since, until) = (world.context.now, world.context.now.plus_ms(5_000));
    world.answer(pending("review-1", Some(until)));
    let shown = |world: &World| {
        let pending = seen(world).0.pending.unwrap();
        (pending.step, pending.reference, pending.since, pending.until)
    };
    let expected = (Step::Authorize, "review-1".to_owned(), since, Some(until));
    assert_eq!(shown(&world), expected);
    // It is looked at, and pending still: since the beginning.
    world.deadline_passes();
    assert_eq!(shown(&world), expected);
    world.answer(pending("review-1", Some(until)));
    assert_eq!(shown(&world), expected);
    // Row 16: a restart changes nothing.
    let again = World::from_log(&world.log);
    assert_eq!(shown(&again), expected);
    assert_eq!(again.effect(), world.effect());
    assert_eq!(world.ask(report(Step::Authorize, "review-1", "done")), Code::Applied);
    assert_eq!(seen(&world).0.pending, None);
    // The next one has a beginning of its own.
    world.context.now = world.context.now.plus_ms(20);
    world.answer(pending("book-1", None));
    let now = world.context.now;
    assert_eq!(shown(&world), (Step::Book, "book-1".to_owned(), now, None));
}

#[test]
fn reasons_carry_their_causes() {
    let mut world = World::at(Step::Book);
    world.context.policy.step_attempts_max = 2;
    world.answer(not_done("503 from the carrier"));
    world.answer(not_done("504 from the carrier"));
    let reason = seen(&world).0.cancel_reason.unwrap();
    assert_eq!(reason, "book was not done in 2 attempts, the last of 3 calls: 504 from the carrier");
    assert!(happened(&world).contains("503 from the carrier"));

    let mut world = World::at(Step::Capture);
    world.answer(StepOutcome::Declined {
        code: "card_expired".into(),
        reason: "the card ended in May".into(),
        lines: vec![],
    });
    let reason = seen(&world).0.cancel_reason.unwrap();
    assert_eq!(reason, "capture declined: card_expired (the card ended in May)");
    world.answer(refused("left"));
    let reason = seen(&world).0.head.attention_reason.unwrap();
    assert_eq!(reason, "cancel_shipment cannot be done: left (no)");

    let mut world = World::at(Step::Book);
    world.context.now = world.order().deadline.unwrap();
    let last = Some(LastWords { reason: "connection refused".into(), calls: 7 });
    assert!(world.engine(&EngineCommand::DeadlinePassed { last }));
    let reason = seen(&world).0.head.attention_reason.unwrap();
    assert_eq!(reason, "book has no definite answer in time after 7 calls; the last: connection refused");
}

fn because<T: serde::de::DeserializeOwned>(data: serde_json::Value) -> T {
    serde_json::from_value(data).unwrap()
}

/// Evidence, names and reasons of every verb are in the history, and the last of them in the view.
#[test]
fn what_operators_say_is_kept() {
    let with = |reason: &str| json!({ "reason": reason });
    let shown = |world: &World, kind: &str, reason: &str| {
        let (view, history) = seen(world);
        let act = view.operator.unwrap();
        assert_eq!((act.name.as_str(), act.kind.as_str()), ("ops", kind));
        assert_eq!((act.reason.as_deref(), act.at), (Some(reason), world.context.now));
        assert!(happened(world).contains(reason), "{reason} is not in {}", happened(world));
        let last = history.last().unwrap();
        assert_eq!(last.actor.as_ref().unwrap().name.as_deref(), Some("ops"));
    };
    let mut world = World::at(Step::Book);
    world.deadline_passes();
    world.ask(CommandData::Resume(because(with("the carrier is back"))));
    shown(&world, "retailflow.order.resume.v1", "the carrier is back");
    world.deadline_passes();
    world.ask(resolve(Step::Book, false));
    shown(&world, "retailflow.order.resolve-step.v1", "by phone");
    world.ask(resolve(Step::Book, true));
    shown(&world, "retailflow.order.resolve-step.v1", "by phone");
    world.ask(CommandData::Compensate(because(with("fraud"))));
    shown(&world, "retailflow.order.compensate.v1", "fraud");
    assert_eq!(seen(&world).0.cancel_reason.as_deref(), Some("fraud"));
    world.answer(settled(false));
    world.runs_out();
    world.ask(CommandData::Archive(because(with("a year old"))));
    shown(&world, "retailflow.order.archive.v1", "a year old");
    world.ask(CommandData::Restore(because(with("the auditor asks"))));
    shown(&world, "retailflow.order.restore.v1", "the auditor asks");

    let mut world = World::at(Step::Book);
    world.ask(cancel());
    assert!(happened(&world).contains("cancel requested: changed my mind"));
}
