//! The orders of a log beside the participants' books, order by order, whatever else is under way.
//!
//! Invariant: what was not compared is counted as that. An order at rest is compared in full. Of one that is under way
//! all is compared but what the running step is about, which its participant may have done and not said yet.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::life::{Effects, role_of};
use super::money::{PaymentSide, sides_of, take_payment};
use super::name_set::Names;
use super::names::{CheckKey, Name};
use super::order::OrderTail;
use super::table::{Table, shard_of};
use retailflow_books::{BookEntry, BookKind, MoneyTotals, Sides};
use retailflow_engine::codec::v1::StepV1;
use retailflow_engine::fulfillment::steps::spec;
use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::money::Currency;
use retailflow_engine::order::Total;
use retailflow_engine::ports::Role;

/// What an order takes beside what it took before, once their books are laid beside it: their sums, and five keys.
pub(super) const BOOKS_SIDE_BYTES: usize = 128;
/// Differences that are kept with their text; further ones are counted.
const NAMED_MAX: usize = 100;
/// Orders in their books alone that are told apart; of more it is known that there are at least so many.
const STRANGERS_MAX: usize = 100_000;

/// Where the two sides differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidesDifference {
    /// The order, under [`CheckKey::order`].
    pub key: [u8; 16],
    /// Its name, where their books have it.
    pub order: Option<OrderRef>,
    /// How.
    pub what: String,
}

/// One participant's book.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BookState {
    /// Lines in it.
    pub entries: u64,
    /// When the last of them was written.
    pub last_at: Option<TimestampMs>,
    /// Orders of which it lacks a step that it said was done.
    pub behind: u64,
}

/// What comparing came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SidesCheck {
    /// Orders at rest, compared in full.
    pub compared: u64,
    /// Orders under way: compared but for their running step.
    pub under_way: u64,
    /// Orders that differ, or whose books have in them what may never be.
    pub differing: u64,
    /// Orders that stand in their books alone; beyond a hundred thousand a pass there may be more.
    pub in_books_only: u64,
    /// How often a key was done that had been done before.
    pub keys_run_twice: u64,
    /// The books, in the order of [`Role::ALL`].
    pub books: [BookState; Role::ALL.len()],
    /// The first differences.
    pub named: Vec<SidesDifference>,
    /// Orders that stand in their books.
    pub orders: u64,
    /// Those of them that have no line in the book of payments.
    pub orders_without_payment: u64,
    /// By currency.
    pub money: BTreeMap<Currency, MoneyTotals>,
    /// Set aside and not given back.
    pub reserved_units: i64,
    /// In parcels that were not canceled.
    pub booked_units: i64,
    /// Taken back.
    pub restocked_units: i64,
}

impl SidesCheck {
    /// Whether nothing differs of what was compared.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.differing == 0 && self.in_books_only == 0 && self.keys_run_twice == 0
    }

    /// Lines of all books.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.books.iter().map(|book| book.entries).sum()
    }

    /// Adds what another pass came to.
    pub fn merge(&mut self, other: Self) {
        self.compared += other.compared;
        self.under_way += other.under_way;
        self.differing += other.differing;
        self.in_books_only += other.in_books_only;
        self.keys_run_twice += other.keys_run_twice;
        for (ours, theirs) in self.books.iter_mut().zip(other.books) {
            ours.entries += theirs.entries;
            ours.last_at = ours.last_at.max(theirs.last_at);
            ours.behind += theirs.behind;
        }
        let room = NAMED_MAX.saturating_sub(self.named.len());
        self.named.extend(other.named.into_iter().take(room));
        self.orders += other.orders;
        self.orders_without_payment += other.orders_without_payment;
        for (currency, money) in other.money {
            let sums = self.money.entry(currency).or_default();
            sums.authorized += money.authorized;
            sums.voided += money.voided;
            sums.captured += money.captured;
            sums.refunded += money.refunded;
        }
        self.reserved_units += other.reserved_units;
        self.booked_units += other.booked_units;
        self.restocked_units += other.restocked_units;
    }

    fn name(&mut self, key: Name, order: Option<OrderRef>, what: String) {
        if self.named.len() < NAMED_MAX {
            self.named.push(SidesDifference { key, order, what });
        }
    }
}

