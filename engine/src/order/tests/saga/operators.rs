//! What operators ask for.

use super::*;
use serde_json::json;

#[test]
fn resume_is_for_what_is_held_or_stalled() {
    let mut world = World::placed();
    assert_eq!(world.ask(resume()), Code::NothingToResume);
    world.deadline_passes();
    let effect = world.effect();
    assert_eq!(world.ask(resume()), Code::Applied);
    assert_eq!((world.attention(), world.effect()), (Attention::None, effect), "the same asking goes on");
    world.runs_out();
    assert_eq!(world.ask(resume()), Code::NothingToResume);
}

#[test]
fn an_operator_says_how_a_step_ended() {
    let mut world = World::at(Step::Authorize);
    world.answer(unknown());
    assert_eq!(world.ask(resolve(Step::Book, true)), Code::StepNotPending);
    assert_eq!(world.ask(resolve(Step::Authorize, true)), Code::Applied);
    assert_eq!((world.attention(), world.totals().authorized_minor), (Attention::None, 1500));
    world.answer(done());
    assert_eq!(world.effect().unwrap().request.reference.as_deref(), Some("by phone"));

    let mut world = World::at(Step::Authorize);
    world.answer(unknown());
    assert_eq!(world.ask(resolve(Step::Authorize, false)), Code::Applied);
    assert_eq!((world.asking(), world.mode()), ("authorize 1.1".into(), Some(Mode::Settle)));
    world.answer(settled(false));
    assert_eq!((world.asking(), world.attention()), ("authorize 1.2".into(), Attention::None));

    let mut world = World::at(Step::Authorize);
    world.ask(cancel());
    world.answer(unknown());
    assert_eq!(world.ask(resolve(Step::Authorize, false)), Code::Applied);
    assert_eq!((world.step(), world.mode()), (Some(Step::Authorize), Some(Mode::Settle)));
    world.answer(settled(false));
    assert_eq!(world.runs_out(), ["release"], "what is not wanted is not asked for again");
}

#[test]
fn what_is_held_before_a_step_may_be_resolved_as_not_done() {
    let mut world = World::at(Step::Authorize);
    world.answer(declined("no"));
    world.answer(refused("no"));
    assert_eq!(world.ask(resolve(Step::Void, true)), Code::StepNotPending, "another step is held");
    assert_eq!(world.ask(resolve(Step::Release, false)), Code::Applied);
    // Nothing was asked for under a key of its own: it is asked for now.
    assert_eq!((world.asking(), world.attention()), ("release 2.1".into(), Attention::None));
    assert_eq!(world.runs_out(), ["release"]);
    assert_eq!(world.ask(resolve(Step::Release, true)), Code::StepNotPending);
}

#[test]
fn compensate_is_a_cancel_by_an_operator() {
    let mut world = World::at(Step::Book);
    assert_eq!(world.ask(compensate()), Code::Applied);
    assert_eq!(world.mode(), Some(Mode::Settle));
    assert_eq!(world.ask(compensate()), Code::NothingToCompensate);
    world.answer(settled(true));
    assert_eq!(world.runs_out(), ["cancel_shipment", "void", "release"]);
    assert_eq!(world.ask(compensate()), Code::NothingToCompensate);
    assert_eq!(World::completed().ask(compensate()), Code::OrderTerminal);
}

#[test]
fn only_what_has_ended_goes_into_the_archive() {
    let mut world = World::placed();
    assert_eq!(world.ask(archive()), Code::NotTerminal);
    assert_eq!(world.ask(restore()), Code::NotArchived);
    world.runs_out();
    assert_eq!(world.ask(returning(json!([{ "line_id": "b", "quantity": 1 }]))), Code::Applied);
    assert_eq!(world.ask(archive()), Code::NotTerminal, "a return is on its way");
    world.answer(refused("no"));
    assert_eq!(world.ask(archive()), Code::NotTerminal, "it is held");
    world.ask(resume());
    world.runs_out();
    assert_eq!(world.ask(archive()), Code::Applied);
    assert_eq!(world.ask(archive()), Code::Archived);
    let again = returning(json!([{ "line_id": "a", "quantity": 1 }]));
    for command in [again.clone(), cancel(), resume(), compensate(), report(Step::Book, "r", "done")] {
        assert_eq!(world.ask(command), Code::Archived);
    }
    assert_eq!(world.ask(restore()), Code::Applied);
    assert_eq!(world.ask(again), Code::Applied);
    assert_eq!(world.runs_out(), ["refund", "restock"]);

    let mut world = World::at(Step::Reserve);
    world.answer(declined("no stock"));
    assert_eq!(world.ask(archive()), Code::Applied);
    assert_eq!(world.ask(restore()), Code::Applied);
    assert_eq!((world.status(), world.order().deadline), (OrderStatus::Canceled, None));
}

/// What an operator knows of one payment was taken for another one that was asked for meanwhile: the second authorization got the
/// reference of the first, which was then captured twice.
#[test]
fn an_operator_says_which_of_several_payments_is_meant() {
    let mut world = World::empty();
    assert_eq!(world.ask(place_of(paid_by(&[700, 800]))), Code::Applied);
    world.answer(done());
    world.answer(done());
    assert_eq!((world.step(), world.asking()), (Some(Step::Authorize), "authorize 2.1".into()));
    world.answer(unknown());
    let of = |part: Option<&str>, seen: Option<u64>| {
        let mut data = resolve(Step::Authorize, true);
        if let CommandData::ResolveStep(said) = &mut data {
            (said.part, said.expected_version) = (part.map(Into::into), seen);
        }
        data
    };
    let version = world.order().version;
    assert_eq!(world.ask(of(None, None)), Code::AmbiguousStep);
    assert_eq!(world.ask(of(Some("p1"), None)), Code::StepNotPending);
    assert_eq!(world.ask(of(Some("r1"), None)), Code::StepNotPending);
    assert_eq!(world.ask(of(None, Some(version - 1))), Code::VersionMismatch);
    let (view, _) = crate::order::view(&crate::order::tests::the_order(), &world.log, None).unwrap().unwrap();
    assert_eq!((view.head.step, view.part.as_deref()), (Some(Step::Authorize), Some("p2")));
    assert_eq!(world.ask(of(Some("p2"), None)), Code::Applied);
    assert_eq!(world.totals().authorized_minor, 1500);
}
