//! `retailflow import`: a file of orders becomes commands.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use retailflow_engine::ids::{OrderId, TenantId};
use retailflow_engine::money::Currency;
use retailflow_engine::wire::command::ComponentKind;

use crate::cli::Context;
use retailflow_import::{
    self as import, AmountPer, AmountUnit, Dialect, Names, Numbers, OrderIds, Outputs, Preset, Rejects,
    Settings, TaxIs, Times, TotalRules, spool, when,
};
use retailflow_server::durable_file::DurableFile;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

const EXAMPLES: &str = "\
Examples:
  retailflow import --csv examples/orders.csv --tenant cdnow --order-column row --customer-column customer_id \\
      --quantity-column quantity --amount-column amount_cents --amount-unit minor --time-column date > commands.jsonl
  unzip -p orders.zip | retailflow import --csv - --tenant shop --order-column id --customer-column email_hash \\
      --quantity-column qty --amount-column line_total --amount-unit major --currency EUR --sku-column article \\
      --rejects rejects.csv > commands.jsonl
  retailflow import --csv examples/exports/shopify.csv --tenant shop --preset shopify --dry-run

Rows of one order become its lines, wherever they stand. The file is read twice (standard input is kept in TMPDIR for
that), so that an order is written whole or not at all: one with a bad row is left out, and so is one behind whose row
stands one that names no order. All their rows are told on standard error; exit code 1 says that there was one.
The amount is taken to be that of the whole row (--amount-per row), not of one unit.
A command's id is made from tenant and order, so that importing and running twice is a replay, not a second order.";

/// The arguments of `import`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file, UTF-8, with a header; `-` reads standard input
    #[arg(long, value_name = "FILE|-")]
    csv: PathBuf,
    /// Whose orders they are
    #[arg(long, value_name = "TENANT", value_parser = TenantId::parse)]
    tenant: TenantId,
    /// Whose export it is: then its columns, delimiter and times are known, and the flags below say what is otherwise
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// The column of the order's id
    #[arg(long, value_name = "COLUMN", required_unless_present = "preset")]
    order_column: Option<String>,
    /// The column of the customer's id
    #[arg(long, value_name = "COLUMN", required_unless_present = "preset")]
    customer_column: Option<String>,
    /// The column of the number of units
    #[arg(long, value_name = "COLUMN", required_unless_present = "preset")]
    quantity_column: Option<String>,
    /// The column of the amount
    #[arg(long, value_name = "COLUMN", required_unless_present = "preset")]
    amount_column: Option<String>,
    /// What amounts are counted in; of a preset's export it is `major`
    #[arg(long, required_unless_present = "preset")]
    amount_unit: Option<AmountUnit>,
    /// What an amount is the price of. Without it: of the row, that is of all its units together; of a preset's export as the shop has it
    #[arg(long)]
    amount_per: Option<AmountPer>,
    /// The currency of all amounts, an ISO 4217 code. Without it and without a column: USD, if no column of the file could say another
    #[arg(long, value_parser = Currency::parse)]
    currency: Option<Currency>,
    /// The column of the currency
    #[arg(long, value_name = "COLUMN", conflicts_with = "currency")]
    currency_column: Option<String>,
    /// What is ordered, the same for all rows
    #[arg(long, default_value = "item", value_parser = sku)]
    sku: String,
    /// The column of what is ordered, where rows differ
    #[arg(long, value_name = "COLUMN", conflicts_with = "sku")]
    sku_column: Option<String>,
    /// The column of the time of the order: a date such as 1997-01-12 (midnight in the time zone), or RFC 3339
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// How times are written, as strftime has it: "%d.%m.%Y %H:%M"
    #[arg(long, value_name = "FORMAT", value_parser = when::format)]
    time_format: Option<String>,
    /// Where times that do not say it were shown: Europe/Berlin, or +01:00
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = when::zone)]
    time_zone: jiff::tz::TimeZone,
    /// What stands between two cells: one character, or `tab`; without it a comma, or what the preset has
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// Quotes mean nothing: they are characters like any other
    #[arg(long)]
    no_quoting: bool,
    /// A comma stands before decimals, as in 8,00
    #[arg(long)]
    decimal_comma: bool,
    /// Taken off each order's id where it begins with it, as '#' of #1001; two ids that become the same are told
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    strip_order_prefix: String,
    /// Write characters that an id cannot have, and `_`, as `_` and two hexadecimal digits for each byte: 2024/001 becomes 2024_2F001
    #[arg(long)]
    map_order: bool,
    /// Put before each order's id
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true, value_parser = prefix)]
    order_prefix: String,
    /// Whether taxes of a preset's export are in its prices; without it the order's total tells
    #[arg(long)]
    tax: Option<TaxIs>,
    /// What the rest is where an order's parts do not add up to its total; without it such an order is left out
    #[arg(long, value_name = "KIND", value_parser = rest)]
    rest_as: Option<ComponentKind>,
    /// Read all and write no commands: to compare the sums, by currency, with the shop's own
    #[arg(long)]
    dry_run: bool,
    /// Where returns go that the export tells of: to be run when the orders are complete
    #[arg(long, value_name = "FILE")]
    returns: Option<PathBuf>,
    /// Where rejected rows go, in the form of the file, with the reason in a last column
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let is_stdin = args.csv.as_os_str() == "-";
    let input = spool::open(&args.csv, is_stdin)?;
    let mut file = args.rejects.as_deref().map(|path| create("--rejects", path, &args.csv)).transpose()?;
    // A dry run writes nothing.
    let mut returns = match args.returns.as_deref() {
        Some(path) if !args.dry_run => Some(create("--returns", path, &args.csv)?),
        _ => None,
    };
    let settings = settings(&args, is_stdin);
    let mut told = io::stderr().lock();
    let rejected = file.as_mut().map(|file| Box::new(file) as Box<dyn Write + '_>);
    let mut rejects = Rejects::new(&mut told, matches!(context.output, crate::cli::Output::Json), rejected);
    let mut places = BufWriter::with_capacity(256 * 1024, io::stdout().lock());
    let mut nowhere = io::sink();
    let outputs = Outputs {
        places: &mut places,
        returns: match (&mut returns, args.returns.is_some()) {
            (Some(file), _) => Some(file as &mut dyn Write),
            (None, true) => Some(&mut nowhere as &mut dyn Write),
            (None, false) => None,
        },
    };
    let summary = import::run(&settings, input, outputs, &mut rejects)?;
    rejects.end(&summary)?;
    drop(rejects);
    if let Some(file) = file {
        file.finish().or_exit(ExitStatus::Unreachable, || "cannot write the file of rejected rows")?;
    }
    if let Some(file) = returns {
        file.finish().or_exit(ExitStatus::Unreachable, || "cannot write the file of returns")?;
    }
    if summary.is_whole() { Ok(()) } else { Err(Failure::reported(ExitStatus::Finding)) }
}