/// An order on both sides.
#[derive(Debug, Default)]
struct Both {
    ours: Effects,
    /// Steps that the log says were done, and those that stand in their books, by role.
    done: [[u16; 2]; Role::ALL.len()],
    running: Option<StepV1>,
    /// What each of several payments took and gave back, here and in the book of payments; empty of one.
    payments: Box<[[PaymentSide; 2]]>,
    theirs: Sides,
    in_books: bool,
    keys: Names,
}

/// Takes the entries of all books, in any order.
#[derive(Debug)]
pub struct Comparison {
    key: CheckKey,
    shards: Range<u16>,
    orders: Table<Both>,
    strangers: HashSet<Name>,
    check: SidesCheck,
}

impl Comparison {
    pub(super) fn new(key: CheckKey, shards: Range<u16>, orders: Table<OrderTail>) -> Self {
        let both = |tail: OrderTail| Both {
            ours: tail.life.effects,
            done: tail.life.done.map(|done| [done, 0]),
            running: tail.life.running(),
            payments: tail.life.payments().into_iter().map(sides_of).collect(),
            ..Both::default()
        };
        Self {
            key,
            shards,
            orders: orders.map(both),
            strangers: HashSet::new(),
            check: SidesCheck::default(),
        }
    }

    /// Adds an entry. Those of orders that another pass looks at are passed over.
    pub fn take(&mut self, entry: &BookEntry) {
        let name = self.key.order(&entry.order);
        if !self.shards.contains(&shard_of(&name)) {
            return;
        }
        let book = &mut self.check.books[entry.role() as usize];
        book.entries += 1;
        book.last_at = book.last_at.max(Some(entry.at));
        if entry.kind == BookKind::Supplied {
            // A supplier's delivery is no order.
            return;
        }
        self.sum(entry);
        let Some(both) = self.orders.get_mut(&name) else {
            if self.strangers.len() < STRANGERS_MAX && self.strangers.insert(name) {
                self.check.in_books_only += 1;
                let text = format!("stands in the book of {} and not in the log", entry.role().as_str());
                self.check.name(name, Some(entry.order.clone()), text);
            }
            return;
        };
        self.check.orders += u64::from(!std::mem::replace(&mut both.in_books, true));
        both.theirs.take(entry);
        if entry.kind == BookKind::Done {
            take_payment(&mut both.payments, entry);
            let done = &mut both.done[entry.role() as usize][1];
            *done = done.saturating_add(1);
            if !both.keys.insert(self.key.effect(&entry.key)) {
                self.check.keys_run_twice += 1;
                let text = format!("the key {} was run twice", entry.key);
                self.check.name(name, Some(entry.order.clone()), text);
            }
        }
    }

    fn sum(&mut self, entry: &BookEntry) {
        if entry.kind != BookKind::Done {
            return;
        }
        let units = i64::try_from(entry.units).unwrap_or(i64::MAX);
        match spec(entry.step).total {
            Total::ReservedUnits => self.check.reserved_units += units,
            Total::ReleasedUnits => self.check.reserved_units -= units,
            Total::RestockedUnits => self.check.restocked_units += units,
            Total::BookedUnits => self.check.booked_units += units,
            Total::CanceledUnits => self.check.booked_units -= units,
            Total::AuthorizedMinor | Total::VoidedMinor | Total::CapturedMinor | Total::RefundedMinor => {
                if let Some(currency) = entry.currency {
                    self.check.money.entry(currency).or_default().take(entry);
                }
            }
            Total::None => {}
        }
    }

