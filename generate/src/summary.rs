//! What was made up.

use std::fmt;

use retailflow_engine::money::{Amount, Currency};
use retailflow_engine::wire::{CommandData, CommandEvent};
use serde::Serialize;

use super::extra::Extra;
use super::schedule::{Form, Planned, What};
use retailflow_server::words::{count, number};

/// What all new places of one currency cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Of which currency.
    pub currency: Currency,
    /// Places.
    pub orders: u64,
    /// In minor units. Wider than an amount: a sum over many orders is nobody's amount.
    pub amount_minor: i128,
}

/// How many commands of which kind there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Commands, each a line.
    pub commands: u64,
    /// Places, each of a new order.
    pub places: u64,
    /// Cancels.
    pub cancels: u64,
    /// Cancels that come before their place.
    pub early: u64,
    /// Returns, second ones too.
    pub returns: u64,
    /// Second returns of an order.
    pub second_returns: u64,
    /// Returns that ask for more than there is.
    pub too_much: u64,
    /// Reports that a review of a payment ended badly.
    pub reports: u64,
    /// Other payments, after a decline.
    pub pays: u64,
    /// Refunds without goods.
    pub refunds: u64,
    /// Holds, each with its release.
    pub holds: u64,
    /// Changes of orders.
    pub amends: u64,
    /// Cancels of a unit.
    pub unit_cancels: u64,
    /// Facts for the books.
    pub records: u64,
    /// Exchanges of units for others.
    pub exchanges: u64,
    /// Orders whose goods go in parts.
    pub goods_in_parts: u64,
    /// Orders that are paid in parts.
    pub split: u64,
    /// Orders whose payment is reviewed.
    pub reviewed: u64,
    /// Orders whose payment is declined.
    pub declined: u64,
    /// Commands that come again.
    pub duplicates: u64,
    /// Places that come again thousands of lines later.
    pub late: u64,
    /// Places under the id of another one.
    pub reused: u64,
    /// Lines of the orders.
    pub lines: u64,
    /// Units of the orders.
    pub units: u64,
    /// Orders that cost nothing.
    pub free: u64,
    /// Order by order, in what they cost.
    pub sums: Vec<Sum>,
}

impl Summary {
    pub(super) fn add(&mut self, planned: Planned, too_much: bool, event: &CommandEvent) {
        self.commands += 1;
        match planned.form {
            Form::New => {}
            Form::Again => return self.duplicates += 1,
            Form::Late => return self.late += 1,
            Form::Reused => return self.reused += 1,
        }
        self.too_much += u64::from(too_much);
        match planned.what {
            What::Place => self.places += 1,
            What::Cancel => self.cancels += 1,
            What::EarlyCancel => {
                self.cancels += 1;
                self.early += 1;
            }
            What::FirstReturn => self.returns += 1,
            What::SecondReturn => {
                self.returns += 1;
                self.second_returns += 1;
            }
            What::Report => self.reports += 1,
            What::Pay => self.pays += 1,
            What::Extra(Extra::Refund) => self.refunds += 1,
            What::Extra(Extra::Hold) => self.holds += 1,
            What::Extra(Extra::Amend) => self.amends += 1,
            What::Extra(Extra::CancelUnits) => self.unit_cancels += 1,
            What::Extra(Extra::Record) => self.records += 1,
            What::Extra(Extra::Exchange) => self.exchanges += 1,
            What::ReleaseHold => {}
        }
        let CommandData::Place(place) = &event.data else { return };
        self.lines += place.lines.len() as u64;
        self.units += place.units();
        self.split += u64::from(place.payments.len() > 1);
        let halves = place.lines.iter().any(|line| line.sku == "sim-half-in-stock");
        self.goods_in_parts += u64::from(halves || !place.deliveries.is_empty());
        match place.payments.first().map(|payment| payment.token_ref.as_str()) {
            Some("tok_review") => self.reviewed += 1,
            Some("tok_declined") => self.declined += 1,
            _ => {}
        }
        let minor = place.total_minor().unwrap_or(Amount::ZERO).minor();
        self.free += u64::from(minor == 0);
        let at = self.sums.iter().position(|sum| sum.currency == place.currency).unwrap_or_else(|| {
            self.sums.push(Sum { currency: place.currency, orders: 0, amount_minor: 0 });
            self.sums.len() - 1
        });
        let sum = &mut self.sums[at];
        sum.orders += 1;
        sum.amount_minor += i128::from(minor);
    }

    pub(super) fn end(&mut self) {
        self.sums.sort_by_key(|sum| sum.currency.code());
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("places", self.places, format!("{}, {}", count(self.lines, "line"), count(self.units, "unit"))),
            ("cancels", self.cancels, format!("{} before their place", number(self.early))),
            (
                "returns",
                self.returns,
                format!(
                    "{} second ones, {} for more than there is",
                    number(self.second_returns),
                    number(self.too_much)
                ),
            ),
            ("duplicates", self.duplicates, "the same command again".to_owned()),
            ("late", self.late, "the same place again, thousands of lines later".to_owned()),
            ("reused ids", self.reused, "another place under the id of the first one".to_owned()),
        ];
        for (what, of, more) in rows {
            writeln!(f, "{what:<12} {:>12}  {more}", number(of))?;
        }
        for (what, of, more) in [
            ("reports", self.reports, "a review of a payment ended badly"),
            ("reviewed", self.reviewed, "of the places: their payment waits for somebody"),
            ("declined", self.declined, "of the places: their payment is declined"),
            ("in parts", self.split, "of the places: they are paid in parts"),
            ("pays", self.pays, "another payment after a decline"),
            ("refunds", self.refunds, "money back without goods"),
            ("holds", self.holds, "each with its release"),
            ("amends", self.amends, "the order is changed"),
            ("unit cancels", self.unit_cancels, "one unit is not wanted any more"),
            ("records", self.records, "a fact for the books"),
            ("exchanges", self.exchanges, "a unit comes back, and another thing is ordered in its place"),
            ("shipments", self.goods_in_parts, "of the places: their goods go in parts"),
        ] {
            if of > 0 {
                writeln!(f, "{what:<12} {:>12}  {more}", number(of))?;
            }
        }
        writeln!(f, "{:<12} {:>12}", "all", number(self.commands))?;
        for sum in &self.sums {
            let small = i64::try_from(sum.amount_minor).ok().and_then(|minor| Amount::new(minor).ok());
            let (code, minor) = (sum.currency.code(), number(sum.amount_minor));
            let text = match small {
                Some(amount) => format!("{} {code}", amount.to_major(sum.currency)),
                None => format!("{minor} minor units of {code}"),
            };
            writeln!(f, "{:<12} {:>12}  {text}", "orders", number(sum.orders))?;
        }
        writeln!(f, "{:<12} {:>12}  cost nothing", "orders", number(self.free))
    }
}
