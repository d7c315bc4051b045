//! Where a shipment is, as shipping reports it.

use super::*;
use crate::order::tests::the_order;
use crate::order::{Incoming, view_of};
use crate::wire::command::ShipmentState::{self, Booked, Delivered, HandedOver, Lost, ReturnedToSender};

fn says(reference: &str, state: ShipmentState) -> CommandData {
    let CommandData::Report(mut data) = report(Step::Book, reference, "done") else {
        unreachable!("a report")
    };
    data.shipment = Some(state);
    CommandData::Report(data)
}

fn shown(world: &World) -> Vec<ShipmentState> {
    let view = view_of(&world.aggregate, None).unwrap().unwrap();
    view.shipments.iter().map(|shipment| shipment.state).collect()
}

fn told(world: &World) -> Vec<String> {
    let mut replayed = Aggregate::new(the_order());
    let mut kinds = Vec::new();
    for bytes in &world.log {
        let published = Incoming::read(bytes).unwrap().publish(&mut replayed).unwrap();
        kinds.extend(published.iter().map(|one| one.event.data.kind().to_owned()));
    }
    kinds
}

#[test]
fn it_goes_its_way() {
    let mut world = World::at(Step::Capture);
    assert_eq!(shown(&world), [Booked]);
    assert_eq!(world.ask(says("other", HandedOver)), Code::ReferenceMismatch);
    assert_eq!(world.ask(says("ref", HandedOver)), Code::Applied);
    assert_eq!(world.asking(), "capture 1.1", "its steps go on");
    world.answer(done());
    assert_eq!(world.ask(says("ref", HandedOver)), Code::StepNotPending, "it is known");
    assert_eq!(world.ask(says("ref", Delivered)), Code::Applied);
    assert_eq!((world.status(), shown(&world)), (OrderStatus::Completed, vec![Delivered]));
    let view = view_of(&world.aggregate, None).unwrap().unwrap();
    let shipment = &view.shipments[0];
    assert_eq!((&*shipment.shipment_id, shipment.reference.as_deref()), ("1", Some("ref")));
    assert_eq!(shipment.since, Some(world.context.now));
    let told = told(&world);
    for kind in ["shipped", "delivered"] {
        assert_eq!(told.iter().filter(|one| **one == format!("retailflow.order.{kind}.v1")).count(), 1);
    }
    assert_eq!(world.order().deadline, None, "nothing waits for it");
}

#[test]
fn reports_may_be_left_out_and_come_late() {
    let mut world = World::completed();
    assert_eq!(world.ask(says("ref", Delivered)), Code::Applied);
    assert_eq!(world.ask(says("ref", HandedOver)), Code::StepNotPending);
    assert_eq!((world.order().saga.contradiction.is_none(), shown(&world)), (true, vec![Delivered]));
}

#[test]
fn what_was_lost_may_turn_up() {
    for end in [Delivered, ReturnedToSender] {
        let mut world = World::completed();
        assert_eq!(world.ask(says("ref", Lost)), Code::Applied);
        assert_eq!(world.ask(says("ref", end)), Code::Applied);
        assert_eq!(shown(&world), [end]);
    }
}

#[test]
fn two_ends_are_a_contradiction() {
    let mut world = World::completed();
    assert_eq!(world.ask(says("ref", Delivered)), Code::Applied);
    assert_eq!(world.ask(says("ref", Lost)), Code::ConflictingReport);
    assert_eq!(shown(&world), [Delivered]);
}

#[test]
fn what_is_booked_by_report_may_be_gone_already() {
    let mut world = World::at(Step::Book);
    world.answer(pending("parcel-1", None));
    assert_eq!(world.ask(says("parcel-1", HandedOver)), Code::Applied);
    assert_eq!((shown(&world), world.step()), (vec![HandedOver], Some(Step::Capture)));
}

#[test]
fn what_is_called_off_is_no_shipment() {
    let mut world = World::at(Step::Capture);
    world.ask(cancel());
    world.answer(settled(false));
    assert_eq!(world.runs_out(), ["cancel_shipment", "void", "release"]);
    assert_eq!(shown(&world), []);
    assert_eq!(world.ask(says("ref", HandedOver)), Code::ConflictingReport, "an operator hears of it");
}
