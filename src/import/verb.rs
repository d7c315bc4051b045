//! `retailflow import`: a CSV file of orders becomes commands.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use retailflow_engine::ids::{OrderId, TenantId};
use retailflow_engine::money::Currency;

use crate::cli::Context;
use crate::import::{self, AmountUnit, Names, Rejects, Rules, Settings};
use retailflow_server::durable_file::DurableFile;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

const EXAMPLES: &str = "\
Examples:
  retailflow import --csv examples/orders.csv --tenant cdnow --order-column row --customer-column customer_id \\
      --quantity-column quantity --amount-column amount_cents --amount-unit minor --time-column date > commands.jsonl
  unzip -p orders.zip | retailflow import --csv - --tenant shop --order-column id --customer-column email_hash \\
      --quantity-column qty --amount-column line_total --amount-unit major --currency EUR --sku-column article \\
      --rejects rejects.csv > commands.jsonl

Rows of one order must stand together; they become its lines. The amount is that of the whole row, not of one unit.
An order with a bad row is left out as a whole and told on standard error; exit code 1 says that there was one.
A command's id is made from tenant and order, so that importing and running twice is a replay, not a second order.";

/// The arguments of `import`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The CSV file, UTF-8, separated by commas, with a header; `-` reads standard input
    #[arg(long, value_name = "FILE|-")]
    csv: PathBuf,
    /// Whose orders they are
    #[arg(long, value_name = "TENANT", value_parser = TenantId::parse)]
    tenant: TenantId,
    /// The column of the order's id
    #[arg(long, value_name = "COLUMN")]
    order_column: String,
    /// The column of the customer's id
    #[arg(long, value_name = "COLUMN")]
    customer_column: String,
    /// The column of the number of units
    #[arg(long, value_name = "COLUMN")]
    quantity_column: String,
    /// The column of the amount: what all units of the row cost together
    #[arg(long, value_name = "COLUMN")]
    amount_column: String,
    /// What amounts are counted in
    #[arg(long)]
    amount_unit: AmountUnit,
    /// The currency of all amounts, an ISO 4217 code
    #[arg(long, default_value = "USD", value_parser = Currency::parse)]
    currency: Currency,
    /// What is ordered, the same for all rows
    #[arg(long, default_value = "item", value_parser = sku)]
    sku: String,
    /// The column of what is ordered, where rows differ
    #[arg(long, value_name = "COLUMN", conflicts_with = "sku")]
    sku_column: Option<String>,
    /// The column of the time of the order: a date such as 1997-01-12 (midnight in UTC), or RFC 3339
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// Put before each order's id
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true, value_parser = prefix)]
    order_prefix: String,
    /// Where rejected rows go, as CSV with the reason in a last column
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let input = open(&args.csv)?;
    let mut file = args.rejects.as_deref().map(|path| create(path, &args.csv)).transpose()?;
    let settings = Settings {
        file: if is_stdin(&args.csv) { "standard input".to_owned() } else { args.csv.display().to_string() },
        tenant: args.tenant,
        names: Names {
            order: args.order_column,
            customer: args.customer_column,
            quantity: args.quantity_column,
            amount: args.amount_column,
            sku: args.sku_column,
            time: args.time_column,
        },
        rules: Rules {
            unit: args.amount_unit,
            currency: args.currency,
            order_prefix: args.order_prefix,
            sku: args.sku,
        },
    };
    let mut told = io::stderr().lock();
    let rejected = file.as_mut().map(|file| Box::new(file) as Box<dyn Write + '_>);
    let mut rejects = Rejects::new(&mut told, context.output, rejected);
    let out = BufWriter::with_capacity(256 * 1024, io::stdout().lock());
    let summary = import::run(&settings, input, out, &mut rejects)?;
    rejects.end(&summary)?;
    drop(rejects);
    if let Some(file) = file {
        file.finish().or_exit(ExitStatus::Unreachable, || "cannot write the file of rejected rows")?;
    }
    if summary.rejected_rows > 0 { Err(Failure::reported(ExitStatus::Finding)) } else { Ok(()) }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if is_stdin(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).or_exit(ExitStatus::Usage, || format!("cannot read {}", path.display()))?;
    Ok(Box::new(file))
}

fn create(path: &Path, csv: &Path) -> Result<DurableFile, Failure> {
    // It takes the place of what is there: not the input's.
    if let (Ok(rejects), Ok(input)) = (path.canonicalize(), csv.canonicalize())
        && rejects == input
    {
        return Err(Failure::usage("--rejects names the file of --csv: give it another name"));
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
