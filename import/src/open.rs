//! An order whose rows are being read.

use retailflow_engine::ids::{OrderId, TimestampMs};
use retailflow_engine::keys::sha256;
use retailflow_engine::money::{Amount, Currency, MoneyError};
use retailflow_engine::wire::command::ComponentKind;
use retailflow_engine::wire::limits::LINES_MAX;

use crate::column::Column;
use crate::columns::{Columns, Part};
use crate::fault::Fault;
use crate::number::Written;
use crate::preset::Scope;
use crate::records::Record;
use crate::rejects::PendingRow;
use crate::row::Row;
use crate::survey::Size;
use crate::totals::{Beside, RawLine};
use crate::{AmountPer, shown};

/// What a line takes in memory beside its texts, about.
const LINE_BYTES: usize = 160;
/// Most bytes of one order's rows that are kept.
const HELD_MAX_BYTES: usize = 8 * 1024 * 1024;

/// A row that an order has already, to know it again.
#[derive(Debug)]
struct Known {
    hash: [u8; 16],
    line: u64,
    /// Which of the order's places in the file it stands in.
    place: u32,
}

/// The order.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: OrderId,
    /// Its first row.
    pub(super) line: u64,
    /// With the line that said so.
    pub(super) customer: Option<(String, u64)>,
    pub(super) currency: Option<(Currency, u64)>,
    pub(super) placed_at: Option<TimestampMs>,
    pub(super) lines: Vec<RawLine>,
    pub(super) total: Option<Amount>,
    pub(super) refunded: Option<Amount>,
    /// In the order of the columns of amounts: the sum, or what all rows say.
    parts: Vec<Option<Amount>>,
    held: Vec<PendingRow>,
    size_bytes: usize,
    known: Vec<Known>,
    /// The row of the file behind its last one, by number.
    next: Option<Size>,
    places: u32,
}

impl Open {
    pub(super) fn new(id: OrderId, line: u64) -> Self {
        Self {
            id,
            line,
            customer: None,
            currency: None,
            placed_at: None,
            lines: Vec::new(),
            total: None,
            refunded: None,
            parts: Vec::new(),
            held: Vec::new(),
            size_bytes: 0,
            known: Vec::new(),
            next: None,
            places: 0,
        }
    }

    /// How many bytes it takes, about.
    pub(super) const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(super) fn hold(&mut self, held: PendingRow) {
        self.size_bytes += held.size_bytes();
        self.held.push(held);
    }

    pub(super) fn take_held(&mut self) -> Vec<PendingRow> {
        std::mem::take(&mut self.held)
    }

    /// The line of a row that is the same as this one and stands in another place of the file: two exports in one file, or a row
    /// that was copied. Two equal rows beside each other are two lines.
    pub(super) fn repeated(&mut self, record: &Record, at: Size) -> Option<u64> {
        if !self.next.is_some_and(|next| next.is_before(&at)) {
            self.places += 1;
        }
        self.next = Some(at);
        let mut bytes = Vec::with_capacity(record.size_bytes() + record.len());
        for cell in record.cells() {
            bytes.extend_from_slice(cell.trim_ascii());
            bytes.push(b'\n');
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&sha256(&bytes)[..16]);
        let known = self.known.iter().find(|known| known.hash == hash && known.place != self.places);
        let line = known.map(|known| known.line);
        self.known.push(Known { hash, line: record.line, place: self.places });
        self.size_bytes += size_of::<Known>();
        line
    }

