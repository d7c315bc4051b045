//! What of an order's amounts belongs to which line, and to which of its units. `docs/money.md` has the formulas.
//!
//! Invariants: what is spread over lines adds up to the cent to what was spread, and so do the shares of a line's units.
//! All of it is whole numbers; products are of at most 107 bits.

use std::collections::HashMap;

use super::placed::Placed;
use crate::money::{Amount, MoneyError};
use crate::ports::LineUnits;
use crate::wire::command::{self as wire, ComponentKind};
use crate::wire::order::OrderLine;
use crate::wire::return_rules::{RefundRule, ReturnRules};

/// The kinds of components, in the order in which they are shown.
const KINDS: [ComponentKind; 5] = [
    ComponentKind::Goods,
    ComponentKind::Discount,
    ComponentKind::Tax,
    ComponentKind::Shipping,
    ComponentKind::Fee,
];

/// `amount × part ÷ whole`, rounded half to even.
pub(super) fn share(amount_minor: i64, part: u64, whole: u64) -> i64 {
    let whole = i128::from(whole.max(1));
    let product = i128::from(amount_minor) * i128::from(part);
    let (quotient, rest) = (product.div_euclid(whole), product.rem_euclid(whole));
    let up = match (2 * rest).cmp(&whole) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(quotient + i128::from(up)).unwrap_or(i64::MAX)
}

/// `amount` over weights, by largest remainder: each gets its part rounded towards zero, and what is left goes out one by
/// one to those that lost most by the rounding, the earlier first. Weights are not below zero, and not all zero.
pub(super) fn spread(amount_minor: i64, weights: &[i128]) -> Vec<i64> {
    let whole = weights.iter().sum::<i128>().max(1);
    let size = i128::from(amount_minor.unsigned_abs());
    let sign = amount_minor.signum();
    let mut parts: Vec<i64> = Vec::with_capacity(weights.len());
    let mut lost: Vec<(i128, usize)> = Vec::with_capacity(weights.len());
    let mut left = size;
    for (number, weight) in weights.iter().enumerate() {
        let (part, rest) = (size * weight / whole, size * weight % whole);
        left -= part;
        parts.push(i64::try_from(part).unwrap_or(i64::MAX));
        lost.push((rest, number));
    }
    lost.sort_unstable_by_key(|(rest, number)| (std::cmp::Reverse(*rest), *number));
    // Fewer are left than there are lines.
    for (_, number) in lost.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        parts[number] += 1;
    }
    parts.iter_mut().for_each(|part| *part *= sign);
    parts
}

/// The components of the order itself, by kind, over its lines: by their amounts, or by their units where all lines are
/// free. A kind that does not stand there is left out.
fn allocated(placed: &Placed) -> impl Iterator<Item = (ComponentKind, Vec<i64>)> + '_ {
    let amounts = || placed.lines.iter().map(|line| i128::from(line.amount_minor.max(0)));
    let priced = amounts().any(|amount| amount > 0);
    let weights: Vec<i128> = match placed.components.is_empty() {
        true => Vec::new(),
        false if priced => amounts().collect(),
        false => placed.lines.iter().map(|line| i128::from(line.quantity)).collect(),
    };
    KINDS.into_iter().filter_map(move |kind| {
        let minor = of_kind(placed, kind)?;
        Some((kind, spread(minor, &weights)))
    })
}

/// What the order itself has of a kind; `None` where nothing was said of it.
pub(super) fn of_kind(placed: &Placed, kind: ComponentKind) -> Option<i64> {
    let parts = placed.components.iter().filter(|part| part.kind == kind).map(|part| part.amount_minor);
    parts.reduce(i64::saturating_add)
}

impl Placed {
    /// What these units are worth, in minor units, with their parts of all that the order has beside its lines. All units
    /// together are worth the order's total.
    #[must_use]
    pub fn worth_minor(&self, parts: &[LineUnits]) -> i64 {
        let mut by_line: Vec<i64> = self.lines.iter().map(|line| line.amount_minor).collect();
        for (_, parts) in allocated(self) {
            by_line.iter_mut().zip(parts).for_each(|(line, part)| *line = line.saturating_add(part));
        }
        let mut units: HashMap<&str, u64> = HashMap::new();
        for part in parts {
            let sum = units.entry(&part.line_id).or_default();
            *sum = sum.saturating_add(part.quantity);
        }
        self.lines.iter().zip(by_line).fold(0, |sum, (line, minor)| {
            let there = units.get(&*line.line_id).copied().unwrap_or(0);
            sum.saturating_add(share(minor, there, line.quantity.into()))
        })
    }
}

/// What returns of an order pay back at most by themselves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refundable {
    /// Of each line, all units together: its amount, its part of what follows the goods, and of what comes back pro rata.
    pub(super) by_line: Vec<i64>,
    /// Of that, what is of components that come back pro rata, by kind and line.
    pub(super) pro_rata: Vec<(ComponentKind, Vec<i64>)>,
    /// With the last unit of the order, by kind.
    pub(super) with_last_unit: Vec<(ComponentKind, i64)>,
    /// What the order itself has of shipping, tax and fees.
    components: Vec<(ComponentKind, i64)>,
}

