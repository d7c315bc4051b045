//! The engine's own decisions: how they are recorded, and how many there may be.

use super::*;
use crate::codec::v1::{self, ActorV1, BodyV1, CommandKindV1};

#[test]
fn the_engines_decisions_have_no_outcome_and_no_id_to_remember() {
    let mut world = World::placed();
    world.deadline_passes();
    world.answer(done());
    assert_eq!(world.aggregate.recent().count(), 1, "the place");
    assert_eq!((world.aggregate.revision, world.order().version), (3, 3), "they count all the same");
    let kinds = [CommandKindV1::DeadlinePassed, CommandKindV1::StepOutcome];
    for (record, kind) in world.log[1..].iter().zip(kinds) {
        assert_eq!(Aggregate::outcomes_in(record).unwrap(), []);
        let BodyV1::Decisions(decisions) = v1::decode(record).unwrap().body else { panic!("decisions") };
        assert_eq!((&decisions[0].actor, decisions[0].kind), (&ActorV1::Engine, kind));
    }
}

#[test]
fn a_full_order_still_goes_to_its_end() {
    let mut world = World::placed();
    world.context.policy.decisions_max = 2;
    assert_eq!(world.ask(place_of(basket())), Code::OrderExists);
    assert_eq!(world.ask(cancel()), Code::OrderFull, "the tenant's commands are counted");
    assert_eq!(world.ask(resume()), Code::NothingToResume, "operators have a reserve");
    world.deadline_passes();
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!(world.runs_out(), ["reserve", "authorize", "book", "capture"]);
    assert_eq!(world.status(), OrderStatus::Completed);
    assert_eq!(world.ask(archive()), Code::Applied);
}

#[test]
fn the_reserve_ends_too() {
    let mut world = World::placed();
    world.context.policy.decisions_max = 0;
    let mut far = world.aggregate.clone();
    far.revision = 10_000;
    let mut draft = Draft::new(&far);
    let outcome = EngineCommand::StepOutcome { at: world.active().unwrap().at.clone(), outcome: done() };
    assert!(!draft.decide_engine(&outcome, &world.context));
    far.revision = 9_999;
    let mut draft = Draft::new(&far);
    assert!(draft.decide_engine(&outcome, &world.context));
    assert!(!draft.decide_engine(&outcome, &world.context), "it was the last one, and is no news besides");
}

#[test]
fn an_expected_version_is_kept_to() {
    let mut world = World::placed();
    let expecting = |version: u64| {
        let data = serde_json::json!({ "reason": "r", "expected_version": version });
        CommandData::Cancel(serde_json::from_value(data).unwrap())
    };
    assert_eq!(world.ask(expecting(2)), Code::VersionMismatch);
    world.answer(done());
    assert_eq!(world.ask(expecting(1)), Code::VersionMismatch, "an answer counts as well");
    assert_eq!(world.status(), OrderStatus::Open);
    assert_eq!(world.ask(expecting(2)), Code::Applied);
    assert_eq!(world.order().version, 3);
}

#[test]
fn many_decisions_of_one_record_follow_from_one_another() {
    let mut world = World::placed();
    let mut draft = Draft::new(&world.aggregate);
    for step in [Step::Reserve, Step::Authorize, Step::Book] {
        let at = StepAt { step, instance: 1, generation: 1, part: None };
        assert!(draft.decide_engine(&EngineCommand::StepOutcome { at, outcome: done() }, &world.context));
    }
    let mut command = crate::order::tests::cancel("x");
    command.data = cancel().into();
    assert!(matches!(draft.decide(&world.aggregate, &command, &world.context, true), Drafted::Decided(0)));
    assert_eq!(draft.len(), 4);
    world.commit(draft);
    assert_eq!((world.asking(), world.mode()), ("capture 1.1".into(), Some(Mode::Settle)));
}
