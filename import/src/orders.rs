//! The second of two passes: rows to orders, orders to commands.
//!
//! An order is held until its last row, and written then. Orders whose rows stand together are held one at a time.

use std::collections::HashMap;
use std::io::Write;

use retailflow_engine::ids::{CommandId, CommandKey, OrderId, OrderRef, Source};
use retailflow_engine::keys::hex;
use retailflow_engine::money::Amount;
use retailflow_engine::wire::command::PlaceData;
use retailflow_engine::wire::limits::BODY_MAX_BYTES;
use retailflow_engine::wire::validate::validate;
use retailflow_engine::wire::{CommandData, CommandEvent};

use crate::columns::Columns;
use crate::fault::Fault;
use crate::open::Open;
use crate::records::Record;
use crate::rejects::Rejects;
use crate::survey::{OrderKey, Size, Survey, Why, order_key};
use crate::totals::{AddedUp, add_up};
use crate::{Settings, Summary, refund, row, shown};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Who made the commands.
const SOURCE: &str = "/import/csv";
/// What an order is told with where its taxes are in its prices.
const TAX_INCLUDED: &str = "tax_included_minor";
/// Most bytes that orders take which were begun and not completed.
pub(super) const OPEN_MAX_BYTES: usize = 256 * 1024 * 1024;

/// Where commands go.
pub struct Outputs<'a> {
    /// Places.
    pub places: &'a mut dyn Write,
    /// Returns, which can be decided only when their orders are complete.
    pub returns: Option<&'a mut dyn Write>,
}

/// Takes rows and writes commands.
pub(super) struct Orders<'a, 'r, 'o> {
    settings: &'a Settings,
    columns: &'a Columns,
    outputs: Outputs<'o>,
    rejects: &'a mut Rejects<'r>,
    source: Source,
    survey: Survey,
    size: Size,
    open: HashMap<OrderKey, Open>,
    open_bytes: usize,
    open_max_bytes: usize,
    summary: Summary,
}

impl<'a, 'r, 'o> Orders<'a, 'r, 'o> {
    pub(super) fn new(
        settings: &'a Settings,
        columns: &'a Columns,
        survey: Survey,
        outputs: Outputs<'o>,
        rejects: &'a mut Rejects<'r>,
        open_max_bytes: usize,
    ) -> Self {
        let source = Source::parse(SOURCE).unwrap_or_else(|e| unreachable!("a constant: {e}"));
        Self {
            settings,
            columns,
            outputs,
            rejects,
            source,
            survey,
            size: Size::default(),
            open: HashMap::new(),
            open_bytes: 0,
            open_max_bytes,
            summary: Summary::new(settings.dry_run),
        }
    }

    /// Takes the next row.
    pub(super) fn take(&mut self, record: &Record) -> Result<(), Failure> {
        self.size.add(record);
        if record.is_blank() {
            self.summary.blank_rows += 1;
            return Ok(());
        }
        let shape = row::check_shape(record, self.columns);
        let id = match row::order_of(record, self.columns) {
            Ok((_, id)) => id,
            Err(fault) => return self.rejects.reject(record, &shape.err().unwrap_or(fault)),
        };
        let key = order_key(&self.settings.tenant, &id);
        let row = shape.and_then(|()| row::read(record, self.columns, self.settings));
        let Some(seen) = self.survey.orders.get_mut(&key) else { return Err(self.changed()) };
        let Some(rows) = seen.rows.checked_sub(1) else { return Err(self.changed()) };
        seen.rows = rows;
        let (apart, why) = (seen.apart, seen.why);
        if let Some(why) = why {
            let fault = row.err().unwrap_or_else(|| self.because(&id, &why.text(&self.order_column())));
            return self.rejects.reject(record, &fault);
        }
        let mut open = match self.open.remove(&key) {
            Some(open) => open,
            None => Open::new(id, record.line),
        };
        self.open_bytes -= open.size_bytes();
        let added = match row {
            Ok(row) => self.add(&mut open, row, apart, record),
            Err(fault) => Err((Why::Row(record.line), Some(fault))),
        };
        if let Err((why, fault)) = added {
            self.spoil(key, &mut open, why)?;
            let fault = fault.unwrap_or_else(|| self.because(&open.id, &why.text(&self.order_column())));
            return self.rejects.reject(record, &fault);
        }
        if rows == 0 {
            return self.close(&key, open);
        }
        self.open_bytes += open.size_bytes();
        self.open.insert(key, open);
        Ok(())
    }

    /// Adds a row; otherwise says why the order is spoilt, and what is wrong with the row, if it is that.
    fn add(
        &mut self,
        open: &mut Open,
        row: row::Row,
        apart: bool,
        record: &Record,
    ) -> Result<(), (Why, Option<Fault>)> {
        if apart && let Some(line) = open.repeated(record, self.size) {
            return Err((Why::Repeated(line, record.line), None));
        }
        open.add(row, self.columns, record.line).map_err(|fault| (Why::Row(record.line), Some(fault)))?;
        open.hold(self.rejects.keep(record));
        let too_much = self.open_bytes + open.size_bytes() > self.open_max_bytes;
        if too_much { Err((Why::TooMuch(record.line), None)) } else { Ok(()) }
    }

    /// Ends: every order has had its last row.
    pub(super) fn finish(mut self) -> Result<Summary, Failure> {
        if self.size != self.survey.size || !self.open.is_empty() {
            return Err(self.changed());
        }
        self.outputs.places.flush().map_err(Failure::output)?;
        if let Some(returns) = &mut self.outputs.returns {
            returns.flush().or_exit(ExitStatus::Unreachable, || "cannot write the returns")?;
        }
        self.summary.end(self.rejects.rows);
        Ok(self.summary)
    }

