//! What is not imported is told: on standard error by line and column, and in a file of its own, as CSV, to be put right
//! and imported again.

use std::io::Write;

use serde::Serialize;

use crate::cli::Output;
use crate::import::records::Record;
use crate::import::row::Fault;
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
        self.record.as_ref().map_or(0, Record::size_bytes)
    }
}

/// Where rejected rows go.
pub(crate) struct Rejects<'a> {
    told: &'a mut dyn Write,
    output: Output,
    file: Option<csv::Writer<Box<dyn Write + 'a>>>,
    columns: usize,
    /// How many rows were rejected.
    pub(super) rows: u64,
}

impl<'a> Rejects<'a> {
    /// Tells rejected rows on `told`, and writes them into `file`.
    pub(crate) fn new(told: &'a mut dyn Write, output: Output, file: Option<Box<dyn Write + 'a>>) -> Self {
        let file = file.map(|file| csv::WriterBuilder::new().flexible(true).from_writer(file));
        Self { told, output, file, columns: 0, rows: 0 }
    }

    /// Writes the header, so that a file without rows says so.
    pub(super) fn begin(&mut self, header: &Record) -> Result<(), Failure> {
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
        match self.output {
            Output::Table => self.tell(&text),
            Output::Json => {
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
        let cells = record.cells().chain(std::iter::repeat_n(&b""[..], missing));
        file.write_record(cells.chain([last.as_bytes()]))
            .or_exit(ExitStatus::Unreachable, || "cannot write the file of rejected rows")
    }

    /// Writes what is left, and says how the import went.
    pub(crate) fn end(&mut self, summary: &super::Summary) -> Result<(), Failure> {
        if let Some(file) = &mut self.file {
            file.flush().or_exit(ExitStatus::Unreachable, || "cannot write the file of rejected rows")?;
        }
        match self.output {
            Output::Table => self.tell(&summary.to_string()),
            Output::Json => self.tell_json(summary),
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
