//! What books add up to, and what may not be in them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::entry::{BookEntry, BookKind};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::{keyed_name, sha256};
use retailflow_engine::money::Currency;
use retailflow_engine::ports::Role;
use retailflow_engine::wire::command::Step;

/// What participants did for one order. Sums saturate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides {
    /// What its bookings were worth: what is to be captured before a parcel goes.
    pub due_minor: i64,
    /// Authorized.
    pub authorized_minor: i64,
    /// Authorizations voided.
    pub voided_minor: i64,
    /// Captured.
    pub captured_minor: i64,
    /// Paid back.
    pub refunded_minor: i64,
    /// Units reserved.
    pub reserved_units: i64,
    /// Units released.
    pub released_units: i64,
    /// Units taken back into stock.
    pub restocked_units: i64,
    /// Units in parcels that were booked.
    pub booked_units: i64,
    /// Units in parcels that were canceled.
    pub canceled_units: i64,
    /// Units in parcels that were handed over.
    pub handed_over_units: i64,
    /// Entries in the book of payments, of any kind.
    pub payment_calls: u64,
}

/// What participants may never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Violation {
    /// More was paid back than captured.
    RefundedOverCaptured,
    /// More was captured than authorized.
    CapturedOverAuthorized,
    /// An authorization was both voided and captured, or voided twice.
    VoidedOverAuthorized,
    /// More units were released than reserved.
    ReleasedOverReserved,
    /// More units were canceled than booked.
    CanceledOverBooked,
    /// A parcel was both canceled and handed over.
    HandedOverAndCanceled,
    /// A parcel went before the order was paid.
    HandedOverUnpaid,
}

impl Sides {
    /// What is wrong with it.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let gone = self.handed_over_units.saturating_add(self.canceled_units);
        let closed = self.voided_minor.saturating_add(self.captured_minor);
        let unpaid = self.handed_over_units > 0 && self.captured_minor < self.due_minor;
        let checks = [
            (self.refunded_minor > self.captured_minor, Violation::RefundedOverCaptured),
            (self.captured_minor > self.authorized_minor, Violation::CapturedOverAuthorized),
            (closed > self.authorized_minor, Violation::VoidedOverAuthorized),
            (self.released_units > self.reserved_units, Violation::ReleasedOverReserved),
            (self.canceled_units > self.booked_units, Violation::CanceledOverBooked),
            (gone > self.booked_units, Violation::HandedOverAndCanceled),
            (unpaid, Violation::HandedOverUnpaid),
        ];
        checks.into_iter().filter_map(|(broken, what)| broken.then_some(what)).collect()
    }

    /// Adds an entry of this order.
    pub fn take(&mut self, entry: &BookEntry) {
        self.payment_calls += u64::from(entry.role() == Role::Payments);
        let units = i64::try_from(entry.units).unwrap_or(i64::MAX);
        let (side, by) = match (entry.kind, entry.step) {
            (BookKind::HandedOver, _) => (&mut self.handed_over_units, units),
            (BookKind::Done, Step::Reserve) => (&mut self.reserved_units, units),
            (BookKind::Done, Step::Release) => (&mut self.released_units, units),
            (BookKind::Done, Step::Restock) => (&mut self.restocked_units, units),
            (BookKind::Done, Step::Authorize) => (&mut self.authorized_minor, entry.amount_minor),
            (BookKind::Done, Step::Capture) => (&mut self.captured_minor, entry.amount_minor),
            (BookKind::Done, Step::Void) => (&mut self.voided_minor, entry.amount_minor),
            (BookKind::Done, Step::Refund) => (&mut self.refunded_minor, entry.amount_minor),
            (BookKind::Done, Step::CancelShipment) => (&mut self.canceled_units, units),
            (BookKind::Done, Step::Book) => {
                // The same order's parcels are due together, once.
                self.due_minor = self.due_minor.max(entry.amount_minor);
                (&mut self.booked_units, units)
            }
            _ => return,
        };
        *side = side.saturating_add(by);
    }
}

/// Money of all orders of one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MoneyTotals {
    /// Authorized.
    pub authorized: i128,
    /// Authorizations voided.
    pub voided: i128,
    /// Captured.
    pub captured: i128,
    /// Paid back.
    pub refunded: i128,
}

impl MoneyTotals {
    /// Adds an entry of the book of payments that was done.
    pub fn take(&mut self, entry: &BookEntry) {
        let side = match entry.step {
            Step::Authorize => &mut self.authorized,
            Step::Capture => &mut self.captured,
            Step::Void => &mut self.voided,
            _ => &mut self.refunded,
        };
        *side += i128::from(entry.amount_minor);
    }
}

/// What books add up to, in memory: for tests and small books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BookTotals {
    /// How many entries were taken.
    pub entries: u64,
    /// By order, under the name that `invariant::CheckKey::FIXED` gives it.
    pub orders: HashMap<[u8; 16], Sides>,
    /// By currency.
    pub money: BTreeMap<Currency, MoneyTotals>,
    /// How often a key was done that had been done before. MUST be 0.
    pub keys_run_twice: u64,
    /// 128 bits of the hash of each key that was done: callers choose the ids that keys are made of, and 64 bits can be
    /// made to agree.
    done: HashSet<[u8; 16]>,
}

fn name_of(order: &OrderRef) -> [u8; 16] {
    keyed_name(&[0; 16], b'o', &[order.tenant.as_str(), order.order.as_str()])
}

impl BookTotals {
    /// Adds an entry. The order of entries does not matter.
    pub fn take(&mut self, entry: &BookEntry) {
        self.entries += 1;
        if entry.kind == BookKind::Supplied {
            return;
        }
        self.orders.entry(name_of(&entry.order)).or_default().take(entry);
        if entry.kind != BookKind::Done {
            return;
        }
        let mut first = [0; 16];
        first.copy_from_slice(&sha256(entry.key.as_bytes())[..16]);
        self.keys_run_twice += u64::from(!self.done.insert(first));
        if let Some(currency) = entry.currency.filter(|_| entry.role() == Role::Payments) {
            self.money.entry(currency).or_default().take(entry);
        }
    }

    /// What participants did for an order.
    #[must_use]
    pub fn order(&self, order: &OrderRef) -> Sides {
        self.orders.get(&name_of(order)).copied().unwrap_or_default()
    }

    /// What is wrong, by order, in the order of their keys.
    #[must_use]
    pub fn violations(&self) -> Vec<([u8; 16], Violation)> {
        let of = |(key, sides): (&[u8; 16], &Sides)| {
            sides.violations().into_iter().map(|what| (*key, what)).collect::<Vec<_>>()
        };
        let mut found: Vec<_> = self.orders.iter().flat_map(of).collect();
        found.sort_unstable();
        found
    }
}