    /// What all of it came to.
    #[must_use]
    pub fn end(mut self) -> SidesCheck {
        for (name, both) in self.orders.iter() {
            let check = &mut self.check;
            if both.running.is_some() {
                check.under_way += 1;
            } else {
                check.compared += 1;
            }
            check.orders_without_payment += u64::from(both.in_books && both.theirs.payment_calls == 0);
            let mut found = Vec::new();
            for role in Role::ALL {
                let [ours, theirs] = both.done[role as usize];
                if theirs < ours {
                    check.books[role as usize].behind += 1;
                    let role = role.as_str();
                    found.push(format!("{ours} steps of {role} are done here and {theirs} in its book"));
                }
            }
            for pair in pairs(&both.ours, &both.theirs) {
                if pair.ours != pair.theirs && !both.running.is_some_and(|step| pair.is_about(step)) {
                    found.push(pair.to_string());
                }
            }
            let moves_money = matches!(both.running, Some(StepV1::Capture | StepV1::Refund));
            if !moves_money && both.payments.iter().any(|[ours, theirs]| ours != theirs) {
                found.push(format!("payments are {:?}, here and in the book of payments", both.payments));
            }
            found.extend(both.theirs.violations().iter().map(|what| format!("in their books: {what:?}")));
            if !found.is_empty() {
                check.differing += 1;
                check.name(*name, None, found.join("; "));
            }
        }
        self.check
    }
}

/// One sum as both sides have it.
pub(super) struct Pair {
    what: &'static str,
    pub(super) ours: i64,
    pub(super) theirs: i64,
    steps: [StepV1; 2],
}

impl Pair {
    /// Whether a step changes it.
    fn is_about(&self, step: StepV1) -> bool {
        self.steps.contains(&step)
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = role_of(self.steps[0]).as_str();
        write!(f, "{} is {} here and {} in the book of {role}", self.what, self.ours, self.theirs)
    }
}

