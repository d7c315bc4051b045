//! How an import went.

use std::fmt;

use retailflow_engine::money::{Amount, Currency};
use serde::Serialize;

use crate::words::{count, number};

/// What was imported and what was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Tells it from a rejected row, where both are JSON.
    pub(super) kind: &'static str,
    /// Commands written.
    pub(crate) orders: u64,
    /// Lines of these.
    pub(crate) lines: u64,
    /// Units of these.
    pub(crate) units: u64,
    /// What they cost, in minor units. Wider than an amount: a sum over many orders is nobody's amount.
    pub(crate) amount_minor: i128,
    /// Of which currency.
    pub(crate) currency: Currency,
    /// Rows that are in no command.
    pub(crate) rejected_rows: u64,
}

impl Summary {
    pub(super) const fn new(currency: Currency) -> Self {
        Self { kind: "summary", orders: 0, lines: 0, units: 0, amount_minor: 0, currency, rejected_rows: 0 }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (orders, lines, units) = (self.orders, self.lines, self.units);
        write!(f, "{}, {}, {}, ", count(orders, "order"), count(lines, "line"), count(units, "unit"))?;
        let small = i64::try_from(self.amount_minor).ok().and_then(|minor| Amount::new(minor).ok());
        let (code, minor) = (self.currency.code(), number(self.amount_minor));
        match small {
            Some(amount) => write!(f, "{} {code} ({minor} minor units); ", amount.to_major(self.currency))?,
            None => write!(f, "{minor} minor units of {code}; ")?,
        }
        match self.rejected_rows {
            0 => f.write_str("no row rejected"),
            rows => write!(f, "{} rejected", count(rows, "row")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_a_sentence() {
        let usd = Currency::parse("USD").unwrap();
        let mut summary = Summary { orders: 56_902, lines: 56_902, units: 134_945, ..Summary::new(usd) };
        summary.amount_minor = 202_416_126;
        let text = "56,902 orders, 56,902 lines, 134,945 units, 2024161.26 USD (202,416,126 minor units); no row rejected";
        assert_eq!(summary.to_string(), text);
        summary.amount_minor = i128::MAX;
        summary.rejected_rows = 1000;
        assert!(summary.to_string().ends_with("105,727 minor units of USD; 1,000 rows rejected"));
    }
}
