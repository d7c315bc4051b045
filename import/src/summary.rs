//! How an import went.

use std::collections::BTreeMap;
use std::fmt;

use retailflow_engine::money::{Amount, Currency};
use retailflow_engine::wire::command::{ComponentKind, PlaceData};
use serde::Serialize;

use retailflow_server::words::{count, number};

/// What was imported and what was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Tells it from a rejected row, where both are JSON.
    pub(super) kind: &'static str,
    /// Nothing was written.
    pub dry_run: bool,
    /// Orders placed, each a command.
    pub orders: u64,
    /// Lines of these.
    pub lines: u64,
    /// Units of these.
    pub units: u64,
    /// What they cost, in minor units, where all are in one currency.
    pub amount_minor: Option<i128>,
    /// Of which currency.
    pub currency: Option<Currency>,
    /// What they cost, by currency.
    pub sums: Vec<Sum>,
    /// Returns, each a command.
    pub returns: u64,
    /// Refunds that no command says.
    pub refunds_left_out: u64,
    /// Returns that were left out because there is no file for them.
    pub returns_left_out: u64,
    /// Rows that are in no command.
    pub rejected_rows: u64,
    /// Rows without anything in them.
    pub blank_rows: u64,
    #[serde(skip)]
    by_currency: BTreeMap<&'static str, Sum>,
}

/// Sums of one currency, in minor units. Wider than an amount: a sum over many orders is nobody's amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Of which currency.
    pub currency: Currency,
    /// Orders in it.
    pub orders: u64,
    /// What they cost.
    pub amount_minor: i128,
    /// Of this, goods.
    pub goods_minor: i128,
    /// Of this, discounts: below zero.
    pub discount_minor: i128,
    /// Of this, shipping.
    pub shipping_minor: i128,
    /// Of this, taxes on top of prices.
    pub tax_minor: i128,
    /// Of this, fees.
    pub fee_minor: i128,
    /// Refunds that no command says.
    pub refunds_left_out_minor: i128,
}

impl Sum {
    const fn new(currency: Currency) -> Self {
        Self {
            currency,
            orders: 0,
            amount_minor: 0,
            goods_minor: 0,
            discount_minor: 0,
            shipping_minor: 0,
            tax_minor: 0,
            fee_minor: 0,
            refunds_left_out_minor: 0,
        }
    }

    fn of(&mut self, kind: ComponentKind) -> &mut i128 {
        match kind {
            ComponentKind::Goods => &mut self.goods_minor,
            ComponentKind::Discount => &mut self.discount_minor,
            ComponentKind::Shipping => &mut self.shipping_minor,
            ComponentKind::Tax => &mut self.tax_minor,
            ComponentKind::Fee => &mut self.fee_minor,
        }
    }

    fn text(&self, minor: i128) -> String {
        let small = i64::try_from(minor).ok().and_then(|minor| Amount::new(minor).ok());
        let (code, minor) = (self.currency.code(), number(minor));
        match small {
            Some(amount) => format!("{} {code} ({minor} minor units)", amount.to_major(self.currency)),
            None => format!("{minor} minor units of {code}"),
        }
    }
}

impl Summary {
    pub(super) const fn new(dry_run: bool) -> Self {
        Self {
            kind: "summary",
            dry_run,
            orders: 0,
            lines: 0,
            units: 0,
            amount_minor: None,
            currency: None,
            sums: Vec::new(),
            returns: 0,
            refunds_left_out: 0,
            returns_left_out: 0,
            rejected_rows: 0,
            blank_rows: 0,
            by_currency: BTreeMap::new(),
        }
    }

    fn sum(&mut self, currency: Currency) -> &mut Sum {
        self.by_currency.entry(currency.code()).or_insert_with(|| Sum::new(currency))
    }

    /// Counts an order that is placed.
    pub(super) fn placed(&mut self, place: &PlaceData, total: Amount) {
        self.orders += 1;
        self.lines += place.lines.len() as u64;
        self.units += place.units();
        let sum = self.sum(place.currency);
        sum.orders += 1;
        sum.amount_minor += i128::from(total.minor());
        for line in place.lines.iter().filter(|line| line.components.is_empty()) {
            sum.goods_minor += i128::from(line.amount_minor.minor());
        }
        for part in place.lines.iter().flat_map(|line| &line.components).chain(&place.components) {
            *sum.of(part.kind) += i128::from(part.amount_minor.minor());
        }
    }

    /// Counts a refund that no command says.
    pub(super) fn refund_left_out(&mut self, amount: Amount, currency: Currency) {
        self.refunds_left_out += 1;
        self.sum(currency).refunds_left_out_minor += i128::from(amount.minor());
    }