pub(super) fn pairs(ours: &Effects, theirs: &Sides) -> [Pair; 5] {
    use StepV1::{Book, CancelShipment, Capture, Refund, Release, Reserve, Restock};
    let pair = |what, ours, theirs, steps| Pair { what, ours, theirs, steps };
    let reserved = theirs.reserved_units - theirs.released_units;
    let booked = theirs.booked_units - theirs.canceled_units;
    [
        pair("captured", ours.captured_minor, theirs.captured_minor, [Capture, Capture]),
        pair("paid back", ours.refunded_minor, theirs.refunded_minor, [Refund, Refund]),
        pair("reserved", ours.reserved_units.into(), reserved, [Reserve, Release]),
        pair("booked", ours.booked_units.into(), booked, [Book, CancelShipment]),
        pair("restocked", ours.restocked_units.into(), theirs.restocked_units, [Restock, Restock]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use retailflow_engine::codec::v1::{EventV1, LineV1, PlacedV1, StatusV1, StepOutcomeV1};
    use retailflow_engine::ids::{OrderId, TenantId};
    use retailflow_engine::wire::command::Step;

    fn order(name: &str) -> OrderRef {
        OrderRef { tenant: TenantId::parse("t").unwrap(), order: OrderId::parse(name).unwrap() }
    }

    /// An order of two units for 500, whose steps up to a number are done; the one after it runs.
    fn tail(steps: usize, running: bool) -> OrderTail {
        let placed = PlacedV1 {
            customer: "c".into(),
            currency: *b"USD",
            total_minor: 500,
            lines: vec![LineV1 {
                line_id: "1".into(),
                sku: "s".into(),
                quantity: 2,
                amount_minor: 500,
                components: vec![],
            }],
            components: vec![],
            payments: vec![],
            deliveries: vec![],
            attributes: vec![],
            placed_ms: None,
            sealed: None,
        };
        let mut tail = OrderTail::default();
        let life = &mut tail.life;
        let mut take = |event: EventV1| life.event(&event, &mut |id, text| panic!("{id:?}: {text}"));
        take(EventV1::Placed(Box::new(placed)));
        let all = [
            (StepV1::Reserve, None),
            (StepV1::Authorize, Some(500)),
            (StepV1::Book, None),
            (StepV1::Capture, Some(500)),
        ];
        for (number, (step, amount_minor)) in all.into_iter().enumerate().take(steps + usize::from(running)) {
            take(EventV1::StepStarted {
                step,
                instance: 1,
                generation: 1,
                part: None,
                amount_minor,
                lines: vec![],
                expires_ms: None,
            });
            if number < steps {
                let reference = "r".into();
                let outcome =
                    StepOutcomeV1::Done { reference, amount_minor: None, expires_ms: None, lines: vec![] };
                take(EventV1::StepEnded { step, instance: 1, generation: 1, part: None, outcome });
            }
        }
        if steps == all.len() {
            take(EventV1::StatusChanged { status: StatusV1::Completed, reason: None });
        }
        tail
    }

    fn entries(name: &str, steps: usize) -> Vec<BookEntry> {
        let all = [Step::Reserve, Step::Authorize, Step::Book, Step::Capture];
        let entry = |step: Step| BookEntry {
            kind: BookKind::Done,
            step,
            key: format!("{name} {}", step.as_str()).into(),
            order: order(name),
            target: None,
            amount_minor: if Role::of(step) == Role::Payments { 500 } else { 0 },
            currency: Some(Currency::parse("USD").unwrap()),
            units: if Role::of(step) == Role::Payments { 0 } else { 2 },
            lines: vec![],
            why: None,
            expires: TimestampMs(9),
            until: None,
            at: TimestampMs(7),
        };
        all.into_iter().take(steps).map(entry).collect()
    }

    fn compared(ours: &[(&str, usize, bool)], theirs: &[BookEntry]) -> SidesCheck {
        let key = CheckKey::new([3; 16]);
        let mut table = Table::default();
        for (name, steps, running) in ours {
            *table.get_or_default(key.order(&order(name))) = tail(*steps, *running);
        }
        let mut comparison = Comparison::new(key, 0..super::super::table::SHARDS, table);
        theirs.iter().for_each(|entry| comparison.take(entry));
        comparison.end()
    }

    /// Nothing was compared while any order was on its way.
    #[test]
    fn orders_at_rest_are_compared_whatever_is_under_way() {
        let ours = [("rests", 4, false), ("runs", 2, true), ("waits", 3, false)];
        let same = [entries("rests", 4), entries("runs", 2), entries("waits", 3)].concat();
        let check = compared(&ours, &same);
        assert!(check.agrees(), "{:?}", check.named);
        assert_eq!((check.compared, check.under_way, check.entries()), (2, 1, 9));
        // What runs may be done already; nobody knows.
        let ahead = [entries("rests", 4), entries("runs", 3), entries("waits", 3)].concat();
        assert!(compared(&ours, &ahead).agrees());
        // What rests may not.
        let check = compared(&ours, &[entries("rests", 4), entries("runs", 2), entries("waits", 4)].concat());
        assert_eq!((check.differing, check.named[0].key), (1, CheckKey::new([3; 16]).order(&order("waits"))));
        assert!(check.named[0].what.contains("captured is 0 here and 500"), "{:?}", check.named);
    }

    /// An authorization that is not in the book any more showed in no sum.
    #[test]
    fn a_book_that_is_behind_is_said_to_be() {
        let ours = [("rests", 4, false), ("runs", 2, true)];
        let cut = [entries("rests", 4), entries("runs", 1)].concat();
        let check = compared(&ours, &cut);
        assert_eq!(check.books.map(|book| book.behind), [0, 1, 0, 0], "{:?}", check.named);
        assert!(!check.agrees() && check.named[0].what.contains("1 steps of payments are done here and 0"));
        assert_eq!(check.books[Role::Payments as usize].last_at, Some(TimestampMs(7)));
    }

    #[test]
    fn orders_in_their_books_alone_and_keys_run_twice_are_named() {
        let theirs = [entries("rests", 4), entries("gone", 2), entries("rests", 1)].concat();
        let check = compared(&[("rests", 4, false)], &theirs);
        assert_eq!((check.in_books_only, check.keys_run_twice, check.differing), (1, 1, 1));
        assert!(check.named.iter().any(|one| one.order == Some(order("gone"))), "{:?}", check.named);
    }
}
