//! What the units of a return are due by rules: of their line, and of components of the order.

use super::super::owed::{Refunds, ReturnedLine, Split};
use super::super::placed::Placed;
use super::super::shares::{Refundable, share};
use crate::wire::command::ComponentKind;

/// What some units of a line are due, in minor units.
#[derive(Debug, Clone, Default)]
pub(super) struct Due {
    /// Of their line.
    pub(super) own_minor: i64,
    /// Of components of the order.
    pub(super) components: Vec<(ComponentKind, i64)>,
}

impl Due {
    /// All of it, in minor units.
    pub(super) fn sum(&self) -> i64 {
        self.components.iter().fold(self.own_minor, |sum, (_, minor)| sum.saturating_add(*minor))
    }

    /// What `paid_minor` is of: of the line as far as that is due, then of the components; more is the line's.
    fn of(&self, paid_minor: i64) -> Self {
        let mut left_minor = paid_minor.saturating_sub(self.own_minor).max(0);
        let mut take = |minor: i64| {
            let taken = minor.clamp(0, left_minor.max(0));
            left_minor -= taken;
            taken
        };
        let components: Vec<_> = self
            .components
            .iter()
            .map(|(kind, minor)| (*kind, take(*minor)))
            .filter(|(_, minor)| *minor > 0)
            .collect();
        let of_components = components.iter().fold(0, |sum: i64, (_, minor)| sum.saturating_add(*minor));
        Self { own_minor: paid_minor.saturating_sub(of_components), components }
    }
}

/// What is left of the order's components, and of its lines, while a return is added up.
pub(super) struct Left<'a> {
    placed: &'a Placed,
    refundable: &'a Refundable,
    refunds: &'a Refunds,
    taken: Vec<(ComponentKind, i64)>,
}

impl<'a> Left<'a> {
    pub(super) const fn new(placed: &'a Placed, refundable: &'a Refundable, refunds: &'a Refunds) -> Self {
        Self { placed, refundable, refunds, taken: Vec::new() }
    }

    /// What is due for `quantity` units of line `at` after `before` of it: their share. What was paid of the line, or of a
    /// component, without goods is not paid again.
    pub(super) fn units(&mut self, at: usize, before: u64, quantity: u64) -> Due {
        let line = &self.placed.lines[at];
        let ordered = u64::from(line.quantity);
        let shares = |minor| {
            share(minor, before.saturating_add(quantity), ordered)
                .saturating_sub(share(minor, before, ordered))
        };
        let whole_minor = shares(self.refundable.by_line[at]);
        let mut own_minor = whole_minor;
        let mut components = Vec::new();
        for (kind, by_line) in &self.refundable.pro_rata {
            let minor = shares(by_line[at]).clamp(0, own_minor.max(0));
            own_minor = own_minor.saturating_sub(minor);
            if minor > 0 {
                components.push((*kind, minor));
            }
        }
        let refunded_minor = self.refunds.of_line(&line.line_id);
        if refunded_minor > 0 {
            let has_minor = self.refundable.own_minor(at);
            let gone_minor = refunded_minor.saturating_add(share(has_minor, before, ordered));
            own_minor = own_minor.min(has_minor.saturating_sub(gone_minor).max(0));
        }
        let components = components.into_iter().map(|(kind, minor)| (kind, self.take(kind, minor))).collect();
        Due { own_minor, components }
    }

    /// What comes with the order's last unit.
    pub(super) fn last_unit(&mut self) -> Vec<(ComponentKind, i64)> {
        let refundable = self.refundable;
        refundable.with_last_unit.iter().map(|(kind, minor)| (*kind, self.take(*kind, *minor))).collect()
    }

    /// Of a component, what of `minor` was not granted before.
    fn take(&mut self, kind: ComponentKind, minor: i64) -> i64 {
        let here = self
            .taken
            .iter()
            .filter(|(one, _)| *one == kind)
            .fold(0, |sum: i64, (_, minor)| sum.saturating_add(*minor));
        let gone_minor = self.refunds.of_component(kind).saturating_add(here);
        let left_minor = self.refundable.has(kind).saturating_sub(gone_minor).max(0);
        let taken = minor.min(left_minor);
        self.taken.push((kind, taken));
        taken
    }
}

/// What a return pays back, where it is not of its lines alone.
pub(super) fn split(lines: &[ReturnedLine], dues: &[Due]) -> Option<Split> {
    let parts: Vec<Due> = lines.iter().zip(dues).map(|(line, due)| due.of(line.amount_minor)).collect();
    let mut components: Vec<(ComponentKind, i64)> = Vec::new();
    for (kind, minor) in parts.iter().flat_map(|part| &part.components) {
        match components.iter_mut().find(|(one, _)| one == kind) {
            Some((_, sum)) => *sum = sum.saturating_add(*minor),
            None => components.push((*kind, *minor)),
        }
    }
    let own = lines.iter().zip(&parts).map(|(line, part)| (line.line_id.clone(), part.own_minor));
    (!components.is_empty()).then(|| Split { lines: own.collect(), components: components.into() })
}
