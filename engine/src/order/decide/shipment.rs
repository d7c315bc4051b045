//! A report says where a shipment is.

use std::sync::Arc;

use super::super::Order;
use super::super::event::Event;
use super::super::payments::Part;
use super::super::policy::Context;
use super::super::saga::StepState;
use super::super::step::StepAt;
use super::decision::{Contradiction, Decision, Denial, plainly, rejected};
use crate::wire::Code;
use crate::wire::command::{ReportData, ShipmentState, Step};

/// The shipment, from 0, that is booked, or was, and that the report is about.
pub(super) fn is_booked(order: &Order, data: &ReportData) -> Option<usize> {
    data.shipment?;
    // Each one has a reference of its own where there are several; the only one has that of its last booking.
    let over = matches!(order.saga.cell(Step::Book).standing, StepState::Done | StepState::Undone);
    let known = over || order.saga.goods.is_some();
    order.saga.number_called(Step::Book, &data.reference).filter(|_| known)
}

/// Where shipment `number` is, which stands.
pub(super) fn moved(
    order: &Order,
    number: usize,
    data: &ReportData,
    context: &Context,
) -> Result<Decision, Denial> {
    let Some(says) = data.shipment else { return Err(plainly(Code::StepNotPending)) };
    let Some((known, _)) = order.saga.shipment(number) else {
        // It is true of the time before it was called off.
        if says == ShipmentState::Booked {
            return Err(plainly(Code::StepNotPending));
        }
        return Err(contradicts(order, number, data, "called off"));
    };
    if says == known {
        let text = format!("the shipment is known to be {}", words(known));
        return Err(rejected(Code::StepNotPending, text));
    }
    if follows(known, says) {
        return Ok(Decision::of(order, vec![event(number, data, says, context)], context));
    }
    if rank(says) < rank(known) {
        let text = format!("the shipment is {} since: the report came late", words(known));
        return Err(rejected(Code::StepNotPending, text));
    }
    Err(contradicts(order, number, data, &words(known)))
}

/// An operator has to look at what became of the parcel.
fn contradicts(order: &Order, number: usize, data: &ReportData, known: &str) -> Denial {
    let (reference, says) = (&data.reference, words(data.shipment.unwrap_or_default()));
    let reason: Arc<str> =
        format!("the shipment {reference} was {known}, and is reported now as {says}").into();
    let instance = order.saga.cell(Step::Book).instance;
    let part = Part::of(Step::Book, None, number).write();
    let at = StepAt { step: Step::Book, instance, generation: 1, part };
    let found = Contradiction { at, reference: None, reason: reason.clone() };
    Denial::Conflict { message: reason.to_string(), found }
}

/// The event of a report that says where the shipment is.
pub(super) fn event(number: usize, data: &ReportData, state: ShipmentState, context: &Context) -> Event {
    let reason = data.reason.as_deref().map(Into::into);
    Event::ShipmentMoved { shipment: number, state, at: context.now, reason }
}

fn words(state: ShipmentState) -> String {
    state.as_str().replace('_', " ")
}

/// How far it is on its way.
const fn rank(state: ShipmentState) -> u8 {
    match state {
        ShipmentState::Booked => 0,
        ShipmentState::HandedOver => 1,
        ShipmentState::Delivered | ShipmentState::ReturnedToSender | ShipmentState::Lost => 2,
    }
}

/// May a shipment be `next` that was `known`? Reports may be left out, and what was lost may turn up.
const fn follows(known: ShipmentState, next: ShipmentState) -> bool {
    let found = matches!(known, ShipmentState::Lost)
        && matches!(next, ShipmentState::Delivered | ShipmentState::ReturnedToSender);
    found || rank(next) > rank(known)
}
