//! Adjacent rows to orders, orders to commands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write;

use retailflow_engine::ids::{CommandId, CommandKey, OrderId, OrderRef, Source, TimestampMs};
use retailflow_engine::keys::{hex, sha256};
use retailflow_engine::wire::command::{Line, PlaceData};
use retailflow_engine::wire::limits::{BODY_MAX_BYTES, LINES_MAX};
use retailflow_engine::wire::validate::validate;
use retailflow_engine::wire::{CommandData, CommandEvent};

use crate::import::columns::Columns;
use crate::import::records::Record;
use crate::import::rejects::{PendingRow, Rejects};
use crate::import::row::{self, Fault, Row};
use crate::import::{Settings, Summary, shown};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Who made the commands.
const SOURCE: &str = "/import/csv";
/// Most bytes of one order's rows that are kept for the file of rejected rows.
const PENDING_MAX_BYTES: usize = 8 * 1024 * 1024;

/// The first half of the SHA-256 of `tenant/order`. Frozen: commands that were imported earlier are known by it.
type OrderKey = [u8; 16];

fn order_key(order: &OrderRef) -> OrderKey {
    let mut key = [0; 16];
    key.copy_from_slice(&sha256(order.to_string().as_bytes())[..16]);
    key
}

/// The order whose rows are being read.
struct Open {
    order: OrderRef,
    key: OrderKey,
    customer: String,
    customer_line: u64,
    placed_at: Option<TimestampMs>,
    lines: Vec<Line>,
    pending: Vec<PendingRow>,
    pending_bytes: usize,
    /// Why it is not imported, once that is known; then nothing is pending any more.
    spoilt: Option<String>,
    /// A row behind its last one that does not say which order it belongs to.
    unclear_line: Option<u64>,
}

/// Takes rows and writes commands.
pub(super) struct Orders<'a, 'r, W> {
    settings: &'a Settings,
    columns: &'a Columns,
    out: W,
    rejects: &'a mut Rejects<'r>,
    source: Source,
    /// Each order seen, with the line it began in.
    seen: HashMap<OrderKey, u64>,
    open: Option<Open>,
    summary: Summary,
}

impl<'a, 'r, W: Write> Orders<'a, 'r, W> {
    pub(super) fn new(
        settings: &'a Settings,
        columns: &'a Columns,
        out: W,
        rejects: &'a mut Rejects<'r>,
    ) -> Self {
        let source = Source::parse(SOURCE).unwrap_or_else(|e| unreachable!("a constant: {e}"));
        let summary = Summary::new(settings.rules.currency);
        Self { settings, columns, out, rejects, source, seen: HashMap::new(), open: None, summary }
    }

    /// Takes the next row.
    pub(super) fn take(&mut self, record: &Record) -> Result<(), Failure> {
        let rules = &self.settings.rules;
        let shape = row::check_shape(record, self.columns);
        let id = match row::order_of(record, self.columns, rules) {
            Ok(id) => id,
            Err(fault) => {
                if let Some(open) = &mut self.open {
                    open.unclear_line.get_or_insert(record.line);
                }
                return self.rejects.reject(record, &shape.err().unwrap_or(fault));
            }
        };
        let row = shape.and_then(|()| row::read(record, self.columns, rules));
        let mut open = match self.open.take() {
            Some(mut open) if open.order.order == id => {
                if let Some(line) = open.unclear_line.take() {
                    let why = format!("line {line}, between its rows, is bad and may belong to it");
                    self.spoil(&mut open, why)?;
                }
                open
            }
            previous => {
                self.close(previous)?;
                self.begin(id, record)
            }
        };
        self.add(&mut open, row, record)?;
        self.open = Some(open);
        Ok(())
    }

    /// Ends with the last order.
    pub(super) fn finish(mut self) -> Result<Summary, Failure> {
        let last = self.open.take();
        self.close(last)?;
        self.out.flush().map_err(Failure::output)?;
        self.summary.rejected_rows = self.rejects.rows;
        Ok(self.summary)
    }

    fn begin(&mut self, id: OrderId, record: &Record) -> Open {
        let order = OrderRef { tenant: self.settings.tenant.clone(), order: id };
        let key = order_key(&order);
        let spoilt = match self.seen.entry(key) {
            Entry::Occupied(first) => Some(format!(
                "it began in line {} already; the rows of an order must stand together (sort the file by {})",
                first.get(),
                shown(&self.columns.order.name)
            )),
            Entry::Vacant(entry) => {
                entry.insert(record.line);
                None
            }
        };
        Open {
            order,
            key,
            customer: String::new(),
            customer_line: 0,
            placed_at: None,
            lines: Vec::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            spoilt,
            unclear_line: None,
        }
    }

