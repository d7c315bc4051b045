//! One row to one line of an order: every cell is checked by itself, so that what is wrong is told by its column.
//!
//! What a row says of its order may stand in another row of it, where the export is one of those (`Columns::continued`): then it is `None`.

use retailflow_engine::ids::{OrderId, TimestampMs};
use retailflow_engine::keys::{hex, sha256};
use retailflow_engine::money::Currency;
use retailflow_engine::wire::limits::NAME_MAX_CHARS;

use crate::column::Column;
use crate::columns::Columns;
use crate::fault::Fault;
use crate::number::Written;
use crate::preset::Returned;
use crate::records::{CELLS_MAX, ROW_MAX_BYTES, Record, RecordFault};
use crate::{Settings, shown};

/// What a good row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub customer: Option<String>,
    pub sku: String,
    pub quantity: u32,
    pub amount: Written,
    pub placed_at: Option<TimestampMs>,
    pub currency: Option<Currency>,
    /// In the order of [`Columns::parts`]; `None` where the cell is empty.
    pub parts: Vec<Option<Written>>,
    pub total: Option<Written>,
    pub refunded: Option<Written>,
    /// Units of it that came back.
    pub returned: u32,
}

/// Which order a row belongs to, as the file calls it, if that can be read. It is looked at even where the row is broken: a broken row
/// spoils the whole order.
pub(crate) fn order_of<'r>(record: &'r Record, columns: &Columns) -> Result<(&'r str, OrderId), Fault> {
    let column = &columns.order;
    let name = text(record, column)?;
    let id = columns.ids.read(name).map_err(|reason| Fault::in_column(&column.name, reason))?;
    Ok((name, id))
}

/// Whether a row says something in place of its order's id, so that it does not go on with the order before it.
pub(crate) fn names_another(record: &Record, columns: &Columns) -> bool {
    text(record, &columns.order).is_ok_and(|name| !name.is_empty())
}

/// Is the row whole: no broken quotes, as many cells as the header? Empty cells beyond it are those of a spreadsheet.
pub(crate) fn check_shape(record: &Record, columns: &Columns) -> Result<(), Fault> {
    if let Some(fault) = record.fault {
        return Err(Fault::of_row(explain(fault)));
    }
    let (found, expected) = (record.len(), columns.header.len());
    if found < expected {
        let text = format!("the cell is missing: the row has {found} cells, the header {expected}");
        return Err(Fault::in_column(columns.name_of(found), text));
    }
    if record.cells().skip(expected).any(|cell| !cell.trim_ascii().is_empty()) {
        let text = format!(
            "the row has {found} cells, the header {expected}: put a cell that holds the delimiter into quotes"
        );
        return Err(Fault::of_row(text));
    }
    Ok(())
}

/// Reads all other cells of a row that is whole.
pub(crate) fn read(record: &Record, columns: &Columns, settings: &Settings) -> Result<Row, Fault> {
    let numbers = settings.numbers;
    let in_column = |column: &Column, reason: String| Fault::in_column(&column.name, reason);
    let cell = |column: &Column| text(record, column);
    check_canceled(record, columns)?;
    let customer = customer(record, columns)?;
    let sku = sku(record, columns, settings)?;
    let quantity = match &columns.quantity {
        Some(column) => numbers.quantity(cell(column)?).map_err(|e| in_column(column, e))?,
        None => 1,
    };
    let amount = numbers.amount(cell(&columns.amount)?).map_err(|e| in_column(&columns.amount, e))?;
    let placed_at = match &columns.time {
        Some(column) => match cell(column)? {
            "" if columns.continued => None,
            text => Some(columns.times.read(text).map_err(|e| in_column(column, e))?),
        },
        None => None,
    };
    let currency = columns.currency.read(cell)?;
    if currency.is_none() && !columns.continued {
        let column = settings.names.currency.as_deref().unwrap_or_default();
        return Err(Fault::in_column(column, "it is empty; expected a code such as USD"));
    }
    let optional = |column: &Column| match cell(column)? {
        "" => Ok(None),
        text => numbers.amount(text).map(Some).map_err(|e| in_column(column, e)),
    };
    let parts = columns.parts.iter().map(|part| optional(&part.column)).collect::<Result<Vec<_>, Fault>>()?;
    let total = columns.total.as_ref().map_or(Ok(None), optional)?;
    let refunded = columns.refunded.as_ref().map_or(Ok(None), optional)?;
    let returned = match &columns.returned {
        Some((column, told)) => {
            let units = numbers.quantity_or_none(cell(column)?).map_err(|e| in_column(column, e))?;
            let units = match told {
                Returned::Units(_) => Some(units),
                Returned::Left(_) => quantity.checked_sub(units),
            };
            let units = units.filter(|units| *units <= quantity);
            units.ok_or_else(|| {
                in_column(column, format!("more units than the {quantity} that were ordered"))
            })?
        }
        None => 0,
    };
    Ok(Row { customer, sku, quantity, amount, placed_at, currency, parts, total, refunded, returned })
}

