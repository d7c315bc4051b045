//! The two sides of the books: what the orders say they did, and what the participants wrote down.

use super::life::Effects;
use super::{InvariantId, Violation};
use crate::keys::hex;
use crate::memory::participants::{BookTotals, Sides};

/// Violations named at most.
const NAMED_MAX: usize = 100;

/// Where the two sides differ, and what no participant may ever do. Orders in mid-saga may differ by the step that is
/// under way; at rest there are none.
#[must_use]
pub fn sides<'a>(
    orders: impl Iterator<Item = (&'a [u8; 16], &'a Effects)>,
    books: &BookTotals,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut known = 0usize;
    for (key, effects) in orders {
        let theirs = books.orders.get(key).copied().unwrap_or_default();
        known += usize::from(books.orders.contains_key(key));
        for (what, ours, theirs) in pairs(effects, &theirs) {
            if ours != theirs {
                let text = format!("order {}: {what} is {ours} here and {theirs} in their books", hex(key));
                found.push(text);
            }
        }
    }
    if known < books.orders.len() {
        found.push(format!("{} orders stand in their books alone", books.orders.len() - known));
    }
    if books.keys_run_twice > 0 {
        found.push(format!("{} keys were run twice", books.keys_run_twice));
    }
    let forbidden = books.violations();
    found.extend(forbidden.iter().map(|(key, what)| format!("order {}: {what:?}", hex(key))));
    found.sort_unstable();
    found.truncate(NAMED_MAX);
    found.into_iter().map(|text| Violation::new(InvariantId::Sides, text)).collect()
}

fn pairs(ours: &Effects, theirs: &Sides) -> [(&'static str, i64, i64); 5] {
    [
        ("captured", ours.captured_minor, theirs.captured_minor),
        ("paid back", ours.refunded_minor, theirs.refunded_minor),
        ("reserved", ours.reserved_units.into(), theirs.reserved_units - theirs.released_units),
        ("booked", ours.booked_units.into(), theirs.booked_units - theirs.canceled_units),
        ("restocked", ours.restocked_units.into(), theirs.restocked_units),
    ]
}
