//! What is not imported is told: on standard error by line and column, and in a file of its own, as CSV, to be put right
//! and imported again.

use std::io::Write;

use retailflow_engine::ids::OrderId;
use serde::Serialize;

use crate::fault::Fault;
use crate::records::{Dialect, Record};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// The column that the file of rejected rows has beside those of the input.
const REASON_COLUMN: &str = "reject_reason";

/// A row that is held back until its order is complete.
#[derive(Debug)]
pub(super) struct PendingRow {
    line: u64,
    last_line: u64,
    /// Kept only where a file wants it.
    record: Option<Record>,
}

impl PendingRow {
    /// How many bytes it keeps.
    pub(super) fn size_bytes(&self) -> usize {
        self.record.as_ref().map_or(size_of::<Self>(), |record| size_of::<Self>() + record.size_bytes())
    }

    /// The line it begins in.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }
}

/// Where rejected rows go.
pub struct Rejects<'a> {
    told: &'a mut dyn Write,
    is_json: bool,
    unopened: Option<Box<dyn Write + 'a>>,
    file: Option<csv::Writer<Box<dyn Write + 'a>>>,
    dialect: Dialect,
    columns: usize,
    /// How many rows were rejected.
    pub(super) rows: u64,
}

impl<'a> Rejects<'a> {
    /// Tells rejected rows on `told`, and writes them into `file`.
    pub fn new(told: &'a mut dyn Write, is_json: bool, file: Option<Box<dyn Write + 'a>>) -> Self {
        Self { told, is_json, unopened: file, file: None, dialect: Dialect::default(), columns: 0, rows: 0 }
    }

    /// Writes the header, so that a file without rows says so. The file is written as the input is, to be imported in the same way.
    pub(super) fn begin(&mut self, header: &Record, dialect: Dialect) -> Result<(), Failure> {
        self.dialect = dialect;
        let style = if dialect.quoting { csv::QuoteStyle::Necessary } else { csv::QuoteStyle::Never };
        let mut writer = csv::WriterBuilder::new();
        writer.flexible(true).delimiter(dialect.delimiter).quote_style(style);
        self.file = self.unopened.take().map(|file| writer.from_writer(file));
        self.columns = header.len();
        self.write(Some(header), REASON_COLUMN)
    }

    /// Holds a row for [`Self::reject_pending`].
    pub(super) fn keep(&self, record: &Record) -> PendingRow {
        let kept = self.file.is_some().then(|| record.clone());
        PendingRow { line: record.line, last_line: record.last_line, record: kept }
    }

    /// Rejects a row.
    pub(super) fn reject(&mut self, record: &Record, fault: &Fault) -> Result<(), Failure> {
        self.reject_at(record.line, record.last_line, Some(record), fault)
    }

    /// Rejects a row that was kept.
    pub(super) fn reject_pending(&mut self, row: &PendingRow, fault: &Fault) -> Result<(), Failure> {
        self.reject_at(row.line, row.last_line, row.record.as_ref(), fault)
    }

    fn reject_at(
        &mut self,
        line: u64,
        last_line: u64,
        record: Option<&Record>,
        fault: &Fault,
    ) -> Result<(), Failure> {
        self.rows += 1;
        let mut place =
            if line == last_line { format!("line {line}") } else { format!("lines {line} to {last_line}") };
        if let Some(column) = &fault.column {
            place.push_str(&format!(", column {}", super::shown(column)));
        }
        let text = format!("{place}: {}", fault.reason);
        match self.is_json {
            false => self.tell(&text),
            true => {
                let column = fault.column.as_deref();
                self.tell_json(&RejectLine {
                    kind: "reject",
                    line,
                    last_line,
                    column,
                    reason: &fault.reason,
                });
            }
        }
        self.write(record, &text)
    }

    /// Tells of an order that is imported what is not.
    pub(super) fn left_out(&mut self, order: &OrderId, line: u64, reason: &str) {
        match self.is_json {
            false => {
                self.tell(&format!("line {line}: of order {}: {reason}", super::shown(order.as_str())));
            }
            true => {
                self.tell_json(&LeftOut { kind: "left_out", line, order: order.as_str(), reason });
            }
        }
    }

    /// Says a line about the import. Nobody listening is no reason to stop.
    pub(super) fn tell(&mut self, text: &str) {
        let _ = self.told.write_all(format!("{text}\n").as_bytes());
    }

    fn tell_json(&mut self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            self.tell(&text);
        }
    }

    fn write(&mut self, record: Option<&Record>, last: &str) -> Result<(), Failure> {
        let (Some(file), Some(record)) = (&mut self.file, record) else { return Ok(()) };
        let missing = self.columns.saturating_sub(record.len());
        // What a spreadsheet put behind the last column would push the reason out of its own.
        let cells = record.cells().enumerate().filter(|(at, cell)| *at < self.columns || !cell.is_empty());
        let cells = cells.map(|(_, cell)| cell).chain(std::iter::repeat_n(&b""[..], missing));
        let mut last = last.to_owned();
        if !self.dialect.quoting {
            // Nothing can be quoted there.
            last = last.replace(char::from(self.dialect.delimiter), " ");
        }
        file.write_record(cells.chain([last.as_bytes()]))
            .or_exit(ExitStatus::Unreachable, || "cannot write the file of rejected rows")
    }

    /// Writes what is left, and says how the import went.
    pub fn end(&mut self, summary: &super::Summary) -> Result<(), Failure> {
        if let Some(file) = &mut self.file {
            file.flush().or_exit(ExitStatus::Unreachable, || "cannot write the file of rejected rows")?;
        }
        match self.is_json {
            false => self.tell(&summary.to_string()),
            true => self.tell_json(summary),
        }
        Ok(())
    }
}

/// A rejected row as JSON.
#[derive(Serialize)]
struct RejectLine<'a> {
    kind: &'static str,
    line: u64,
    last_line: u64,
    column: Option<&'a str>,
    reason: &'a str,
}

/// What is left out of an order, as JSON.
#[derive(Serialize)]
struct LeftOut<'a> {
    kind: &'static str,
    line: u64,
    order: &'a str,
    reason: &'a str,
}
