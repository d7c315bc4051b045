//! What an order costs, out of its lines and of what the file says beside them: discounts, shipping, taxes, fees, a total.
//!
//! Invariant: where the file has a total, the order adds up to it, or is not imported. Whether taxes are in the prices or come on top, and
//! whether a discount of a line is one of those of the order, shops write in no column: it is what makes the total.

use retailflow_engine::money::{Amount, Currency, MoneyError};
use retailflow_engine::wire::command::{Component, ComponentKind, Line};

/// Whether taxes are in the prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TaxIs {
    /// They come on top of the prices
    Added,
    /// They are in the prices, and said for information
    Included,
}

/// A line as the file has it. The discount is below zero, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawLine {
    pub(super) sku: String,
    pub(super) quantity: u32,
    pub(super) goods: Amount,
    pub(super) discount: Amount,
    pub(super) tax: Amount,
    /// Units that came back.
    pub(super) returned: u32,
}

/// What belongs to no line. The discount is below zero, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) discount: Amount,
    pub(super) shipping: Amount,
    pub(super) tax: Amount,
    pub(super) fee: Amount,
}

impl Beside {
    pub(super) fn of(&mut self, kind: ComponentKind) -> &mut Amount {
        match kind {
            ComponentKind::Discount => &mut self.discount,
            ComponentKind::Shipping => &mut self.shipping,
            ComponentKind::Tax => &mut self.tax,
            ComponentKind::Fee | ComponentKind::Goods => &mut self.fee,
        }
    }
}

/// What the caller says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TotalRules {
    /// Whether taxes are in the prices.
    pub tax: Option<TaxIs>,
    /// What the difference to the total is, where the parts do not add up to it.
    pub rest_as: Option<ComponentKind>,
}

/// An order that adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddedUp {
    pub(super) lines: Vec<Line>,
    pub(super) components: Vec<Component>,
    /// Taxes that are in the prices.
    pub(super) tax_included: Amount,
}

/// One way to read the file.
#[derive(Clone, Copy)]
struct Reading {
    line_discounts: bool,
    tax: TaxIs,
}

const READINGS: [Reading; 4] = [
    Reading { line_discounts: true, tax: TaxIs::Added },
    Reading { line_discounts: true, tax: TaxIs::Included },
    Reading { line_discounts: false, tax: TaxIs::Added },
    Reading { line_discounts: false, tax: TaxIs::Included },
];

/// Makes lines and components that add up to the total, if there is one.
///
/// # Errors
/// They do not, or it cannot be told whether taxes are in the prices; or a sum is too large.
pub(super) fn add_up(
    raw: &[RawLine],
    beside: &Beside,
    total: Option<Amount>,
    rules: TotalRules,
    currency: Currency,
) -> Result<AddedUp, String> {
    let readings = READINGS.iter().filter(|reading| rules.tax.is_none_or(|tax| tax == reading.tax));
    let Some(total) = total else {
        let taxed = beside.tax != Amount::ZERO || raw.iter().any(|line| line.tax != Amount::ZERO);
        let reading = Reading { line_discounts: true, tax: rules.tax.unwrap_or(TaxIs::Added) };
        if taxed && rules.tax.is_none() {
            let text = "the file does not say whether taxes are in the prices or come on top of them: say --tax included or --tax added";
            return Err(text.to_owned());
        }
        return reading.read(raw, beside).map_err(|error| error.to_string());
    };
    let mut nearest = None;
    for reading in readings {
        let read = reading.read(raw, beside).map_err(|error| error.to_string())?;
        let sum = read.total().map_err(|error| error.to_string())?;
        if sum == total {
            return Ok(read);
        }
        nearest.get_or_insert((read, sum));
    }
    let Some((mut read, sum)) = nearest else { return Err("it cannot be added up".to_owned()) };
    let rest = total.checked_sub(sum).map_err(|error| error.to_string())?;
    if let Some(kind) = rules.rest_as {
        if rest.is_negative() != (kind == ComponentKind::Discount) {
            let text = "which is below zero for a discount and above for all else";
            return Err(format!(
                "its total is {} beyond what it is made of, {text} (--rest-as)",
                rest.to_major(currency)
            ));
        }
        read.components.push(Component { kind, amount_minor: rest });
        return Ok(read);
    }
    Err(format!(
        "it adds up to {}, and the file says that it costs {}: look what the {} are for, put it into one of the columns, or say --rest-as \
         tax|shipping|fee|discount",
        sum.to_major(currency),
        total.to_major(currency),
        rest.to_major(currency)
    ))
}