/// Does the shop say that the order is none any more? Placed, it would be shipped.
fn check_canceled(record: &Record, columns: &Columns) -> Result<(), Fault> {
    for (column, words) in &columns.canceled {
        let said = text(record, column)?;
        let says = match words {
            [] => !said.is_empty(),
            words => words.iter().any(|word| said.eq_ignore_ascii_case(word)),
        };
        if says {
            let text = format!("{}: the shop canceled the order; to import it would ship it", shown(said));
            return Err(Fault::in_column(&column.name, text));
        }
    }
    Ok(())
}

fn customer(record: &Record, columns: &Columns) -> Result<Option<String>, Fault> {
    let Some(column) = &columns.customer else { return Ok(None) };
    let text = text(record, column)?;
    if text.is_empty() && columns.continued {
        return Ok(None);
    }
    // A log is kept for ever, and an address is a person: it is replaced by a name that stays the same for the same address.
    if columns.continued && text.contains('@') {
        let hash = sha256(text.to_lowercase().as_bytes());
        return Ok(Some(format!("email-{}", hex(&hash[..16]))));
    }
    check_name(text).map_err(|reason| Fault::in_column(&column.name, reason))?;
    Ok(Some(text.to_owned()))
}

fn sku(record: &Record, columns: &Columns, settings: &Settings) -> Result<String, Fault> {
    let Some(last) = columns.sku.last() else { return Ok(settings.sku.clone()) };
    for column in &columns.sku {
        if text(record, column).is_ok_and(|text| !text.is_empty()) {
            let mut text = text(record, column)?;
            // A product's name, where it has no number, may be longer than a contract's.
            if columns.sku.len() > 1 && column == last {
                text = text.char_indices().nth(NAME_MAX_CHARS).map_or(text, |(end, _)| &text[..end]);
            }
            check_name(text).map_err(|reason| Fault::in_column(&column.name, reason))?;
            return Ok(text.to_owned());
        }
    }
    text(record, last).and_then(|_| Err(Fault::in_column(&last.name, "it is empty")))
}

fn explain(fault: RecordFault) -> String {
    match fault {
        RecordFault::TooLong => {
            format!("the row is longer than {ROW_MAX_BYTES} bytes; is a quote not closed?")
        }
        RecordFault::TooManyCells => format!("the row has more than {CELLS_MAX} cells"),
        RecordFault::OpenQuote { line } => {
            format!(
                "the quote opened in line {line} is never closed, so that all that follows belongs to its cell; if quotes mean nothing in \
                 this file, say --no-quoting"
            )
        }
        RecordFault::TextAfterQuote { line } => {
            format!(
                "text follows a closing quote in line {line}; within quotes a quote is written twice; if quotes mean nothing in this file, \
                 say --no-quoting"
            )
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

/// Is it a name as the contract has it?
pub fn check_name(text: &str) -> Result<(), String> {
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
