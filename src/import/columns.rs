//! Which cell of a row is what, by the names in the header.

use crate::import::records::Record;
use crate::import::shown;
use retailflow_server::exit::Failure;

/// The names of the columns, as the command line gives them.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The order's id.
    pub(crate) order: String,
    /// Who ordered.
    pub(crate) customer: String,
    /// How many units.
    pub(crate) quantity: String,
    /// What they cost together.
    pub(crate) amount: String,
    /// What was ordered.
    pub(crate) sku: Option<String>,
    /// When.
    pub(crate) time: Option<String>,
}

/// One column that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Which cell, from 0.
    pub(crate) index: usize,
    /// Its name.
    pub(crate) name: String,
}

/// Where what stands.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// All names in the header.
    pub(crate) header: Vec<String>,
    pub(crate) order: Column,
    pub(crate) customer: Column,
    pub(crate) quantity: Column,
    pub(crate) amount: Column,
    pub(crate) sku: Option<Column>,
    pub(crate) time: Option<Column>,
}

impl Columns {
    /// Finds the columns in the header; all that are missing or stand twice are told at once.
    pub(crate) fn find(header: &Record, names: &Names) -> Result<Self, Failure> {
        if header.fault.is_some() {
            let text = "its first line is not a header of column names: quotes are not closed, or it is far too long";
            return Err(Failure::usage(text));
        }
        let header: Vec<String> =
            header.cells().map(|cell| String::from_utf8_lossy(cell.trim_ascii()).into_owned()).collect();
        let mut problems = Vec::new();
        let mut column = |flag: &str, name: &str| {
            let mut found = header.iter().enumerate().filter(|(_, column)| *column == name);
            let first = found.next().map(|(index, _)| index);
            match (first, found.next()) {
                (None, _) => problems.push(format!("there is no column {} ({flag})", shown(name))),
                (Some(first), Some((second, _))) => problems.push(format!(
                    "the column {} ({flag}) stands twice, in cells {} and {}: rename one",
                    shown(name),
                    first + 1,
                    second + 1
                )),
                _ => {}
            }
            Column { index: first.unwrap_or_default(), name: name.to_owned() }
        };
        let columns = Self {
            order: column("--order-column", &names.order),
            customer: column("--customer-column", &names.customer),
            quantity: column("--quantity-column", &names.quantity),
            amount: column("--amount-column", &names.amount),
            sku: names.sku.as_ref().map(|name| column("--sku-column", name)),
            time: names.time.as_ref().map(|name| column("--time-column", name)),
            header: Vec::new(),
        };
        if !problems.is_empty() {
            return Err(Failure::usage(format!("{}; {}", problems.join("; "), there_are(&header))));
        }
        Ok(Self { header, ..columns })
    }

    /// The name of a cell of a row, for messages.
    pub(crate) fn name_of(&self, index: usize) -> &str {
        self.header.get(index).map_or("", String::as_str)
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
        [only] if only.contains([';', '\t']) => " (columns must be separated by commas)",
        _ => "",
    };
    format!("the columns there are: {}{more}{hint}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::records::Records;

    fn find(header: &str) -> Result<Columns, String> {
        let name = |text: &str| text.to_owned();
        let names = Names {
            order: name("order"),
            customer: name("customer"),
            quantity: name("quantity"),
            amount: name("amount"),
            sku: None,
            time: Some(name("date")),
        };
        let mut record = Record::default();
        Records::new(header.as_bytes()).unwrap().read(&mut record).unwrap();
        Columns::find(&record, &names).map_err(|failure| failure.to_string())
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let columns = find("date, amount ,\"quantity\",customer,other,other,order").unwrap();
        let index = |column: &Column| column.index;
        assert_eq!((index(&columns.order), index(&columns.amount)), (6, 1));
        assert_eq!(columns.time.as_ref().map(index), Some(0));
        assert_eq!(columns.name_of(2), "quantity");
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
        assert!(find("order;customer;quantity;amount;date").unwrap_err().contains("separated by commas"));
        assert!(find("\"order,customer").unwrap_err().contains("header"));
    }
}
