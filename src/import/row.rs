//! One row to one line of an order: every cell is checked by itself, so that what is wrong is told by its column.

use retailflow_engine::ids::{OrderId, TimestampMs};
use retailflow_engine::money::{Amount, Currency};
use retailflow_engine::wire::limits::{NAME_MAX_CHARS, QUANTITY_MAX};
use retailflow_engine::wire::time::parse_time;

use crate::import::columns::{Column, Columns};
use crate::import::records::{CELLS_MAX, ROW_MAX_BYTES, Record, RecordFault};
use crate::import::shown;

/// What amounts are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AmountUnit {
    /// Minor units, as 1177 for 11.77 USD
    Minor,
    /// Major units, as 11.77
    Major,
}

/// How cells are read.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// What amounts are counted in.
    pub(crate) unit: AmountUnit,
    /// Of which currency.
    pub(crate) currency: Currency,
    /// Stands before each order's id.
    pub(crate) order_prefix: String,
    /// What is ordered, where no column says so.
    pub(crate) sku: String,
}

/// What is wrong, and in which column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The column's name; none where it is the row as a whole.
    pub(crate) column: Option<String>,
    /// What is wrong, and what is expected.
    pub(crate) reason: String,
}

impl Fault {
    /// A fault of the row as a whole.
    pub(crate) fn of_row(reason: impl Into<String>) -> Self {
        Self { column: None, reason: reason.into() }
    }

    /// A fault in a column.
    pub(crate) fn in_column(name: &str, reason: impl Into<String>) -> Self {
        Self { column: Some(name.to_owned()), reason: reason.into() }
    }
}

/// What a good row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) customer: String,
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) amount: Amount,
    pub(crate) placed_at: Option<TimestampMs>,
}

/// Which order a row belongs to, if that can be read. It is looked at even where the row is broken: a broken row spoils
/// the whole order.
pub(crate) fn order_of(record: &Record, columns: &Columns, rules: &Rules) -> Result<OrderId, Fault> {
    let column = &columns.order;
    let id = text(record, column)?;
    let fault = |reason: String| Fault::in_column(&column.name, reason);
    if id.is_empty() {
        return Err(fault("it is empty".to_owned()));
    }
    let joined =
        if rules.order_prefix.is_empty() { None } else { Some(format!("{}{id}", rules.order_prefix)) };
    OrderId::parse(joined.as_deref().unwrap_or(id)).map_err(|error| fault(error.to_string()))
}

/// Is the row whole: no broken quotes, as many cells as the header?
pub(crate) fn check_shape(record: &Record, columns: &Columns) -> Result<(), Fault> {
    if let Some(fault) = record.fault {
        return Err(Fault::of_row(explain(fault)));
    }
    let (found, expected) = (record.len(), columns.header.len());
    if found < expected {
        let text = format!("the cell is missing: the row has {found} cells, the header {expected}");
        return Err(Fault::in_column(columns.name_of(found), text));
    }
    if found > expected {
        let text = format!(
            "the row has {found} cells, the header {expected}: put a cell that holds a comma into quotes"
        );
        return Err(Fault::of_row(text));
    }
    Ok(())
}

/// Reads all other cells of a row that is whole.
pub(crate) fn read(record: &Record, columns: &Columns, rules: &Rules) -> Result<Row, Fault> {
    let in_column = |column: &Column, reason: String| Fault::in_column(&column.name, reason);
    let customer = name(record, &columns.customer)?;
    let sku = match &columns.sku {
        Some(column) => name(record, column)?,
        None => rules.sku.clone(),
    };
    let quantity = quantity(text(record, &columns.quantity)?).map_err(|e| in_column(&columns.quantity, e))?;
    let amount = amount(text(record, &columns.amount)?, rules).map_err(|e| in_column(&columns.amount, e))?;
    let placed_at = match &columns.time {
        Some(column) => Some(time(text(record, column)?).map_err(|e| in_column(column, e))?),
        None => None,
    };
    Ok(Row { customer, sku, quantity, amount, placed_at })
}

fn explain(fault: RecordFault) -> String {
    match fault {
        RecordFault::TooLong => {
            format!("the row is longer than {ROW_MAX_BYTES} bytes; is a quote not closed?")
        }
        RecordFault::TooManyCells => format!("the row has more than {CELLS_MAX} cells"),
        RecordFault::OpenQuote { line } => {
            format!(
                "the quote opened in line {line} is never closed, so that all that follows belongs to its cell"
            )
        }
        RecordFault::TextAfterQuote { line } => {
            format!("text follows a closing quote in line {line}; within quotes a quote is written twice")
        }
    }
}

/// A cell as text, white space around it taken off.
fn text<'a>(record: &'a Record, column: &Column) -> Result<&'a str, Fault> {
    let fault = |reason: String| Fault::in_column(&column.name, reason);
    let cell = record.cell(column.index).ok_or_else(|| fault("the cell is missing".to_owned()))?;
    std::str::from_utf8(cell.trim_ascii())
        .map_err(|_| fault(format!("{} is not UTF-8", shown(&String::from_utf8_lossy(cell)))))
}

/// A cell that names something, within what the contract allows.
fn name(record: &Record, column: &Column) -> Result<String, Fault> {
    let text = text(record, column)?;
    check_name(text).map_err(|reason| Fault::in_column(&column.name, reason))?;
    Ok(text.to_owned())
}