    fn changed(&self) -> Failure {
        Failure::finding(format!(
            "{} was changed while it was read: do not use what was written, and import it again",
            self.settings.file
        ))
    }

    fn order_column(&self) -> String {
        shown(&self.columns.order.name)
    }

    fn because(&self, id: &OrderId, why: &str) -> Fault {
        let text = format!("order {} is not imported: {why}", shown(id.as_str()));
        Fault::in_column(&self.columns.order.name, text)
    }

    /// The order is not imported: its rows so far are rejected, those to come will be.
    fn spoil(&mut self, key: OrderKey, open: &mut Open, why: Why) -> Result<(), Failure> {
        if let Some(seen) = self.survey.orders.get_mut(&key) {
            seen.why = Some(why);
        }
        let fault = self.because(&open.id, &why.text(&self.order_column()));
        // The row that was held last may be the one that is told by itself.
        let (Why::Row(line) | Why::TooMuch(line) | Why::Repeated(_, line)) = why else { return Ok(()) };
        let held = open.take_held();
        held.iter()
            .filter(|held| held.line() != line)
            .try_for_each(|held| self.rejects.reject_pending(held, &fault))
    }

    /// A complete order whose rows are good one by one and not together.
    fn refuse(&mut self, mut open: Open, why: &str) -> Result<(), Failure> {
        let fault = self.because(&open.id, why);
        open.take_held().iter().try_for_each(|held| self.rejects.reject_pending(held, &fault))
    }

    /// Writes the commands of a complete order.
    fn close(&mut self, key: &OrderKey, open: Open) -> Result<(), Failure> {
        let (place, added, total) = match self.place(&open) {
            Ok(placed) => placed,
            Err(why) => return self.refuse(open, &why),
        };
        let order = OrderRef { tenant: self.settings.tenant.clone(), order: open.id.clone() };
        let currency = place.currency;
        let json = match self.command(&order, key, "place", CommandData::Place(place.clone()))? {
            Ok(json) => json,
            Err(why) => return self.refuse(open, &why),
        };
        let Ok(refund) = refund::of(&open.lines, &added.lines, open.refunded) else {
            return self.refuse(open, "what was paid back is beyond all amounts");
        };
        if !self.settings.dry_run {
            self.outputs.places.write_all(&json).map_err(Failure::output)?;
        }
        self.summary.placed(&place, total);
        if let Some(amount) = refund.left_out {
            self.summary.refund_left_out(amount, currency);
            self.rejects.left_out(&open.id, open.line, &refund::told(amount, currency));
        }
        let Some(data) = refund.data else { return Ok(()) };
        let json = self.command(&order, key, "return", CommandData::Return(data))?;
        match (&mut self.outputs.returns, json) {
            (Some(returns), Ok(json)) => {
                if !self.settings.dry_run {
                    returns
                        .write_all(&json)
                        .or_exit(ExitStatus::Unreachable, || "cannot write the returns")?;
                }
                self.summary.returns += 1;
            }
            (_, Err(why)) => {
                self.summary.returns_left_out += 1;
                self.rejects.left_out(&open.id, open.line, &format!("its return is left out: {why}"));
            }
            (None, Ok(_)) => {
                self.summary.returns_left_out += 1;
                let why = "units of it came back, and the return is left out: give --returns FILE, and run that file when the orders are complete";
                self.rejects.left_out(&open.id, open.line, why);
            }
        }
        Ok(())
    }

    /// The order as it is placed, or why it cannot be.
    fn place(&self, open: &Open) -> Result<(PlaceData, AddedUp, Amount), String> {
        let Some((currency, _)) = open.currency else {
            return Err("no row of it says which currency it is in".to_owned());
        };
        let customer = match (&open.customer, self.columns.customer_otherwise) {
            (Some((customer, _)), _) => customer.clone(),
            (None, Some(otherwise)) => otherwise.to_owned(),
            (None, None) => return Err("no row of it says who ordered".to_owned()),
        };
        let beside = open.beside(&self.columns.parts).map_err(|error| error.to_string())?;
        let added = add_up(&open.lines, &beside, open.total, self.settings.totals, currency)?;
        let mut place = PlaceData::new(customer, currency, added.lines.clone());
        place.components.clone_from(&added.components);
        place.placed_at = open.placed_at;
        if added.tax_included != Amount::ZERO {
            place.attributes.insert(TAX_INCLUDED.to_owned(), added.tax_included.minor().to_string());
        }
        let total = place.total_minor();
        // The checks tell a total that is too large better than its sum does.
        validate(&CommandData::Place(place.clone())).map_err(|error| error.message)?;
        let total = total.map_err(|error| error.to_string())?;
        Ok((place, added, total))
    }

    /// A command as a line of JSON, or why it is none.
    fn command(
        &self,
        order: &OrderRef,
        key: &OrderKey,
        what: &str,
        data: CommandData,
    ) -> Result<Result<Vec<u8>, String>, Failure> {
        if let Err(error) = validate(&data) {
            return Ok(Err(error.message));
        }
        let id = CommandId::parse(&format!("{what}-{}", hex(key)))
            .or_exit(ExitStatus::Refused, || "cannot make a command's id")?;
        let key = CommandKey { source: self.source.clone(), id };
        let mut json = CommandEvent::new(order.clone(), key, data).to_json();
        if json.len() > BODY_MAX_BYTES {
            return Ok(Err(format!("as a command it has {} bytes, at most {BODY_MAX_BYTES}", json.len())));
        }
        json.push(b'\n');
        Ok(Ok(json))
    }
}