    /// All is counted.
    pub(super) fn end(&mut self, rejected_rows: u64) {
        self.rejected_rows = rejected_rows;
        self.sums = std::mem::take(&mut self.by_currency).into_values().collect();
        if let [only] = self.sums.as_slice() {
            (self.amount_minor, self.currency) = (Some(only.amount_minor), Some(only.currency));
        }
    }

    /// Whether all that the file says is in commands.
    pub const fn is_whole(&self) -> bool {
        self.rejected_rows == 0 && self.refunds_left_out == 0 && self.returns_left_out == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (orders, lines, units) = (self.orders, self.lines, self.units);
        write!(f, "{}, {}, {}", count(orders, "order"), count(lines, "line"), count(units, "unit"))?;
        if let [only] = self.sums.as_slice() {
            write!(f, ", {}", only.text(only.amount_minor))?;
        }
        match self.rejected_rows {
            0 => f.write_str("; no row rejected")?,
            rows => write!(f, "; {} rejected", count(rows, "row"))?,
        }
        for (number, what, how) in [
            (self.blank_rows, "blank row", "skipped"),
            (self.returns, "return", "written"),
            (self.refunds_left_out, "refund", "left out"),
            (self.returns_left_out, "return", "left out (give --returns FILE)"),
        ] {
            if number > 0 {
                write!(f, ", {} {how}", count(number, what))?;
            }
        }
        if self.dry_run {
            f.write_str("; nothing was written (--dry-run)")?;
        }
        for sum in &self.sums {
            let parts = [
                ("goods", sum.goods_minor),
                ("discounts", sum.discount_minor),
                ("shipping", sum.shipping_minor),
                ("taxes", sum.tax_minor),
                ("fees", sum.fee_minor),
                ("refunds left out", sum.refunds_left_out_minor),
            ];
            let others = parts[1..].iter().any(|(_, minor)| *minor != 0);
            if self.sums.len() > 1 || others || self.dry_run {
                write!(
                    f,
                    "\n  {}: {}, {}",
                    sum.currency,
                    count(sum.orders, "order"),
                    sum.text(sum.amount_minor)
                )?;
            }
            for (name, minor) in parts.iter().filter(|(_, minor)| others && *minor != 0) {
                write!(f, "\n    {name:<17} {}", sum.text(*minor))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retailflow_engine::wire::command::{Component, Line};

    /// An order that costs 1000 minor units, with a discount.
    fn placed(summary: &mut Summary, code: &str, discount: i64) {
        let minor = |minor| Amount::new(minor).unwrap();
        let line = Line {
            line_id: "1".into(),
            sku: "a".into(),
            quantity: 2,
            amount_minor: minor(1000 - discount),
            components: Vec::new(),
        };
        let mut place = PlaceData::new("c".into(), Currency::parse(code).unwrap(), vec![line]);
        if discount != 0 {
            place.components.push(Component { kind: ComponentKind::Discount, amount_minor: minor(discount) });
        }
        let total = place.total_minor().unwrap();
        summary.placed(&place, total);
    }

    #[test]
    fn it_reads_like_a_sentence() {
        let mut summary = Summary::new(false);
        placed(&mut summary, "USD", 0);
        summary.end(0);
        assert_eq!(
            summary.to_string(),
            "1 order, 1 line, 2 units, 10.00 USD (1,000 minor units); no row rejected"
        );
        summary.sums[0].amount_minor = i128::MAX;
        summary.rejected_rows = 1000;
        assert!(summary.to_string().ends_with("105,727 minor units of USD; 1,000 rows rejected"));
    }

    #[test]
    fn each_currency_has_its_own_sums() {
        let mut summary = Summary::new(true);
        placed(&mut summary, "USD", -50);
        placed(&mut summary, "JPY", 0);
        summary.refund_left_out(Amount::new(7).unwrap(), Currency::parse("USD").unwrap());
        summary.end(2);
        let text = summary.to_string();
        for part in [
            "2 orders, 2 lines, 4 units; 2 rows rejected, 1 refund left out; nothing was written (--dry-run)\n",
            "\n  JPY: 1 order, 1000 JPY (1,000 minor units)\n",
            "\n  USD: 1 order, 10.00 USD (1,000 minor units)\n",
            "\n    discounts         -0.50 USD (-50 minor units)\n",
            "\n    refunds left out  0.07 USD (7 minor units)",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        assert_eq!((summary.amount_minor, summary.is_whole()), (None, false));
    }
}
