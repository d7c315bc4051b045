//! The first of two passes: which orders there are, how many rows each has, and which are not to be imported.
//!
//! Invariant: before the first command is written it is known of each order how many of its rows are still to come, and whether one of
//! them, or one that may belong to it, is bad. So an order is written whole or not at all, wherever in the file its rows stand.

use std::collections::HashMap;

use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::keys::sha256;
use retailflow_server::exit::Failure;

use crate::columns::Columns;
use crate::currency::Search;
use crate::records::Record;
use crate::{Settings, row};

/// The first half of the SHA-256 of `tenant/order`. Frozen: commands that were imported earlier are known by it.
pub(super) type OrderKey = [u8; 16];

pub(super) fn order_key(tenant: &TenantId, order: &OrderId) -> OrderKey {
    let order = OrderRef { tenant: tenant.clone(), order: order.clone() };
    let mut key = [0; 16];
    key.copy_from_slice(&sha256(order.to_string().as_bytes())[..16]);
    key
}

/// Why an order is not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// This row of it.
    Row(u64),
    /// This row stands between rows of it, and it cannot be told whose it is.
    Between(u64),
    /// This row stands behind one of it and names no order.
    Behind(u64),
    /// Broken quotes in this line swallowed a row of it, or what looks like one.
    Swallowed(u64),
    /// Two names became its id, in these lines.
    TwoNames(u64, u64),
    /// This line repeats an earlier one, in another place of the file.
    Repeated(u64, u64),
    /// At this row more would have to be held in memory than is allowed.
    TooMuch(u64),
}

impl Why {
    pub(super) fn text(self, order_column: &str) -> String {
        match self {
            Self::Row(line) => format!("line {line} is bad"),
            Self::Between(line) => format!("line {line}, between its rows, is bad and may belong to it"),
            Self::Behind(line) => {
                format!(
                    "line {line}, behind a row of it, does not say which order it belongs to and may be its own"
                )
            }
            Self::Swallowed(line) => {
                format!("the row that begins in line {line} has broken quotes and may hold a row of it")
            }
            Self::TwoNames(first, line) => {
                format!("lines {first} and {line} call it by two names that become the same id")
            }
            Self::Repeated(first, line) => format!(
                "line {line} repeats line {first} in another place of the file: if that is a second line of the order, put its rows together; \
                 otherwise take one out"
            ),
            Self::TooMuch(line) => format!(
                "at line {line} the rows of orders that were begun and not completed need too much memory; sort the file by {order_column}"
            ),
        }
    }
}

/// What is known of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Rows that name it; in the second pass, those still to come.
    pub(super) rows: u32,
    /// Other orders' rows stand between its own.
    pub(super) apart: bool,
    pub(super) why: Option<Why>,
    line: u64,
    /// Of the name that the file has for it.
    name: [u8; 8],
}

/// All orders of a file.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) orders: HashMap<OrderKey, Seen>,
    /// The file's size in rows and bytes, so that it can be seen whether it is the same in the second pass.
    pub(super) size: Size,
    /// The order of the last row that said one.
    last: Option<OrderKey>,
    /// A row behind it that did not.
    unclear: Option<u64>,
}

/// How large a file is, as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    rows: u64,
    bytes: u64,
    last_line: u64,
}

impl Size {
    pub(super) fn add(&mut self, record: &Record) {
        self.rows += 1;
        self.bytes += record.size_bytes() as u64;
        self.last_line = record.last_line;
    }

    /// Whether the other one is one row larger.
    pub(super) const fn is_before(&self, other: &Self) -> bool {
        self.rows + 1 == other.rows
    }
}

impl Survey {
    /// Looks at the next row.
    ///
    /// # Errors
    /// It is so broken that no order of the file is sure to be whole.
    pub(super) fn observe(
        &mut self,
        record: &Record,
        columns: &Columns,
        settings: &Settings,
        search: &mut Search,
    ) -> Result<(), Failure> {
        self.size.add(record);
        if record.is_blank() {
            return Ok(());
        }
        search.observe(record);
        let shape = row::check_shape(record, columns);
        let (name, id) = match row::order_of(record, columns) {
            Ok(found) => found,
            Err(_) => {
                self.unclear.get_or_insert(record.line);
                // What names no order may go on with the one before it; what names another one badly does not.
                if !row::names_another(record, columns)
                    && let Some(last) = self.last
                {
                    self.spoil(last, Why::Behind(record.line));
                }
                return self.swallowed(record, columns, settings);
            }
        };
        let key = order_key(&settings.tenant, &id);
        let mut name_hash = [0; 8];
        name_hash.copy_from_slice(&sha256(name.as_bytes())[..8]);
        let fresh = Seen { rows: 0, apart: false, why: None, line: record.line, name: name_hash };
        let seen = self.orders.entry(key).or_insert(fresh);
        if seen.rows == 0 {
            (seen.line, seen.name) = (record.line, name_hash);
        }
        seen.rows = seen.rows.saturating_add(1);
        if seen.name != name_hash {
            seen.why.get_or_insert(Why::TwoNames(seen.line, record.line));
        }
        if let Some(line) = self.unclear.take()
            && self.last == Some(key)
        {
            seen.why.get_or_insert(Why::Between(line));
        }
        if seen.rows > 1 && self.last != Some(key) {
            seen.apart = true;
        }
        let bad = shape.is_err() || row::read(record, columns, settings).is_err();
        if bad {
            seen.why.get_or_insert(Why::Row(record.line));
        }
        self.last = Some(key);
        if bad { self.swallowed(record, columns, settings) } else { Ok(()) }
    }

    fn spoil(&mut self, key: OrderKey, why: Why) {
        let fresh = Seen { rows: 0, apart: false, why: None, line: 0, name: [0; 8] };
        self.orders.entry(key).or_insert(fresh).why.get_or_insert(why);
    }

    /// A bad row of many lines may have swallowed other rows: their orders are not sure to be whole.
    fn swallowed(&mut self, record: &Record, columns: &Columns, settings: &Settings) -> Result<(), Failure> {
        if record.line == record.last_line {
            return Ok(());
        }
        if record.truncated {
            let (line, last_line, file) = (record.line, record.last_line, &settings.file);
            return Err(Failure::usage(format!(
                "{file}: lines {line} to {last_line} are one row by their quotes, and far too long for one, so that it cannot be told whose \
                 rows it swallowed: nothing is imported. Close the quote that is open in line {line}, or say --no-quoting"
            )));
        }
        let delimiter = settings.dialect.delimiter;
        let mut text = Vec::with_capacity(record.size_bytes() + record.len());
        for cell in record.cells() {
            text.extend_from_slice(cell);
            text.push(delimiter);
        }
        for line in text.split(|byte| matches!(byte, b'\n' | b'\r')).skip(1) {
            let Some(cell) = line.split(|byte| *byte == delimiter).nth(columns.order.index) else { continue };
            let Ok(name) = std::str::from_utf8(cell) else { continue };
            if let Ok(id) = columns.ids.read(name.trim().trim_matches('"')) {
                self.spoil(order_key(&settings.tenant, &id), Why::Swallowed(record.line));
            }
        }
        Ok(())
    }
}