impl Refundable {
    pub(super) fn of(placed: &Placed, rules: ReturnRules) -> Self {
        let mut by_line: Vec<i64> = placed.lines.iter().map(|line| line.amount_minor).collect();
        let mut of_rules = Self {
            by_line: Vec::new(),
            pro_rata: Vec::new(),
            with_last_unit: Vec::new(),
            components: Vec::new(),
        };
        let mut add = |parts: &[i64]| {
            for (line, part) in by_line.iter_mut().zip(parts) {
                *line = line.saturating_add(*part);
            }
        };
        for (kind, parts) in allocated(placed) {
            let minor = of_kind(placed, kind).unwrap_or(0).max(0);
            let rule = match kind {
                ComponentKind::Goods | ComponentKind::Discount => {
                    add(&parts);
                    continue;
                }
                ComponentKind::Tax => rules.tax,
                ComponentKind::Shipping => rules.shipping,
                ComponentKind::Fee => rules.fee,
            };
            of_rules.components.push((kind, minor));
            match rule {
                RefundRule::Never => {}
                RefundRule::WithLastUnit => of_rules.with_last_unit.push((kind, minor)),
                RefundRule::ProRata => {
                    add(&parts);
                    of_rules.pro_rata.push((kind, parts));
                }
            }
        }
        // A discount may be larger than the goods, at the cost of the shipping: nobody pays for what he sends back.
        by_line.iter_mut().for_each(|line| *line = (*line).max(0));
        Self { by_line, ..of_rules }
    }

    /// Of line `at`, all units together, without what comes back pro rata.
    pub(super) fn own_minor(&self, at: usize) -> i64 {
        let beside = self.pro_rata.iter().fold(0, |sum: i64, (_, parts)| sum.saturating_add(parts[at]));
        self.by_line[at].saturating_sub(beside).max(0)
    }

    /// What the order itself has of a kind of shipping, tax or fee.
    pub(super) fn has(&self, kind: ComponentKind) -> i64 {
        self.components.iter().find(|(one, _)| *one == kind).map_or(0, |(_, minor)| *minor)
    }
}

/// The lines as callers see them: with their parts of the order's own components.
pub(super) fn lines_of_view(placed: &Placed, lines: Vec<wire::Line>) -> Result<Vec<OrderLine>, MoneyError> {
    let mut shown: Vec<OrderLine> = lines.into_iter().map(OrderLine::from).collect();
    for (kind, parts) in allocated(placed) {
        for (line, part) in shown.iter_mut().zip(parts) {
            let amount_minor = Amount::new(part)?;
            let sum = line.allocated_minor.unwrap_or_default().checked_add(amount_minor)?;
            line.allocated_minor = Some(sum);
            line.allocated.push(wire::Component { kind, amount_minor });
        }
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_are_rounded_half_to_even() {
        assert_eq!([1, 2, 3, 4].map(|part| share(10, part, 4)), [2, 5, 8, 10]);
        assert_eq!([1, 2, 3].map(|part| share(1000, part, 3)), [333, 667, 1000]);
        assert_eq!(share((1 << 53) - 1, 999_999, 1_000_000), 9_007_190_247_541_736);
        assert_eq!(share(0, 1, 2), 0);
    }

    #[test]
    fn what_is_left_goes_to_who_lost_most_and_then_to_the_earlier() {
        assert_eq!(spread(-3000, &[10_000, 5_000]), [-2000, -1000]);
        assert_eq!(spread(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(spread(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(spread(100, &[1, 2, 3]), [17, 33, 50]);
        assert_eq!(spread(1, &[0, 5, 0]), [0, 1, 0]);
        assert_eq!(spread(0, &[3, 4]), [0, 0]);
    }

    proptest! {
        #[test]
        fn what_is_spread_adds_up(
            amount in -((1_i64 << 53) - 1)..(1 << 53),
            weights in prop::collection::vec(0_i64..(1 << 53), 1..40),
        ) {
            let mut weights: Vec<i128> = weights.into_iter().map(i128::from).collect();
            weights[0] += 1;
            let whole = weights.iter().sum::<i128>();
            let parts = spread(amount, &weights);
            prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(amount));
            for (part, weight) in parts.iter().zip(&weights) {
                let off = i128::from(*part) * whole - i128::from(amount) * weight;
                prop_assert!(off.abs() < whole, "{} of {}", part, amount);
            }
        }

        #[test]
        fn shares_add_up(amount in 0_i64..(1 << 53), parts in prop::collection::vec(1_u64..1_000_000, 1..20)) {
            let whole: u64 = parts.iter().sum();
            let (mut before, mut sum) = (0, 0);
            for part in parts {
                let paid = share(amount, before + part, whole) - share(amount, before, whole);
                prop_assert!(paid >= 0);
                (before, sum) = (before + part, sum + paid);
            }
            prop_assert_eq!(sum, amount);
        }
    }
}
