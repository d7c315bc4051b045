//! `retailflow parked`: orders that are parked, and what waits behind them.
//!
//! Looking needs no engine: `list` and `show` read the log and its index, and change nothing. The others are in
//! `parked_end`; what a server is asked, in `parked_at`.

use std::fmt::Write as _;

use retailflow_engine::ids::{OrderRef, PartitionId, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::waiting_command;
use retailflow_engine::ports::{EventLog, ParkedOrder};
use retailflow_engine::wire::admin::WaitingCommand;
use retailflow_engine::wire::time::format_time;
use serde_json::{Value, json};

use crate::cli::order::NameArgs;
use crate::cli::parked_end::{EndArgs, Way, end};
use crate::cli::place::{AdminPlaceArgs, Place};
use crate::cli::{Context, Output, parked_at, print};
use retailflow_server::app::{self, Make};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Commands read at once. Each may have a megabyte; only its address is kept.
const PIECE: usize = 16;

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
            let told = parked_at::list(&client)?;
            whole = told.whole();
            told.orders
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
        Place::Server(client) => parked_at::queue(&client, &order)?,
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

/// A reason comes from a crash: it may hold anything, also what moves a terminal's cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

async fn all(log: &dyn EventLog) -> anyhow::Result<Vec<ParkedOrder>> {
    let mut all = Vec::new();
    for partition in 0..log.identity().partitions {
        all.extend(log.parked(PartitionId(partition)).await?);
    }
    all.sort_by(|a, b| a.order.cmp(&b.order));
    Ok(all)
}

pub(super) fn not_parked(order: &OrderRef) -> Failure {
    Failure::finding(format!("order {order} is not parked; `retailflow parked list` tells which are"))
}

pub(super) async fn parked_one(
    log: &dyn EventLog,
    order: &OrderRef,
) -> anyhow::Result<Option<(ParkedOrder, Vec<WaitingCommand>)>> {
    let parked = log.parked(partition_of(order, log.identity().partitions)).await?;
    let Some(parked) = parked.into_iter().find(|parked| parked.order == *order) else { return Ok(None) };
    let mut waiting: Vec<WaitingCommand> = Vec::new();
    loop {
        let after = waiting.last().map_or(0, |last| last.sequence);
        let piece = log.parked_commands(order, after, PIECE).await?;
        let last = piece.len() < PIECE;
        for record in piece {
            waiting.push(waiting_command(&record)?);
        }
        if last {
            return Ok(Some((parked, waiting)));
        }
    }
}

/// A waiting command, for people.
pub(super) fn line(command: &WaitingCommand) -> String {
    let WaitingCommand { sequence, kind, id, source, at, actor } = command;
    let kind = kind.as_deref().map_or_else(|| "unreadable".to_owned(), one_line);
    let giver = match &actor.name {
        Some(name) => format!("{} {}", actor.kind.as_str(), one_line(name)),
        None => actor.kind.as_str().to_owned(),
    };
    let (at, id, source) = (format_time(*at), one_line(id), one_line(source));
    format!("{sequence:>6}  {at}  {kind:<28} {giver:<20} {id}  {source}\n")
}
