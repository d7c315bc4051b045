//! `retailflow parked`: orders that are parked, and what waits behind them.
//!
//! Looking needs no engine: `list` and `show` read the log and its index, and change nothing. The others are in
//! `end`; what a server is asked, in `at`.

use std::fmt::Write as _;

use retailflow_engine::ids::{PartitionId, TenantId};
use retailflow_engine::ports::{EventLog, ParkedOrder};
use serde_json::{Value, json};

use crate::cli::place::{AdminPlaceArgs, Place};
use crate::cli::{Context, Output, print};
use crate::order::name::NameArgs;
use crate::parked::at;
use crate::parked::end::end;
use crate::parked::ending::{EndArgs, Way};
use crate::parked::found::{line, not_parked, parked_one};
use crate::words::one_line;
use retailflow_server::app::{self, Make};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// The commands under `parked`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// List all parked orders: why, and how many commands wait
    #[command(after_help = "Examples:
  retailflow parked list --data data --tenant shop
  retailflow parked list --admin http://127.0.0.1:8081")]
    List(ListArgs),
    /// Show one parked order and each command that waits behind it
    #[command(after_help = "Examples:
  retailflow parked show shop 1001 --data data -o json
  retailflow parked show shop 1001 --admin http://127.0.0.1:8081")]
    Show(ShowArgs),
    /// Decide the commands that wait behind a parked order, in order, and let the order go on
    #[command(after_help = "Examples:
  retailflow parked release shop 1001 --data data --yes --operator ann
  retailflow parked release shop 1001 --admin http://127.0.0.1:8081 --dry-run")]
    Release(EndArgs),
    /// Reject the commands that wait behind a parked order as `discarded`, and let the order go on without them
    #[command(after_help = "Example:\n  retailflow parked discard shop 1001 --data data --dry-run")]
    Discard(EndArgs),
}

/// Which orders, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Only those of this tenant
    #[arg(long, value_name = "TENANT", value_parser = TenantId::parse)]
    pub(crate) tenant: Option<TenantId>,
    #[command(flatten)]
    pub(crate) place: AdminPlaceArgs,
}

/// Which order, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) name: NameArgs,
    #[command(flatten)]
    pub(crate) place: AdminPlaceArgs,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    match args {
        Args::List(args) => list(&args, &context),
        Args::Show(args) => show(&args, &context),
        Args::Release(args) => end(&args, Way::Release, &context),
        Args::Discard(args) => end(&args, Way::Discard, &context),
    }
}

fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let mut whole = Ok(());
    let mut parked = match args.place.open()? {
        Place::Server(client) => {
            let found = at::list(&client)?;
            whole = found.whole();
            found.orders
        }
        Place::Data(data) => {
            let store = app::open(&data, &context.config.config, Make::Never)?;
            let read = app::runtime()?.block_on(all(store.log.as_ref()));
            store.close();
            read.or_exit(ExitStatus::Finding, || "cannot read the parked orders")?
        }
    };
    parked.retain(|parked| args.tenant.as_ref().is_none_or(|tenant| parked.order.tenant == *tenant));
    print(&match context.output {
        Output::Json => format!("{:#}\n", Value::from(parked.iter().map(mark).collect::<Vec<_>>())),
        Output::Table => parked
            .iter()
            .map(|parked| {
                let (order, waiting) = (parked.order.to_string(), parked.queued);
                format!("{order:<32} {waiting:>6} waiting  {}\n", one_line(&parked.reason))
            })
            .collect(),
    })?;
    whole
}

fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let order = args.name.full();
    let found = match args.place.open()? {
        Place::Server(client) => at::queue(&client, &order)?,
        Place::Data(data) => {
            let store = app::open(&data, &context.config.config, Make::Never)?;
            let read = app::runtime()?.block_on(parked_one(store.log.as_ref(), &order));
            store.close();
            read.or_exit(ExitStatus::Finding, || format!("cannot read what waits behind {order}"))?
        }
    };
    let Some((parked, waiting)) = found else {
        return Err(not_parked(&order));
    };
    let text = match context.output {
        Output::Json => {
            let mut shown = mark(&parked);
            shown["waiting"] = waiting.len().into();
            shown["commands"] = json!(waiting);
            format!("{shown:#}\n")
        }
        Output::Table => {
            let mut text = format!("order      {order}\nreason     {}\n", one_line(&parked.reason));
            // Writing into memory does not fail.
            let _ = writeln!(text, "waiting    {}", waiting.len());
            text.extend(waiting.iter().map(line));
            text
        }
    };
    print(&text)
}

fn mark(parked: &ParkedOrder) -> Value {
    json!({
        "tenant": parked.order.tenant.as_str(),
        "order": parked.order.order.as_str(),
        "reason": parked.reason,
        "waiting": parked.queued,
    })
}

async fn all(log: &dyn EventLog) -> anyhow::Result<Vec<ParkedOrder>> {
    let mut all = Vec::new();
    for partition in 0..log.identity().partitions {
        all.extend(log.parked(PartitionId(partition)).await?);
    }
    all.sort_by(|a, b| a.order.cmp(&b.order));
    Ok(all)
}