fn settings(args: &Args, is_stdin: bool) -> Settings {
    let known = args.preset.map(|preset| preset.layouts()[0].delimiter);
    Settings {
        file: if is_stdin { "standard input".to_owned() } else { args.csv.display().to_string() },
        tenant: args.tenant.clone(),
        preset: args.preset,
        dialect: Dialect {
            delimiter: args.delimiter.or(known).unwrap_or(b','),
            // Files of tabs that shops write know no quotes.
            quoting: !args.no_quoting && (args.delimiter.is_some() || known != Some(b'\t')),
        },
        names: Names {
            order: args.order_column.clone(),
            customer: args.customer_column.clone(),
            quantity: args.quantity_column.clone(),
            amount: args.amount_column.clone(),
            sku: args.sku_column.clone(),
            time: args.time_column.clone(),
            currency: args.currency_column.clone(),
        },
        numbers: Numbers {
            unit: args.amount_unit.unwrap_or(AmountUnit::Major),
            decimal_comma: args.decimal_comma,
        },
        per: args.amount_per,
        currency: args.currency,
        sku: args.sku.clone(),
        ids: OrderIds {
            strip: args.strip_order_prefix.clone(),
            map: args.map_order,
            prefix: args.order_prefix.clone(),
        },
        times: Times { formats: args.time_format.iter().cloned().collect(), zone: args.time_zone.clone() },
        totals: TotalRules { tax: args.tax, rest_as: args.rest_as },
        dry_run: args.dry_run,
    }
}

fn create(flag: &str, path: &Path, csv: &Path) -> Result<DurableFile, Failure> {
    // It takes the place of what is there: not the input's.
    if let (Ok(file), Ok(input)) = (path.canonicalize(), csv.canonicalize())
        && file == input
    {
        return Err(Failure::usage(format!("{flag} names the file of --csv: give it another name")));
    }
    DurableFile::create(path).or_exit(ExitStatus::Usage, || format!("cannot write {}", path.display()))
}

fn sku(text: &str) -> Result<String, String> {
    import::check_name(text).map(|()| text.to_owned())
}

/// A prefix that an order's id can begin with.
fn prefix(text: &str) -> Result<String, String> {
    OrderId::parse(&format!("{text}1")).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii_punctuation() && !matches!(byte, b'"' | b'-' | b'+' | b'.') => Ok(*byte),
        [byte @ (b'\t' | b' ')] => Ok(*byte),
        _ => Err("expected one character such as ';', or `tab`".to_owned()),
    }
}

fn rest(text: &str) -> Result<ComponentKind, String> {
    match text {
        "tax" => Ok(ComponentKind::Tax),
        "shipping" => Ok(ComponentKind::Shipping),
        "fee" => Ok(ComponentKind::Fee),
        "discount" => Ok(ComponentKind::Discount),
        _ => Err("expected tax, shipping, fee or discount".to_owned()),
    }
}
