//! The books: what a participant writes down before it answers.
//!
//! Invariant: a participant's state is its entries, applied one after another; nothing else changes it. So books restore
//! a participant after a crash, and an auditor who has only them sees everything that counts.

use std::sync::Arc;

use super::why::Why;
use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::money::Currency;
use retailflow_engine::ports::{Role, StepRequest};
use retailflow_engine::wire::command::Step;

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BookKind {
    /// The step was done.
    Done,
    /// It was decided against.
    Declined,
    /// It cannot be undone.
    Refused,
    /// It was taken on. With [`Why::OutOfStock`]: it waits for stock.
    Pending,
    /// It was settled as not done, for ever.
    Settled,
    /// The order's parcel was handed over to the carrier. `key` is what caused it: a capture, a booking, or empty.
    HandedOver,
    /// A supplier brought units. `order` names the delivery; there is no key.
    Supplied,
}

impl BookKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Declined,
        Self::Refused,
        Self::Pending,
        Self::Settled,
        Self::HandedOver,
        Self::Supplied,
    ];

    /// Its name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Declined => "declined",
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::Settled => "settled",
            Self::HandedOver => "handed_over",
            Self::Supplied => "supplied",
        }
    }
}

/// Units of a line, with what they are units of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookLine {
    /// Which line of the order.
    pub line_id: Arc<str>,
    /// Units of what.
    pub sku: Arc<str>,
    /// How many.
    pub units: u64,
}

/// One change that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookEntry {
    /// What happened.
    pub kind: BookKind,
    /// To which step.
    pub step: Step,
    /// Under which idempotency key.
    pub key: Arc<str>,
    /// For which order.
    pub order: OrderRef,
    /// The reference of what it acts on.
    pub target: Option<Arc<str>>,
    /// How much, in minor units: of the authorization for a void, of the whole order for a booking (what must be
    /// captured before the parcel may go), 0 where no money is meant.
    pub amount_minor: i64,
    /// The order's currency, where a request said it.
    pub currency: Option<Currency>,
    /// How many units; 0 where none are meant.
    pub units: u64,
    /// The lines: where stock is counted those meant, in what was declined those that are short.
    pub lines: Vec<BookLine>,
    /// Why not, or what it waits for.
    pub why: Option<Why>,
    /// When the request expires.
    pub expires: TimestampMs,
    /// Until when an authorization stands, or a pending outcome is to be expected.
    pub until: Option<TimestampMs>,
    /// When it was written.
    pub at: TimestampMs,
}

impl BookEntry {
    /// Whose book it belongs to.
    #[must_use]
    pub const fn role(&self) -> Role {
        Role::of(self.step)
    }

    /// The participant's reference to what was done under the key.
    #[must_use]
    pub fn reference(&self) -> Arc<str> {
        reference(self.step, &self.key)
    }

    /// What `request` asks for, taken on and not decided. Where its units are not the order's, `why` says so.
    pub fn draft(request: &StepRequest, at: TimestampMs) -> Self {
        let role = Role::of(request.step);
        let counted = if matches!(role, Role::Payments | Role::Review) {
            Some((0, Vec::new()))
        } else {
            counted(request)
        };
        let why = if counted.is_none() { Some(Why::UnknownUnits) } else { None };
        let (units, lines) = counted.unwrap_or_default();
        let booked = request.step == Step::Book;
        Self {
            kind: BookKind::Pending,
            step: request.step,
            key: Arc::clone(&request.key),
            order: request.order.clone(),
            target: request.reference.clone(),
            amount_minor: if booked { due_minor(request) } else { request.amount_minor },
            currency: Some(request.placed.currency),
            units,
            lines: if role == Role::Inventory { lines } else { Vec::new() },
            why,
            expires: request.expires,
            until: None,
            at,
        }
    }

    /// Done.
    pub fn done(self) -> Self {
        Self { kind: BookKind::Done, why: None, ..self }
    }

    /// Not done: a step forwards is declined, one backwards refused.
    pub fn not_done(self, why: Why) -> Self {
        let forwards =
            matches!(self.step, Step::Reserve | Step::Authorize | Step::Book | Step::Capture | Step::Review);
        let kind = if forwards { BookKind::Declined } else { BookKind::Refused };
        Self { kind, why: Some(why), lines: Vec::new(), ..self }
    }
}

/// What must be captured before the parcel may go: the whole order, or what a part of it is worth at least. How that is rounded
/// depends on what went before it.
fn due_minor(request: &StepRequest) -> i64 {
    let placed = &request.placed;
    match request.units.as_ref().filter(|_| request.unit_count() < placed.units()) {
        None => placed.total_minor,
        Some(units) => {
            let rounded_minor = i64::try_from(units.len()).unwrap_or(i64::MAX);
            placed.worth_minor(units).saturating_sub(rounded_minor).max(0)
        }
    }
}

/// The units that `request` means, and their lines; `None` where the order has not so many.
fn counted(request: &StepRequest) -> Option<(u64, Vec<BookLine>)> {
    let (mut units, mut lines) = (0u64, Vec::new());
    for (line, quantity) in request.lines() {
        // What is given up may be more than the order has by now.
        if quantity > u64::from(line.quantity) && request.step != Step::Release {
            return None;
        }
        units = units.checked_add(quantity)?;
        let (line_id, sku) = (Arc::from(&*line.line_id), Arc::from(&*line.sku));
        lines.push(BookLine { line_id, sku, units: quantity });
    }
    // Each part named a line, and each line once.
    let meant = request.units.as_ref().map_or(lines.len(), |units| units.len());
    (meant == lines.len()).then_some((units, lines))
}

/// References need not be stored: they are the key, behind a word that says to whom they belong.
const fn prefix(step: Step) -> &'static str {
    match step {
        Step::Reserve => "inv-",
        Step::Release => "rel-",
        Step::Restock => "stk-",
        Step::Authorize => "aut-",
        Step::Capture => "cap-",
        Step::Void => "voi-",
        Step::Refund => "ref-",
        Step::Book => "par-",
        Step::CancelShipment => "can-",
        Step::Review => "rev-",
    }
}

/// The reference to what `step` did under `key`.
pub fn reference(step: Step, key: &str) -> Arc<str> {
    [prefix(step), key].concat().into()
}

/// The key of the `step` that `reference` refers to.
pub fn key_of(step: Step, reference: Option<&str>) -> Option<&str> {
    reference?.strip_prefix(prefix(step))
}
