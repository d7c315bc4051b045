//! Which cell of a row is what, by the names in the header.

use retailflow_engine::wire::command::ComponentKind;

use crate::column::Column;
use crate::currency::CurrencyRule;
use crate::order_id::OrderIds;
use crate::preset::{Layout, Returned, Scope};
use crate::records::Record;
use crate::when::Times;
use crate::{AmountPer, Settings, shown};
use retailflow_server::exit::Failure;

/// A column of amounts beside the price.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) column: Column,
    pub(crate) kind: ComponentKind,
    pub(crate) scope: Scope,
}

/// Where what stands.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// All names in the header.
    pub(crate) header: Vec<String>,
    pub(crate) order: Column,
    pub(crate) ids: OrderIds,
    pub(crate) customer: Option<Column>,
    /// Who ordered where the order has no cell that says it; none: that is a fault.
    pub(crate) customer_otherwise: Option<&'static str>,
    pub(crate) quantity: Option<Column>,
    pub(crate) amount: Column,
    pub(crate) per: AmountPer,
    /// The first that is not empty says it; without any it is the same for all rows.
    pub(crate) sku: Vec<Column>,
    pub(crate) time: Option<Column>,
    pub(crate) times: Times,
    pub(crate) currency: CurrencyRule,
    pub(crate) parts: Vec<Part>,
    pub(crate) total: Option<Column>,
    pub(crate) refunded: Option<Column>,
    pub(crate) returned: Option<(Column, Returned)>,
    pub(crate) canceled: Vec<(Column, &'static [&'static str])>,
    /// What is said of an order stands in its first row, and may be left empty in the others.
    pub(crate) continued: bool,
}

/// Looks names up, and gathers what is wrong.
struct Finder<'a> {
    header: &'a [String],
    problems: Vec<String>,
}

impl Finder<'_> {
    fn required(&mut self, flag: &str, name: &str) -> Column {
        let found = self.optional(flag, name);
        found.unwrap_or_else(|| {
            self.problems.push(format!("there is no column {} ({flag})", shown(name)));
            Column { index: 0, name: name.to_owned() }
        })
    }

    fn optional(&mut self, flag: &str, name: &str) -> Option<Column> {
        let mut found = self.header.iter().enumerate().filter(|(_, column)| *column == name);
        let (index, _) = found.next()?;
        if let Some((second, _)) = found.next() {
            self.problems.push(format!(
                "the column {} ({flag}) stands twice, in cells {} and {}: rename one",
                shown(name),
                index + 1,
                second + 1
            ));
        }
        Some(Column { index, name: name.to_owned() })
    }

    /// The column that was named, else the first of the preset's.
    fn given_or(&mut self, flag: &str, given: Option<&String>, known: &[&str]) -> Option<Column> {
        match given {
            Some(name) => Some(self.required(flag, name)),
            None => known.iter().find_map(|name| self.optional(flag, name)),
        }
    }

    fn sure(&mut self, flag: &str, given: Option<&String>, known: &[&str]) -> Column {
        let found = self.given_or(flag, given, known);
        found.unwrap_or_else(|| self.required(flag, known.first().copied().unwrap_or_default()))
    }
}