impl Reading {
    fn read(self, raw: &[RawLine], beside: &Beside) -> Result<AddedUp, MoneyError> {
        let added = self.tax == TaxIs::Added;
        let mut tax_included = Amount::ZERO;
        let mut lines = Vec::with_capacity(raw.len());
        for (at, line) in raw.iter().enumerate() {
            let mut components = vec![part(ComponentKind::Goods, line.goods)];
            if self.line_discounts {
                components.push(part(ComponentKind::Discount, line.discount));
            }
            match added {
                true => components.push(part(ComponentKind::Tax, line.tax)),
                false => tax_included = tax_included.checked_add(line.tax)?,
            }
            let amount_minor = Amount::sum(components.iter().map(|part| part.amount_minor))?;
            components.retain(|part| part.kind == ComponentKind::Goods || part.amount_minor != Amount::ZERO);
            if components.len() == 1 {
                components.clear();
            }
            let line_id = (at + 1).to_string();
            lines.push(Line {
                line_id,
                sku: line.sku.clone(),
                quantity: line.quantity,
                amount_minor,
                components,
            });
        }
        let mut components = vec![
            part(ComponentKind::Discount, beside.discount),
            part(ComponentKind::Shipping, beside.shipping),
            part(ComponentKind::Fee, beside.fee),
        ];
        match added {
            true => components.push(part(ComponentKind::Tax, beside.tax)),
            false => tax_included = tax_included.checked_add(beside.tax)?,
        }
        components.retain(|part| part.amount_minor != Amount::ZERO);
        Ok(AddedUp { lines, components, tax_included })
    }
}

impl AddedUp {
    fn total(&self) -> Result<Amount, MoneyError> {
        let lines = self.lines.iter().map(|line| line.amount_minor);
        Amount::sum(lines.chain(self.components.iter().map(|part| part.amount_minor)))
    }
}

fn part(kind: ComponentKind, amount_minor: Amount) -> Component {
    Component { kind, amount_minor }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(minor: i64) -> Amount {
        Amount::new(minor).unwrap()
    }

    fn line(goods: i64, discount: i64, tax: i64) -> RawLine {
        let (goods, discount, tax) = (minor(goods), minor(discount), minor(tax));
        RawLine { sku: "a".into(), quantity: 1, goods, discount, tax, returned: 0 }
    }

    /// Line amounts, order components, and taxes within.
    type Found = (Vec<i64>, Vec<(&'static str, i64)>, i64);

    fn found(
        raw: &[RawLine],
        beside: &Beside,
        total: Option<i64>,
        rules: TotalRules,
    ) -> Result<Found, String> {
        let usd = Currency::parse("USD").unwrap();
        let read = add_up(raw, beside, total.map(minor), rules, usd)?;
        let lines = read.lines.iter().map(|line| line.amount_minor.minor()).collect();
        let components = read.components.iter().map(|part| (part.kind.as_str(), part.amount_minor.minor()));
        Ok((lines, components.collect(), read.tax_included.minor()))
    }

    #[test]
    fn the_total_tells_how_the_file_is_to_be_read() {
        let no = TotalRules::default();
        let beside = Beside { shipping: minor(500), tax: minor(190), ..Beside::default() };
        let on_top = found(&[line(2000, 0, 0)], &beside, Some(2690), no).unwrap();
        assert_eq!(on_top, (vec![2000], vec![("shipping", 500), ("tax", 190)], 0));
        let within = found(&[line(2000, 0, 0)], &beside, Some(2500), no).unwrap();
        assert_eq!(within, (vec![2000], vec![("shipping", 500)], 190));
        let both = Beside { discount: minor(-300), ..Beside::default() };
        let raw = [line(2000, -100, 0), line(1000, -200, 0)];
        assert_eq!(
            found(&raw, &both, Some(2700), no).unwrap(),
            (vec![2000, 1000], vec![("discount", -300)], 0)
        );
        assert_eq!(
            found(&raw, &both, Some(2400), no).unwrap(),
            (vec![1900, 800], vec![("discount", -300)], 0)
        );
        let taxed = [line(2000, -100, 361)];
        assert_eq!(found(&taxed, &Beside::default(), Some(2261), no).unwrap(), (vec![2261], vec![], 0));
    }

    #[test]
    fn what_does_not_add_up_is_refused_unless_it_is_said_what_it_is() {
        let raw = [line(2000, 0, 0)];
        let refused = found(&raw, &Beside::default(), Some(2001), TotalRules::default()).unwrap_err();
        assert!(refused.contains("adds up to 20.00") && refused.contains("costs 20.01"), "{refused}");
        let as_tax = TotalRules { rest_as: Some(ComponentKind::Tax), ..TotalRules::default() };
        assert_eq!(found(&raw, &Beside::default(), Some(2380), as_tax).unwrap().1, [("tax", 380)]);
        assert!(found(&raw, &Beside::default(), Some(1999), as_tax).unwrap_err().contains("--rest-as"));
    }

    #[test]
    fn without_a_total_taxes_must_be_said() {
        let raw = [line(2000, 0, 190)];
        let beside = Beside::default();
        assert!(found(&raw, &beside, None, TotalRules::default()).unwrap_err().contains("--tax included"));
        for (tax, expected) in [(TaxIs::Added, (vec![2190], 0)), (TaxIs::Included, (vec![2000], 190))] {
            let rules = TotalRules { tax: Some(tax), ..TotalRules::default() };
            let (lines, components, within) = found(&raw, &beside, None, rules).unwrap();
            assert_eq!(((lines, within), components), (expected, vec![]));
        }
        assert_eq!(found(&[line(5, 0, 0)], &beside, None, TotalRules::default()).unwrap().0, [5]);
    }
}
