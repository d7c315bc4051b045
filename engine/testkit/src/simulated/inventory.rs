//! Stock: reserve, release, restock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::keys::{Effect, Entry, Keys, key_hash};
use retailflow_books::key_of;
use retailflow_books::{BookEntry, BookKind, BookLine, Why};
use retailflow_engine::wire::command::Step;

/// Half of the units of such a line are there, rounded up: for trying out what comes in parts.
pub const HALF_IN_STOCK_SKU: &str = "sim-half-in-stock";
/// Nothing of such a line is there.
pub const NOT_IN_STOCK_SKU: &str = "sim-not-in-stock";

/// How much there is to begin with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StockOptions {
    /// Units by SKU.
    pub units: BTreeMap<Box<str>, u64>,
    /// Units of every other SKU; `None` for as many as anybody wants.
    pub other_units: Option<u64>,
    /// Of what is not all there, what is there is given, rather than nothing.
    pub gives_parts: bool,
    /// What is out of stock is waited for, rather than declined. A smaller reservation may overtake one that waits.
    pub back_order: bool,
}

impl StockOptions {
    /// Whether units are counted by SKU at all.
    fn is_finite(&self) -> bool {
        self.other_units.is_some() || !self.units.is_empty()
    }
}

pub(super) struct Stock {
    options: StockOptions,
    /// What is left of those SKUs of which units were taken or brought: at most one for each line reserved or brought.
    left: HashMap<Arc<str>, u64>,
}

impl Stock {
    pub(super) fn new(options: StockOptions) -> Self {
        Self { options, left: HashMap::new() }
    }

    /// Units left; `None` for as many as anybody wants.
    pub(super) fn left(&self, sku: &str) -> Option<u64> {
        let begun = || self.options.units.get(sku).copied().or(self.options.other_units);
        self.left.get(sku).copied().or_else(begun)
    }

    pub(super) fn decide(&self, keys: &Keys, draft: BookEntry) -> BookEntry {
        let decided = match draft.step {
            Step::Release => {
                let target = key_of(Step::Reserve, draft.target.as_deref());
                let effect = target.and_then(|key| keys.get(key_hash(key))).map(|entry| entry.effect);
                match effect {
                    Some(Effect::Reservation { units, released }) if draft.units <= units - released => {
                        draft.done()
                    }
                    _ => draft.not_done(Why::NotReserved),
                }
            }
            Step::Restock => draft.done(),
            _ => self.decide_reserve(draft),
        };
        let in_part = decided.kind == BookKind::Done && decided.why.is_some();
        let wanted = self.options.is_finite() || decided.kind == BookKind::Declined || in_part;
        if wanted { decided } else { BookEntry { lines: Vec::new(), ..decided } }
    }

    fn decide_reserve(&self, draft: BookEntry) -> BookEntry {
        let mut left: HashMap<&str, u64> = HashMap::new();
        let (mut short, mut given) = (Vec::new(), Vec::new());
        for line in &draft.lines {
            let taken = match &*line.sku {
                HALF_IN_STOCK_SKU => line.units.div_ceil(2),
                NOT_IN_STOCK_SKU => 0,
                sku => match self.left(sku) {
                    None => line.units,
                    Some(there) => {
                        // Two lines may be about the same goods.
                        let there = left.entry(sku).or_insert(there);
                        let taken = line.units.min(*there);
                        *there -= taken;
                        taken
                    }
                },
            };
            if taken < line.units {
                short.push(BookLine { units: line.units - taken, ..line.clone() });
            }
            if taken > 0 {
                given.push(BookLine { units: taken, ..line.clone() });
            }
        }
        let halves = draft.lines.iter().any(|line| *line.sku == *HALF_IN_STOCK_SKU);
        match short.is_empty() {
            true => draft.done(),
            false if (self.options.gives_parts || halves) && !given.is_empty() => {
                let units = given.iter().fold(0, |sum: u64, line| sum.saturating_add(line.units));
                BookEntry { units, lines: given, why: Some(Why::OutOfStock), ..draft.done() }
            }
            false if self.options.back_order => {
                BookEntry { kind: BookKind::Pending, why: Some(Why::OutOfStock), ..draft }
            }
            false => BookEntry { lines: short, ..draft.not_done(Why::OutOfStock) },
        }
    }

    /// Whether the entry brings units, for which someone may wait.
    pub(super) fn brings(&self, entry: &BookEntry) -> bool {
        let brings = match entry.kind {
            BookKind::Supplied => true,
            BookKind::Done => matches!(entry.step, Step::Release | Step::Restock),
            _ => false,
        };
        brings && self.options.back_order
    }

    /// Units come: from a supplier, or back.
    pub(super) fn bring(&mut self, lines: &[BookLine]) {
        for line in lines {
            if let Some(there) = self.left(&line.sku) {
                self.left.insert(Arc::clone(&line.sku), there.saturating_add(line.units));
            }
        }
    }

    /// Carries out what was decided, under the number of its key.
    pub(super) fn done(&mut self, keys: &mut Keys, number: u32, entry: &BookEntry) {
        match entry.step {
            Step::Reserve => {
                for line in &entry.lines {
                    if let Some(there) = self.left(&line.sku) {
                        self.left.insert(Arc::clone(&line.sku), there.saturating_sub(line.units));
                    }
                }
                if let Some(known) = keys.at_mut(number) {
                    known.effect = Effect::Reservation { units: entry.units, released: 0 };
                }
            }
            Step::Release => {
                let target = key_of(Step::Reserve, entry.target.as_deref());
                if let Some(Entry { effect: Effect::Reservation { units, released }, .. }) =
                    target.and_then(|key| keys.get_mut(key_hash(key)))
                {
                    *released = released.saturating_add(entry.units).min(*units);
                }
                self.bring(&entry.lines);
            }
            _ => self.bring(&entry.lines),
        }
    }
}
