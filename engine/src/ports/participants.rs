//! Who does the work: stock, money, parcels. Each step is asked for under an idempotency key, and can be asked about.
//!
//! Three calls, because a lost answer leaves a step neither done nor undone (promise 4): `perform` asks for it, `query`
//! looks at what became of it, `settle` ends the doubt. Stripe's idempotency keys are the first of these; the third
//! keeps a request that was delayed on the way from being carried out after we undid what we thought undone.

use std::sync::Arc;

use super::PortFuture;
use super::role::Role;
use crate::ids::{OrderRef, TimestampMs};
use crate::order::{Line, Placed};
use crate::wire::command::Step;

/// Some units of a line of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineUnits {
    /// Which line.
    pub line_id: Arc<str>,
    /// How many units.
    pub quantity: u64,
}

/// A step that a participant is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRequest {
    /// The idempotency key (`keys::idempotency_key`): at most 36 characters.
    pub key: Arc<str>,
    /// For which order.
    pub order: OrderRef,
    /// What is asked for.
    pub step: Step,
    /// What it acts on: the authorization to capture or void, the capture to refund, the shipment to cancel, the
    /// reservation to release. `None` where a step begins something.
    pub reference: Option<Arc<str>>,
    /// Which payment of the order it is of, from 0, where it moves money.
    pub payment: usize,
    /// How much, in minor units of the order's currency; 0 where no money moves.
    pub amount_minor: i64,
    /// Which units; `None` means all of the order's.
    pub units: Option<Arc<[LineUnits]>>,
    /// What was placed: lines, currency, means of payment, delivery.
    pub placed: Arc<Placed>,
    /// After this time the participant MUST NOT carry the request out any more.
    pub expires: TimestampMs,
}

impl StepRequest {
    /// The lines that it is about, with the units meant of each.
    pub fn lines(&self) -> impl Iterator<Item = (&Line, u64)> {
        self.placed.lines.iter().filter_map(|line| match &self.units {
            None => Some((line, u64::from(line.quantity))),
            Some(units) => {
                units.iter().find(|part| *part.line_id == *line.line_id).map(|part| (line, part.quantity))
            }
        })
    }

    /// The id of the payment that it is of; a step of goods is of none.
    #[must_use]
    pub fn payment_id(&self) -> Option<&str> {
        self.step.is_of_payment().then(|| self.placed.payment_id(self.payment))
    }

    /// The means of payment, where one was named.
    #[must_use]
    pub fn token_ref(&self) -> Option<&str> {
        self.placed.payments.get(self.payment).map(|payment| &*payment.token_ref)
    }

    /// How its goods are delivered, where that was said: the way of shipping, and a reference to the address.
    #[must_use]
    pub fn delivery(&self) -> (Option<&str>, Option<&str>) {
        let whole = self.placed.delivery.as_ref();
        let whole = (whole.map(|whole| &*whole.method), whole.and_then(|whole| whole.address_ref.as_deref()));
        let number = self.lines().next().map_or(0, |(line, _)| usize::from(line.delivery));
        let part = number.checked_sub(1).and_then(|at| self.placed.deliveries.get(at));
        let Some(part) = part.filter(|_| self.units.is_some()) else { return whole };
        (part.method.as_deref().or(whole.0), part.address_ref.as_deref().or(whole.1))
    }

    /// Units over all lines that it is about.
    #[must_use]
    pub fn unit_count(&self) -> u64 {
        self.lines().map(|(_, quantity)| quantity).sum()
    }
}

/// A step was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Performed {
    /// The participant's reference to what it did. One to 128 characters.
    pub reference: Arc<str>,
    /// How much it was done for, where that differs from what was asked.
    pub amount_minor: Option<i64>,
    /// Until when it stands by itself (an authorization).
    pub expires: Option<TimestampMs>,
    /// Which units were set aside or booked, where those are fewer than were asked for; the rest is asked for by itself.
    pub units: Option<Arc<[LineUnits]>>,
}

/// What a participant says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepAnswer {
    /// Done. Definite: the same key gets the same answer.
    Done(Performed),
    /// Decided against (no stock, a card refused). Definite: the same key gets the same answer.
    Declined {
        /// Why, for programs.
        code: Box<str>,
        /// Why, for people.
        reason: Box<str>,
        /// The lines that it is about, where it is about some.
        lines: Vec<LineUnits>,
    },
    /// What is to be undone cannot be (the parcel has gone). Definite: the same key gets the same answer.
    Refused {
        /// Why, for programs.
        code: Box<str>,
        /// Why, for people.
        reason: Box<str>,
    },
    /// This request did nothing. Another one of the same key, earlier or on its way, may still be carried out.
    Failed {
        /// Why, for people.
        reason: Box<str>,
    },
    /// Taken on, and not decided yet: the outcome comes as a `report`, or to a later `query`.
    Pending {
        /// The participant's reference, which the report will name.
        reference: Arc<str>,
        /// Until when an outcome is to be expected.
        until: Option<TimestampMs>,
    },
    /// The key was settled as not done: it never will be.
    Settled,
    /// The request came after its expiry, and did nothing.
    Expired,
    /// Nobody knows: it may be done, now, later or never.
    Unknown {
        /// Why, for people.
        reason: Box<str>,
    },
}

/// What a participant knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStanding {
    /// It was answered so: `Done`, `Declined`, `Refused`, `Pending` or `Settled`.
    Answered(StepAnswer),
    /// Nothing was done under it so far, or the key was forgotten.
    NotSeen,
    /// Nobody knows.
    Unknown {
        /// Why, for people.
        reason: Box<str>,
    },
}

/// How a doubt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It was done.
    Done(Performed),
    /// It was not done, and a request that comes later under this key is answered `Settled`.
    NotDone,
    /// This participant cannot settle: the expiry of the request has to be waited out, and then `query` asked.
    Unsupported,
    /// Nobody knows.
    Unknown {
        /// Why, for people.
        reason: Box<str>,
    },
}

/// Someone who does steps.
///
/// - `perform` MUST do the work of a key at most once, however often and however late it is asked.
/// - A definite answer (`Done`, `Declined`, `Refused`) MUST be given again for the same key, at least for
///   [`Participant::remembers_ms`] after the request's expiry; so must a settlement. A key that was declined or refused
///   and is then settled answers `Settled` from that on.
/// - `perform` MUST NOT do anything after the request's expiry.
/// - After `settle` answered `NotDone`, no request of that key may do anything. A pending key is given up by it.
/// - `query` MUST NOT change anything.
/// - A dropped future MAY have done its work, and MAY do it later.
pub trait Participant: Send + Sync {
    /// Does the step, or says what became of it under this key before.
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer>;

    /// What became of the key.
    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding>;

    /// Ends the doubt about the key.
    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement>;

    /// How long after a request's expiry its key is remembered, in milliseconds.
    fn remembers_ms(&self) -> u64 {
        24 * 3600 * 1000
    }
}

/// Who does which steps.
#[derive(Clone)]
pub struct Participants {
    /// Stock.
    pub inventory: Arc<dyn Participant>,
    /// Money.
    pub payments: Arc<dyn Participant>,
    /// Parcels.
    pub shipping: Arc<dyn Participant>,
    /// Judgements.
    pub review: Arc<dyn Participant>,
}

impl Participants {
    /// The participant of a role.
    #[must_use]
    pub fn of(&self, role: Role) -> &Arc<dyn Participant> {
        match role {
            Role::Inventory => &self.inventory,
            Role::Payments => &self.payments,
            Role::Shipping => &self.shipping,
            Role::Review => &self.review,
        }
    }
}