impl Columns {
    /// Finds the columns in the header; all that are missing or stand twice are told at once.
    pub(crate) fn find(header: &Record, settings: &Settings) -> Result<Self, Failure> {
        let file = &settings.file;
        if header.fault.is_some() {
            let text = "its first line is not a header of column names: quotes are not closed, or it is far too long";
            return Err(Failure::usage(format!("{file}: {text}")));
        }
        let mut header: Vec<String> =
            header.cells().map(|cell| String::from_utf8_lossy(cell.trim_ascii()).into_owned()).collect();
        // Spreadsheets write empty cells at the end of all rows.
        while header.len() > 1 && header.last().is_some_and(String::is_empty) {
            header.pop();
        }
        let layout = settings.preset.map(|preset| preset.layout(&header));
        let mut finder = Finder { header: &header, problems: Vec::new() };
        let find = &mut finder;
        let names = &settings.names;
        let known = |get: fn(&Layout) -> &'static [&'static str]| layout.map_or(&[][..], get);
        let amounts: Vec<&str> =
            layout.map_or(&[][..], |layout| layout.amount).iter().map(|(name, _)| *name).collect();
        let order = find.sure("--order-column", names.order.as_ref(), known(|l| l.order));
        let customer = find.given_or("--customer-column", names.customer.as_ref(), known(|l| l.customer));
        let quantity = find.given_or("--quantity-column", names.quantity.as_ref(), known(|l| l.quantity));
        let amount = find.sure("--amount-column", names.amount.as_ref(), &amounts);
        let sku = match &names.sku {
            Some(name) => vec![find.required("--sku-column", name)],
            None => known(|l| l.sku).iter().filter_map(|name| find.optional("--sku-column", name)).collect(),
        };
        let time = find.given_or("--time-column", names.time.as_ref(), known(|l| l.time));
        let currency = find.given_or("--currency-column", names.currency.as_ref(), known(|l| l.currency));
        let parts = layout.map_or(&[][..], |layout| layout.parts).iter().filter_map(|(name, kind, scope)| {
            let column = find.optional("--preset", name)?;
            Some(Part { column, kind: *kind, scope: *scope })
        });
        let parts: Vec<Part> = parts.collect();
        let total = find.given_or("--preset", None, known(|l| l.total));
        let refunded = find.given_or("--preset", None, known(|l| l.refunded));
        let returned = layout.and_then(|layout| layout.returned).and_then(|told| {
            let (Returned::Units(name) | Returned::Left(name)) = told;
            find.optional("--preset", name).map(|column| (column, told))
        });
        let canceled = layout
            .map_or(&[][..], |layout| layout.canceled)
            .iter()
            .filter_map(|(name, words)| find.optional("--preset", name).map(|column| (column, *words)));
        let canceled = canceled.collect();
        if layout.is_some_and(|layout| !layout.quantity.is_empty()) && quantity.is_none() {
            find.problems.push("there is no column of quantities (--quantity-column)".to_owned());
        }
        if !finder.problems.is_empty() {
            let problems = finder.problems.join("; ");
            return Err(Failure::usage(format!("{file}: {problems}; {}", there_are(&header))));
        }
        let per_of = |layout: &Layout| {
            let known = layout.amount.iter().find(|(name, _)| *name == amount.name);
            known.map(|(_, per)| *per)
        };
        let per = settings.per.or_else(|| layout.and_then(per_of)).unwrap_or(AmountPer::Row);
        // A preset's column of currencies is one that is to be used, unless the caller says the currency: then they must agree.
        let currency = if settings.currency.is_some() { None } else { currency };
        let currency = CurrencyRule::find(&header, currency, &amount, settings)?;
        let mut times = settings.times.clone();
        if let (true, None, Some(layout)) = (times.formats.is_empty(), &names.time, layout) {
            times.formats = layout.time_formats.iter().map(|format| (*format).to_owned()).collect();
        }
        let mut ids = settings.ids.clone();
        if let (true, Some(layout)) = (ids.strip.is_empty(), layout) {
            ids.strip = layout.strip.to_owned();
        }
        let customer_otherwise = layout.and_then(|layout| layout.customer_otherwise);
        Ok(Self {
            order,
            ids,
            customer,
            customer_otherwise,
            quantity,
            amount,
            per,
            sku,
            time,
            times,
            currency,
            parts,
            total,
            refunded,
            returned,
            canceled,
            continued: layout.is_some(),
            header,
        })
    }

    /// The name of a cell of a row, for messages.
    pub(crate) fn name_of(&self, index: usize) -> &str {
        self.header.get(index).map_or("", String::as_str)
    }

    /// Cells that hold something else than a currency.
    pub(crate) fn used(&self) -> Vec<usize> {
        let single = [
            Some(&self.order),
            self.customer.as_ref(),
            self.quantity.as_ref(),
            Some(&self.amount),
            self.time.as_ref(),
        ];
        single.into_iter().flatten().chain(&self.sku).map(|column| column.index).collect()
    }
}

/// Names the columns there are, the first ones where they are many.
fn there_are(header: &[String]) -> String {
    const SHOWN_MAX: usize = 30;
    let names: Vec<String> = header.iter().take(SHOWN_MAX).map(|name| shown(name)).collect();
    let more = match header.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let hint = match header {
        [only] if only.contains('\t') => " (its columns look separated by tabs: --delimiter tab)",
        [only] if only.contains(';') => " (its columns look separated by ';': --delimiter ';')",
        [only] if only.contains('|') => " (its columns look separated by '|': --delimiter '|')",
        [only] if only.contains(',') => " (its columns look separated by commas: --delimiter ',')",
        _ => "",
    };
    format!("the columns there are: {}{more}{hint}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Names;
    use crate::records::Records;
    use crate::tests::settings;

    fn find(header: &str) -> Result<Columns, String> {
        let mut settings = settings();
        let name = |text: &str| Some(text.to_owned());
        settings.names = Names {
            order: name("order"),
            customer: name("customer"),
            quantity: name("quantity"),
            amount: name("amount"),
            time: name("date"),
            ..Names::default()
        };
        let mut record = Record::default();
        Records::new(header.as_bytes(), settings.dialect).unwrap().read(&mut record).unwrap();
        Columns::find(&record, &settings).map_err(|failure| failure.to_string())
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let columns = find("date, amount ,\"quantity\",customer,other,other,order,,").unwrap();
        assert_eq!((columns.order.index, columns.amount.index), (6, 1));
        assert_eq!(columns.time.as_ref().map(|column| column.index), Some(0));
        assert_eq!((columns.name_of(2), columns.header.len()), ("quantity", 7));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let text = find("order,order,Customer,quantity,date").unwrap_err();
        for part in [
            "the column \"order\" (--order-column) stands twice, in cells 1 and 2",
            "there is no column \"customer\" (--customer-column)",
            "there is no column \"amount\" (--amount-column)",
            "the columns there are: \"order\", \"order\", \"Customer\", \"quantity\", \"date\"",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(find("order;customer;quantity;amount;date").unwrap_err().contains("--delimiter ';'"));
        assert!(find("order\tcustomer\tquantity").unwrap_err().contains("--delimiter tab"));
        assert!(find("\"order,customer").unwrap_err().contains("header"));
    }
}
