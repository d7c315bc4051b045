//! What an order is from now on: lines, money, and whatever else a shop changes before the goods are booked.
//!
//! Invariant: what an event says is all that changes, with what it was before, so that nobody has to add up anything to know
//! the difference. A line that is taken out stays, of no units and for nothing: its id is not given again.

use std::sync::Arc;

use super::payments::{PaymentState, THE_PAYMENT};
use super::placed::{Component, Delivery, Line, Payment, Placed};
use super::saga::{Saga, StepState};
use super::state::Order;
use crate::wire::command::Step;

/// A line that is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineChange {
    /// Which line.
    pub line_id: Arc<str>,
    /// Units before.
    pub was_quantity: u32,
    /// Units from now on; 0: it is taken out.
    pub quantity: u32,
    /// The price of all its units before, in minor units.
    pub was_amount_minor: i64,
    /// The price of all its units from now on, in minor units.
    pub amount_minor: i64,
    /// What that is made of, where that is known.
    pub components: Box<[Component]>,
}

/// An order is changed before its goods are booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amended {
    /// Lines that are changed.
    pub lines: Box<[LineChange]>,
    /// Lines that come in addition.
    pub added: Box<[Line]>,
    /// What the whole order cost before, in minor units.
    pub was_total_minor: i64,
    /// What it costs from now on, in minor units.
    pub total_minor: i64,
    /// What is paid by each payment from now on, in minor units, in the declared order; empty where that stays.
    pub planned_minor: Box<[i64]>,
    /// Payments that come in addition.
    pub payments: Box<[Payment]>,
    /// How it is delivered from now on, where that is changed.
    pub delivery: Option<Delivery>,
    /// Free data that is added or takes the place of what has its name; an empty text takes it out.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
    /// A note for people, where one was given.
    pub note: Option<Arc<str>>,
    /// Why.
    pub reason: Arc<str>,
    /// Units were canceled, and nothing else was asked for.
    pub cancels: bool,
    /// What of the difference no payment is planned for, in minor units: above zero what goods that came back pay for, below
    /// zero what was captured for units that are canceled, and goes back.
    pub settled_minor: i64,
}

impl Amended {
    /// Of this reason; nothing is changed yet.
    #[must_use]
    pub fn new(placed: &Placed, reason: &str) -> Self {
        Self {
            lines: Box::default(),
            added: Box::default(),
            was_total_minor: placed.total_minor,
            total_minor: placed.total_minor,
            planned_minor: Box::default(),
            payments: Box::default(),
            delivery: None,
            attributes: Box::default(),
            note: None,
            reason: reason.into(),
            cancels: false,
            settled_minor: 0,
        }
    }

    /// Is it another order to who judges it: other goods, another price, another address?
    #[must_use]
    pub fn is_to_be_judged(&self) -> bool {
        self.moves_goods() || self.total_minor != self.was_total_minor || self.delivery.is_some()
    }

    /// Are other units ordered than before?
    #[must_use]
    pub fn moves_goods(&self) -> bool {
        !self.added.is_empty() || self.lines.iter().any(|line| line.quantity != line.was_quantity)
    }
}

/// The order after it.
pub(super) fn amend(order: &mut Order, amended: &Amended) {
    let Some(placed) = order.placed.as_mut() else { return };
    let placed = Arc::make_mut(placed);
    if amended.moves_goods() {
        order.saga.count_goods(placed);
    }
    if amended.is_to_be_judged() && order.saga.is_done(Step::Review) {
        order.saga.cell_mut(Step::Review).standing = StepState::Undone;
    }
    for change in &amended.lines {
        let line = placed.lines.iter_mut().find(|line| *line.line_id == *change.line_id);
        let Some(line) = line else { continue };
        line.quantity = change.quantity;
        line.amount_minor = change.amount_minor;
        line.components.clone_from(&change.components);
    }
    if !amended.added.is_empty() {
        placed.lines = placed.lines.iter().chain(&amended.added).cloned().collect();
    }
    pay_by(&mut order.saga, placed, &amended.planned_minor, &amended.payments);
    placed.total_minor = amended.total_minor;
    if amended.delivery.is_some() {
        placed.delivery.clone_from(&amended.delivery);
    }
    if !amended.attributes.is_empty() {
        placed.attributes = attributes(placed, amended);
    }
    if amended.note.is_some() {
        order.saga.note.clone_from(&amended.note);
    }
}

/// What is paid by each payment from now on.
pub(super) fn pay_by(saga: &mut Saga, placed: &mut Placed, planned_minor: &[i64], payments: &[Payment]) {
    if !payments.is_empty() {
        if placed.payments.is_empty() {
            let (payment_id, token_ref) = (THE_PAYMENT.into(), "".into());
            placed.payments = [Payment { payment_id, token_ref, amount_minor: placed.total_minor }].into();
        }
        placed.payments = placed.payments.iter().chain(payments).cloned().collect();
        for payment in payments {
            let planned_minor = payment.amount_minor;
            saga.payments.push(PaymentState { planned_minor, ..PaymentState::default() });
        }
    }
    for (number, planned_minor) in planned_minor.iter().enumerate() {
        let Some(state) = saga.payments.get_mut(number) else { break };
        if state.planned_minor == *planned_minor {
            continue;
        }
        state.planned_minor = *planned_minor;
        if let Some(payment) = placed.payments.get_mut(number) {
            payment.amount_minor = *planned_minor;
        }
    }
    let lacks = |payment: &PaymentState| payment.declined && payment.not_authorized_minor() > 0;
    if saga.waiting_until.is_some() && !saga.payments.iter().any(lacks) {
        saga.waiting_until = None;
    }
}

fn attributes(placed: &Placed, amended: &Amended) -> Box<[(Box<str>, Box<str>)]> {
    let stays = |name: &str| !amended.attributes.iter().any(|(changed, _)| **changed == *name);
    let kept = placed.attributes.iter().filter(|(name, _)| stays(name));
    let given = amended.attributes.iter().filter(|(_, text)| !text.is_empty());
    let mut all: Vec<_> = kept.chain(given).cloned().collect();
    all.sort_unstable();
    all.into()
}
