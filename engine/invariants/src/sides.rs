//! The two sides of the books at rest, from sums that are in memory already: for tests. `verify` compares entry by entry
//! (`super::compare`).

use super::compare::pairs;
use super::life::Effects;
use super::{InvariantId, Violation};
use retailflow_books::BookTotals;
use retailflow_engine::keys::hex;

/// Violations named at most.
const NAMED_MAX: usize = 100;

/// Where the two sides differ, and what no participant may ever do. Orders in mid-saga may differ by the step that is
/// under way; at rest there are none. Both sides name orders with [`super::CheckKey::FIXED`].
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
        let differing = pairs(effects, &theirs).into_iter().filter(|pair| pair.ours != pair.theirs);
        found.extend(differing.map(|pair| format!("order {}: {pair}", hex(key))));
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