    fn add(&mut self, open: &mut Open, row: Result<Row, Fault>, record: &Record) -> Result<(), Failure> {
        if let Some(why) = &open.spoilt {
            let fault = row.err().unwrap_or_else(|| self.because(open, why));
            return self.rejects.reject(record, &fault);
        }
        match row.and_then(|row| self.fitting(open, row, record)) {
            Ok(row) => {
                if open.lines.is_empty() {
                    open.customer.clone_from(&row.customer);
                    open.customer_line = record.line;
                    open.placed_at = row.placed_at;
                }
                let line_id = (open.lines.len() + 1).to_string();
                let Row { sku, quantity, amount: amount_minor, .. } = row;
                open.lines.push(Line { line_id, sku, quantity, amount_minor, components: Vec::new() });
                let row = self.rejects.keep(record);
                open.pending_bytes += row.size_bytes();
                open.pending.push(row);
                Ok(())
            }
            Err(fault) => {
                self.spoil(open, format!("line {} is bad", record.line))?;
                self.rejects.reject(record, &fault)
            }
        }
    }

    /// Does a good row fit to those before it?
    fn fitting(&self, open: &Open, row: Row, record: &Record) -> Result<Row, Fault> {
        if open.lines.is_empty() {
            return Ok(row);
        }
        if row.customer != open.customer {
            let (now, before, line) = (shown(&row.customer), shown(&open.customer), open.customer_line);
            let text = format!("{now} is not the customer of the same order in line {line}, {before}");
            return Err(Fault::in_column(&self.columns.customer.name, text));
        }
        if open.lines.len() == LINES_MAX {
            return Err(Fault::of_row(format!("an order has at most {LINES_MAX} lines")));
        }
        if open.pending_bytes + record.size_bytes() > PENDING_MAX_BYTES {
            return Err(Fault::of_row(format!(
                "the rows of an order have at most {PENDING_MAX_BYTES} bytes"
            )));
        }
        Ok(row)
    }

    fn because(&self, open: &Open, why: &str) -> Fault {
        let text = format!("order {} is not imported: {why}", shown(open.order.order.as_str()));
        Fault::in_column(&self.columns.order.name, text)
    }

    /// The order is not imported: its rows so far are rejected, those to come will be.
    fn spoil(&mut self, open: &mut Open, why: String) -> Result<(), Failure> {
        if open.spoilt.is_some() {
            return Ok(());
        }
        let fault = self.because(open, &why);
        self.reject_pending(open, &fault)?;
        open.spoilt = Some(why);
        Ok(())
    }

    fn reject_pending(&mut self, open: &mut Open, fault: &Fault) -> Result<(), Failure> {
        open.pending.drain(..).try_for_each(|row| self.rejects.reject_pending(&row, fault))
    }

    /// Writes the command of a complete order.
    fn close(&mut self, open: Option<Open>) -> Result<(), Failure> {
        let Some(mut open) = open.filter(|open| open.spoilt.is_none()) else { return Ok(()) };
        let (customer, lines) = (std::mem::take(&mut open.customer), std::mem::take(&mut open.lines));
        let currency = self.settings.rules.currency;
        let place = PlaceData { placed_at: open.placed_at, ..PlaceData::new(customer, currency, lines) };
        let (lines, units, total) = (place.lines.len() as u64, place.units(), place.total_minor());
        let data = CommandData::Place(place);
        let total = match validate(&data).map_err(|error| error.message).and(total.map_err(|e| e.to_string()))
        {
            Ok(total) => total,
            Err(why) => return self.refuse(open, &why),
        };
        let id = CommandId::parse(&format!("place-{}", hex(&open.key)))
            .or_exit(ExitStatus::Refused, || "cannot make a command's id")?;
        let key = CommandKey { source: self.source.clone(), id };
        let mut json = CommandEvent::new(open.order.clone(), key, data).to_json();
        if json.len() > BODY_MAX_BYTES {
            return self.refuse(
                open,
                &format!("as a command it has {} bytes, at most {BODY_MAX_BYTES}", json.len()),
            );
        }
        json.push(b'\n');
        self.out.write_all(&json).map_err(Failure::output)?;
        self.summary.orders += 1;
        self.summary.lines += lines;
        self.summary.units += units;
        self.summary.amount_minor += i128::from(total.minor());
        Ok(())
    }

    /// A complete order whose rows are good one by one and not together.
    fn refuse(&mut self, mut open: Open, why: &str) -> Result<(), Failure> {
        let fault = self.because(&open, why);
        self.reject_pending(&mut open, &fault)
    }
}
