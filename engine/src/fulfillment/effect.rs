//! What a state asks its participants for.

use std::sync::Arc;

use super::progress::is_settling;
use super::step_table::spec;
use crate::ids::OrderRef;
use crate::keys::idempotency_key;
use crate::order::{Active, Order, StepAt, Waiting};
use crate::ports::StepRequest;
use crate::wire::order::Attention;

/// How a step is to be driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Have it done.
    Perform,
    /// It was pending beyond its time, or its answer contradicts what was asked for: look first.
    Look,
    /// The order turns back, or somebody says that it was not done: find out whether it was, and see to it that it is not
    /// done later.
    Settle,
}

/// What a state asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Which asking.
    pub at: StepAt,
    /// How.
    pub mode: Mode,
    /// The order is held because of what was answered before: it is asked for again without haste, and only an answer
    /// that ends the doubt is news.
    pub doubted: bool,
    /// Somebody says, on evidence, that it was not done: where its participant has forgotten the key, and the request has
    /// expired, that is the end of it.
    pub said_not_done: bool,
    /// The request with its key.
    pub request: StepRequest,
}

/// The effect that the order asks for as it stands; only ever to be called on committed state.
#[must_use]
pub fn next(reference: &OrderRef, order: &Order) -> Option<Effect> {
    let active = order.saga.active.as_ref()?;
    let doubted = order.saga.attention.kind() == Attention::Held;
    let mode = match &active.waiting {
        _ if is_settling(order, active) => Mode::Settle,
        _ if active.asked_again => Mode::Look,
        // What was answered cannot be, or is pending for too long: nothing is done until somebody knows what it was.
        _ if doubted => Mode::Look,
        Waiting::Asked => Mode::Perform,
        Waiting::Pending { .. } => return None,
    };
    let request = request(reference, order, active)?;
    let said_not_done = active.settling.is_some();
    Some(Effect { at: active.at.clone(), mode, doubted, said_not_done, request })
}

/// What a participant is asked when `active` is asked for; `None` of an order that was not placed.
pub(crate) fn request(reference: &OrderRef, order: &Order, active: &Active) -> Option<StepRequest> {
    Some(StepRequest {
        key: key(reference, &active.at),
        order: reference.clone(),
        step: active.at.step,
        reference: acts_on(order, active),
        payment: active.at.for_part().payment,
        amount_minor: active.amount_minor,
        units: active.units.clone(),
        placed: order.placed.clone()?,
        expires: active.expires,
    })
}

/// The idempotency key of an asking.
#[must_use]
pub fn key(reference: &OrderRef, at: &StepAt) -> Arc<str> {
    idempotency_key(reference, at.step.as_str(), at.part.as_deref(), at.instance, at.generation).into()
}

fn acts_on(order: &Order, active: &Active) -> Option<Arc<str>> {
    order.saga.reference_of(spec(active.at.step).acts_on?, active.at.number()).cloned()
}
