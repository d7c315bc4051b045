//! A CSV file of orders becomes commands.
//!
//! - Adjacent rows with the same order id are the lines of one order. An order with one bad row is rejected as a whole:
//!   half an order is another order.
//! - What is written is what `run` takes: each command has passed the contract's own checks.
//! - A command's id is made from tenant and order alone, so that importing twice gives replays, not second orders.
//! - Memory holds one order at a time, and 24 bytes for each order seen (to tell when one comes again).

mod columns;
mod orders;
mod records;
mod rejects;
mod row;
mod settings;
mod shown;
mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod verb;

use std::io::{Read, Write};

pub(crate) use columns::Names;
pub(crate) use rejects::Rejects;
pub(crate) use row::{AmountUnit, Rules, check_name};
pub(crate) use settings::Settings;
pub(crate) use shown::shown;
pub(crate) use summary::Summary;

use columns::Columns;
use orders::Orders;
use records::{Record, Records};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Imports `input`: commands to `out`, bad rows to `rejects`.
///
/// # Errors
/// The header is not as it must be, or reading or writing fails. Bad rows are no error: [`Summary`] counts them.
pub(crate) fn run(
    settings: &Settings,
    input: impl Read,
    out: impl Write,
    rejects: &mut Rejects<'_>,
) -> Result<Summary, Failure> {
    let file = &settings.file;
    let mut records = Records::new(input).or_exit(ExitStatus::Usage, || format!("cannot read {file}"))?;
    let mut record = Record::default();
    if !records.read(&mut record).or_exit(ExitStatus::Usage, || format!("cannot read {file}"))? {
        return Err(Failure::usage(format!(
            "{file} is empty: its first line must be a header with the names of the columns"
        )));
    }
    let columns = Columns::find(&record, &settings.names)
        .map_err(|failure| Failure::usage(format!("{file}: {failure}")))?;
    rejects.begin(&record)?;
    let mut orders = Orders::new(settings, &columns, out, rejects);
    loop {
        let line = record.last_line;
        let more = records
            .read(&mut record)
            .or_exit(ExitStatus::Unreachable, || format!("cannot read {file} after line {line}"))?;
        if !more {
            return orders.finish();
        }
        orders.take(&record)?;
    }
}