/// Is it a name as the contract has it?
pub(crate) fn check_name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > NAME_MAX_CHARS && text.chars().count() > NAME_MAX_CHARS {
        return Err(format!("{} is too long: at most {NAME_MAX_CHARS} characters", shown(text)));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{} has control characters; take them out", shown(text)));
    }
    Ok(())
}

/// The digits of a whole number and whether it is below zero; `None` where it is none.
fn whole(text: &str) -> Option<(bool, &str)> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some((negative, digits))
}

fn quantity(text: &str) -> Result<u32, String> {
    let expected = format!("expected a whole number from 1 to {QUANTITY_MAX}");
    if text.is_empty() {
        return Err(format!("it is empty; {expected}"));
    }
    let Some((negative, digits)) = whole(text) else {
        return Err(format!("{} is not a whole number; {expected}", shown(text)));
    };
    // What does not fit into the type is beyond the range as well.
    let number: u32 = if negative { 0 } else { digits.parse().unwrap_or(u32::MAX) };
    if (1..=QUANTITY_MAX).contains(&number) {
        return Ok(number);
    }
    Err(format!("{} is out of range; {expected}", shown(text)))
}

fn amount(text: &str, rules: &Rules) -> Result<Amount, String> {
    if text.is_empty() {
        return Err("it is empty; a free line has the amount 0".to_owned());
    }
    let read = match rules.unit {
        AmountUnit::Major => Amount::parse_major(text, rules.currency).map_err(|error| error.to_string()),
        AmountUnit::Minor => minor(text),
    };
    let amount = read.map_err(|reason| format!("{}: {reason}", shown(text)))?;
    if amount.is_negative() {
        return Err(format!("{} is below zero; an order cannot have such a line", shown(text)));
    }
    Ok(amount)
}

fn minor(text: &str) -> Result<Amount, String> {
    let Some((negative, digits)) = whole(text) else {
        let hint = "expected a whole number of minor units; for decimals use --amount-unit major";
        return Err(format!("not an amount; {hint}"));
    };
    let number: i64 = digits.parse().unwrap_or(i64::MAX);
    Amount::new(if negative { -number } else { number }).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<TimestampMs, String> {
    let is_date = text.len() == "1997-01-12".len();
    let read = if is_date { parse_time(&format!("{text}T00:00:00Z")) } else { parse_time(text) };
    read.map_err(|_| {
        format!(
            "{} is not a time; expected a date such as 1997-01-12, or RFC 3339 such as 1997-01-12T08:26:00Z",
            shown(text)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(unit: AmountUnit, currency: &str) -> Rules {
        let currency = Currency::parse(currency).unwrap();
        Rules { unit, currency, order_prefix: String::new(), sku: "cd".to_owned() }
    }

    #[test]
    fn quantities_are_whole_and_in_range() {
        for (text, expected) in [("1", 1), ("+7", 7), ("0099", 99), ("1000000", QUANTITY_MAX)] {
            assert_eq!(quantity(text), Ok(expected), "{text}");
        }
        let cases =
            [("", "empty"), ("0", "range"), ("-3", "range"), ("1000001", "range"), ("1.5", "not a whole")];
        for (text, part) in cases {
            assert!(quantity(text).unwrap_err().contains(part), "{text}");
        }
        assert!(quantity(&"9".repeat(1000)).unwrap_err().len() < 200);
    }

    #[test]
    fn amounts_are_exact() {
        let usd = rules(AmountUnit::Minor, "USD");
        for (text, expected) in
            [("1177", 1177), ("0", 0), ("-0", 0), ("9007199254740991", 9_007_199_254_740_991)]
        {
            assert_eq!(amount(text, &usd).map(Amount::minor), Ok(expected), "{text}");
        }
        let cases = [
            ("", "empty"),
            ("-1", "below zero"),
            ("11.77", "--amount-unit major"),
            ("9007199254740992", "2^53"),
            ("99999999999999999999", "2^53"),
            ("-99999999999999999999", "2^53"),
            ("1e3", "not an amount"),
        ];
        for (text, part) in cases {
            let found = amount(text, &usd).unwrap_err();
            assert!(found.contains(part), "{text}: {found}");
        }
        assert_eq!(amount("11.77", &rules(AmountUnit::Major, "USD")).map(Amount::minor), Ok(1177));
        assert_eq!(amount("11", &rules(AmountUnit::Major, "JPY")).map(Amount::minor), Ok(11));
        assert!(amount("-0.01", &rules(AmountUnit::Major, "USD")).unwrap_err().contains("below zero"));
        assert!(amount("1.234", &rules(AmountUnit::Major, "USD")).unwrap_err().contains("decimals"));
    }

    #[test]
    fn a_date_is_midnight_in_utc() {
        let midnight = TimestampMs(853_027_200_000);
        assert_eq!(time("1997-01-12"), Ok(midnight));
        assert_eq!(time("1997-01-12T01:00:00+01:00"), Ok(midnight));
        for bad in ["", "12.01.1997", "1997-13-01", "1997-02-29", "1997/01/12", "1997-01-12 08:26", "ééééé"]
        {
            assert!(time(bad).unwrap_err().contains("1997-01-12"), "{bad}");
        }
    }
}