    /// Adds a row that fits to those before it.
    pub(super) fn add(&mut self, row: Row, columns: &Columns, line: u64) -> Result<(), Fault> {
        if self.lines.len() == LINES_MAX {
            return Err(Fault::of_row(format!("an order has at most {LINES_MAX} lines")));
        }
        if self.size_bytes > HELD_MAX_BYTES {
            return Err(Fault::of_row(format!("the rows of an order have at most {HELD_MAX_BYTES} bytes")));
        }
        self.same_customer(row.customer, columns, line)?;
        let currency = self.same_currency(row.currency, line)?;
        if self.lines.is_empty() {
            self.placed_at = row.placed_at;
        }
        let minor = |written: &Written, column: &Column| {
            written.minor(currency).map_err(|reason| Fault::in_column(&column.name, reason))
        };
        let mut goods = minor(&row.amount, &columns.amount)?;
        if goods.is_negative() {
            let text =
                format!("{} is below zero; an order cannot have such a line", shown(&row.amount.to_string()));
            return Err(Fault::in_column(&columns.amount.name, text));
        }
        if columns.per == AmountPer::Unit {
            let product = goods.checked_mul(row.quantity.into());
            goods = product.map_err(|error| Fault::in_column(&columns.amount.name, error.to_string()))?;
        }
        let mut raw = RawLine {
            sku: row.sku,
            quantity: row.quantity,
            goods,
            discount: Amount::ZERO,
            tax: Amount::ZERO,
            returned: row.returned,
        };
        self.parts.resize(columns.parts.len(), None);
        for (at, (part, written)) in columns.parts.iter().zip(&row.parts).enumerate() {
            let Some(written) = written else { continue };
            let amount = signed(minor(written, &part.column)?, part)?;
            let said = match part.scope {
                Scope::Line if part.kind == ComponentKind::Tax => &mut raw.tax,
                Scope::Line => &mut raw.discount,
                Scope::Order => {
                    once(&mut self.parts[at], amount, &part.column)?;
                    continue;
                }
                Scope::Row => self.parts[at].get_or_insert_default(),
            };
            let sum = said.checked_add(amount);
            *said = sum.map_err(|error| Fault::in_column(&part.column.name, error.to_string()))?;
        }
        if let (Some(column), Some(total)) = (&columns.total, &row.total) {
            once(&mut self.total, minor(total, column)?, column)?;
        }
        if let (Some(column), Some(refunded)) = (&columns.refunded, &row.refunded) {
            let amount = minor(refunded, column)?;
            // Some write it as what left the till.
            let amount = if amount.is_negative() { negative(amount) } else { amount };
            once(&mut self.refunded, amount, column)?;
        }
        self.size_bytes += LINE_BYTES + raw.sku.len();
        self.lines.push(raw);
        Ok(())
    }

    fn same_customer(&mut self, customer: Option<String>, columns: &Columns, line: u64) -> Result<(), Fault> {
        let Some(customer) = customer else { return Ok(()) };
        match &self.customer {
            Some((before, said)) if *before != customer => {
                let (now, before) = (shown(&customer), shown(before));
                let text = format!("{now} is not the customer of the same order in line {said}, {before}");
                let column = columns.customer.as_ref().map_or("", |column| &column.name);
                Err(Fault::in_column(column, text))
            }
            Some(_) => Ok(()),
            None => {
                self.customer = Some((customer, line));
                Ok(())
            }
        }
    }

    fn same_currency(&mut self, currency: Option<Currency>, line: u64) -> Result<Currency, Fault> {
        match (&self.currency, currency) {
            (Some((before, said)), Some(now)) if *before != now => {
                Err(Fault::of_row(format!("it is in {now}, and the same order in line {said} in {before}")))
            }
            (Some((before, _)), _) => Ok(*before),
            (None, Some(now)) => {
                self.currency = Some((now, line));
                Ok(now)
            }
            (None, None) => Err(Fault::of_row("neither it nor a row of its order before it says a currency")),
        }
    }

    /// What belongs to no line.
    pub(super) fn beside(&self, parts: &[Part]) -> Result<Beside, MoneyError> {
        let mut beside = Beside::default();
        for (part, amount) in parts.iter().zip(&self.parts) {
            let sum = beside.of(part.kind);
            *sum = sum.checked_add(amount.unwrap_or_default())?;
        }
        Ok(beside)
    }
}

/// An amount with the sign of its kind: exports write discounts above zero and below.
fn signed(amount: Amount, part: &Part) -> Result<Amount, Fault> {
    match (part.kind, amount.is_negative()) {
        (ComponentKind::Discount, false) => Ok(negative(amount)),
        (ComponentKind::Discount, true) | (_, false) => Ok(amount),
        (_, true) => Err(Fault::in_column(&part.column.name, format!("{amount} minor units are below zero"))),
    }
}

/// The same below zero, or above; never beyond all amounts.
fn negative(amount: Amount) -> Amount {
    Amount::ZERO.checked_sub(amount).unwrap_or_default()
}

/// What is said of the order: in one row, or the same in all.
fn once(said: &mut Option<Amount>, amount: Amount, column: &Column) -> Result<(), Fault> {
    match said {
        Some(before) if *before != amount => {
            let text = format!("{amount} minor units, and {before} in a row of the same order before it");
            Err(Fault::in_column(&column.name, text))
        }
        _ => {
            *said = Some(amount);
            Ok(())
        }
    }
}
