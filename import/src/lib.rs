//! A file of orders becomes commands.
//!
//! - Rows with the same order id are the lines of one order, wherever they stand. The file is read twice: first to know which rows each
//!   order has and whether they are good, then to write. An order with one bad row is rejected as a whole: half an order is another order.
//! - Money is never guessed: what an amount is in, what it is the price of, and what makes up a total is said by the file or by the caller.
//! - What is written is what `run` takes: each command has passed the contract's own checks.
//! - A command's id is made from tenant and order alone, so that importing twice gives replays, not second orders.
//! - Memory holds about 80 bytes for each order seen, and the rows of those that were begun and not completed, at most
//!   256 MiB.

mod column;
mod columns;
mod currency;
mod fault;
mod number;
mod open;
mod order_id;
mod orders;
mod preset;
mod records;
mod refund;
mod rejects;
mod row;
mod settings;
mod shown;
pub mod spool;
mod summary;
mod survey;
#[cfg(test)]
mod tests;
mod totals;
pub mod when;

use std::io::{Read, Seek};

pub use number::{AmountPer, AmountUnit, Numbers};
pub use order_id::OrderIds;
pub use orders::Outputs;
pub use preset::Preset;
pub use records::Dialect;
pub use rejects::Rejects;
pub use row::check_name;
pub use settings::{Names, Settings};
pub use shown::shown;
pub use summary::Summary;
pub use totals::{TaxIs, TotalRules};
pub use when::Times;

use columns::Columns;
use currency::Search;
use orders::Orders;
use records::{Record, Records};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use survey::Survey;

/// Imports `input`: commands to `outputs`, bad rows to `rejects`.
///
/// # Errors
/// The header is not as it must be, the currency is not said, or reading or writing fails; until the whole file was read once nothing is
/// written. Bad rows are no error: [`Summary`] counts them.
pub fn run(
    settings: &Settings,
    input: impl Read + Seek,
    outputs: Outputs<'_>,
    rejects: &mut Rejects<'_>,
) -> Result<Summary, Failure> {
    run_within(settings, input, outputs, rejects, orders::OPEN_MAX_BYTES)
}

/// As [`run`], with so many bytes for orders that were begun and not completed.
fn run_within(
    settings: &Settings,
    mut input: impl Read + Seek,
    outputs: Outputs<'_>,
    rejects: &mut Rejects<'_>,
    open_max_bytes: usize,
) -> Result<Summary, Failure> {
    let file = &settings.file;
    let mut record = Record::default();
    let mut records = begin(settings, &mut input, &mut record)?;
    let columns = Columns::find(&record, settings)?;
    let mut search = Search::new(&columns.currency, columns.header.len(), &columns.used());
    let mut survey = Survey::default();
    while next(&mut records, &mut record, file)? {
        survey.observe(&record, &columns, settings, &mut search)?;
    }
    search.end(&columns.header, file)?;
    drop(records);
    let mut records = begin(settings, &mut input, &mut record)?;
    rejects.begin(&record, settings.dialect)?;
    let mut orders = Orders::new(settings, &columns, survey, outputs, rejects, open_max_bytes);
    while next(&mut records, &mut record, file)? {
        orders.take(&record)?;
    }
    orders.finish()
}

/// Reads the header, from the beginning.
fn begin<R: Read + Seek>(
    settings: &Settings,
    mut input: R,
    header: &mut Record,
) -> Result<Records<R>, Failure> {
    let file = &settings.file;
    input.rewind().or_exit(ExitStatus::Usage, || format!("cannot read {file}"))?;
    let records = Records::new(input, settings.dialect);
    let mut records = records.or_exit(ExitStatus::Usage, || format!("cannot read {file}"))?;
    if !records.read(header).or_exit(ExitStatus::Usage, || format!("cannot read {file}"))? {
        return Err(Failure::usage(format!(
            "{file} is empty: its first line must be a header with the names of the columns"
        )));
    }
    Ok(records)
}

/// Reads the next row, if there is one.
fn next<R: Read>(records: &mut Records<R>, record: &mut Record, file: &str) -> Result<bool, Failure> {
    let line = record.last_line;
    records.read(record).or_exit(ExitStatus::Unreachable, || format!("cannot read {file} after line {line}"))
}
