//! `retailflow order`: one order, as it stands and how it came to be, and commands for it.

use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::view;
use retailflow_engine::ports::EventLog;
use retailflow_engine::wire::CommandType;
use retailflow_engine::wire::order::{GiverKind, HistoryEntry, HistoryPage};
use retailflow_engine::wire::time::format_time;
use serde_json::Value;

use crate::cli::data::ReadOnlyArgs;
use crate::cli::place::{Place, PlaceArgs};
use crate::cli::{Context, Output, print};
use crate::client::{Answer, Client};
use crate::order::change;
use crate::order::exchange;
use crate::order::list;
use crate::order::money;
use crate::order::name::{Found, NameArgs, path};
use crate::order::operate;
use crate::order::scan;
use crate::order::send;
use crate::order::shop;
use crate::order::show;
use crate::order::watch;
use retailflow_server::app::{self, Make};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Pages of an order's history, of 1,000 decisions each, that `order show` reads for its steps.
const STEPS_PAGES_MAX: usize = 10;

/// The commands under `order`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Show an order as it stands
    #[command(after_help = "Examples:
  retailflow order show shop 1001 --data data
  retailflow order show shop 1001 --data /mnt/copy --read-only
  retailflow order show shop 1001 --server http://127.0.0.1:8080")]
    Show(ReadArgs),
    /// Show every decision that was taken on an order, and what happened
    #[command(after_help = "Examples:
  retailflow order history shop 1001 --data data -o json
  retailflow order history shop 1001 --context production")]
    History(ReadArgs),
    /// List a tenant's orders, page by page
    #[command(after_help = "\
Examples:
  retailflow order list shop --attention held --server http://127.0.0.1:8080
  retailflow order list shop --status open --limit 1000 --data data -o json

A server's lists are a little behind its log; nodes of a cluster keep none (`not_kept_here`).
Exit codes: 3 no answer, 4 refused.")]
    List(Box<list::ListArgs>),
    /// Find a tenant's orders by what the lists have of them
    #[command(after_help = "\
Examples:
  retailflow order search shop --attention stalled --step capture --server http://127.0.0.1:8080
  retailflow order search shop --currency EUR --total-min 100000 --updated-from 2026-12-01T00:00:00Z --data data

All of the tenant's orders are looked at; nodes of a cluster keep no lists (`not_kept_here`).
Exit codes: 1 none is like that, 3 no answer, 4 refused.")]
    Search(Box<list::SearchArgs>),
    /// Place an order at a server
    Place(Box<send::PlaceOrder>),
    /// Cancel an order at a server
    Cancel(Box<send::CancelOrder>),
    /// Send lines of an order back, at a server
    Return(Box<send::ReturnLines>),
    /// Pay money back without goods, at a server
    Refund(Box<money::RefundMoney>),
    /// Give another means of payment after a decline, at a server
    Pay(Box<money::PayOrder>),
    /// Enter into an order's books what happened outside, at a server
    Record(Box<shop::RecordFact>),
    /// Have an order's steps wait, at a server
    Hold(Box<shop::HoldOrder>),
    /// End a hold, at a server
    ReleaseHold(Box<shop::ReleaseHold>),
    /// Change an order before its goods are booked, at a server
    Amend(Box<change::AmendOrder>),
    /// Send units back and order others in their place, at a server
    Exchange(Box<exchange::ExchangeLines>),
    /// Follow an order at a server until it has ended
    Watch(watch::Args),
    /// Let an order that is held or stalled go on; for operators
    Resume(Box<operate::Act>),
    /// Say how a step ended, on evidence; for operators
    ResolveStep(Box<operate::ResolveStep>),
    /// Have what was done for an order undone; for operators
    Compensate(Box<operate::Act>),
    /// Move an order that has ended into the archive; for operators
    Archive(Box<operate::Act>),
    /// Take an order back from the archive; for operators
    Restore(Box<operate::Act>),
}

/// Which order, and where it is read.
#[derive(clap::Args, Debug)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) name: NameArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) read_only: ReadOnlyArgs,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let (wanted, history) = match args {
        Args::Show(wanted) => (wanted, false),
        Args::History(wanted) => (wanted, true),
        Args::List(args) => return list::list(&args, &context),
        Args::Search(args) => return list::search(&args, &context),
        Args::Place(args) => return send::place(&args, context.output),
        Args::Cancel(args) => return send::cancel(&args, context.output),
        Args::Return(args) => return send::give_back(&args, context.output),
        Args::Refund(args) => return money::refund(&args, context.output),
        Args::Pay(args) => return money::pay(&args, context.output),
        Args::Record(args) => return shop::record(&args, context.output),
        Args::Hold(args) => return shop::hold(&args, context.output),
        Args::ReleaseHold(args) => return shop::release_hold(&args, context.output),
        Args::Amend(args) => return change::amend(&args, context.output),
        Args::Exchange(args) => return exchange::exchange(&args, context.output),
        Args::Watch(args) => return watch::exec(&args, context.output),
        Args::Resume(args) => return operate::act(&args, CommandType::Resume, context.output),
        Args::ResolveStep(args) => return operate::resolve_step(&args, context.output),
        Args::Compensate(args) => return operate::act(&args, CommandType::Compensate, context.output),
        Args::Archive(args) => return operate::act(&args, CommandType::Archive, context.output),
        Args::Restore(args) => return operate::act(&args, CommandType::Restore, context.output),
    };
    let name = wanted.name.full();
    let text = match (wanted.place.open()?, history) {
        (Place::Server(_), _) if wanted.read_only.read_only => {
            return Err(Failure::usage("--read-only is for a data directory: give --data DIR"));
        }
        (Place::Server(client), false) => show_at(&client, &name, context.output)?,
        (Place::Server(client), true) => history_at(&client, &name, context.output)?,
        (Place::Data(data), _) => {
            let found = if wanted.read_only.read_only || scan::is_needed(&data) {
                scan::read(&data, &context.config.config, &name)?
            } else {
                let store = app::open(&data, &context.config.config, Make::Never)?;
                let found = app::runtime()?.block_on(read(store.log.as_ref(), &name));
                store.close();
                found?
            };
            let Some((order, entries)) = found else {
                return Err(Failure::finding(format!("nothing is recorded of order {name}")));
            };
            match (context.output, history) {
                (Output::Json, false) => json(&order)?,
                (Output::Json, true) => json(&entries)?,
                (Output::Table, false) => show::show(&order, &entries),
                (Output::Table, true) => entries.iter().map(line).collect(),
            }
        }
    };
    print(&text)
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    Ok(text.or_exit(ExitStatus::Unreachable, || "cannot show it")? + "\n")
}

fn show_at(client: &Client, name: &OrderRef, output: Output) -> Result<String, Failure> {
    let answer = client.get(&format!("/v1{}", path(name)))?;
    match (answer.status, output) {
        (200, Output::Json) => Ok(answer.body + "\n"),
        (200, Output::Table) => {
            let order = answer.read()?;
            let (entries, more) = entries_at(client, name)?;
            let note = "the order has more decisions: `retailflow order history` shows later steps";
            let note = if more { format!("{:<10} {note}\n", "note") } else { String::new() };
            Ok(show::show(&order, &entries) + &note)
        }
        _ => Err(answer.refusal()),
    }
}

/// The first pages of an order's history, and whether there are more. Most orders never have as many decisions.
fn entries_at(client: &Client, name: &OrderRef) -> Result<(Vec<HistoryEntry>, bool), Failure> {
    let (mut entries, mut after) = (Vec::new(), 0);
    for _ in 0..STEPS_PAGES_MAX {
        let page: HistoryPage = page_at(client, name, after)?.read()?;
        entries.extend(page.entries);
        match page.next.filter(|next| *next > after) {
            Some(next) => after = next,
            None => return Ok((entries, false)),
        }
    }
    Ok((entries, true))
}

fn page_at(client: &Client, name: &OrderRef, after: u64) -> Result<Answer, Failure> {
    let answer = client.get(&format!("/v1{}/history?limit=1000&after={after}", path(name)))?;
    if answer.status == 200 { Ok(answer) } else { Err(answer.refusal()) }
}

/// All pages, as one.
fn history_at(client: &Client, name: &OrderRef, output: Output) -> Result<String, Failure> {
    let (mut entries, mut text, mut after) = (Vec::new(), String::new(), 0);
    loop {
        let answer = page_at(client, name, after)?;
        let next = match output {
            // As the server gave them, with what this program may not know.
            Output::Json => {
                let mut page: Value = answer.read()?;
                if let Value::Array(more) = page["entries"].take() {
                    entries.extend(more);
                }
                page["next"].as_u64()
            }
            Output::Table => {
                let page: HistoryPage = answer.read()?;
                text.extend(page.entries.iter().map(line));
                page.next
            }
        };
        match next.filter(|next| *next > after) {
            Some(next) => after = next,
            None if output == Output::Json => return json(&entries),
            None => return Ok(text),
        }
    }
}

async fn read(log: &dyn EventLog, name: &OrderRef) -> Result<Found, Failure> {
    let what = || format!("cannot read order {name}");
    let records = log.read_order(name, 0).await.or_exit(ExitStatus::Finding, what)?;
    let parked =
        log.parked(partition_of(name, log.identity().partitions)).await.or_exit(ExitStatus::Finding, what)?;
    let reason = parked.iter().find(|parked| parked.order == *name).map(|parked| parked.reason.as_str());
    let records: Vec<Vec<u8>> = records.into_iter().map(|record| record.bytes).collect();
    view(name, &records, reason).or_exit(ExitStatus::Finding, what)
}

fn line(entry: &HistoryEntry) -> String {
    let id = entry.command_id.as_ref().map_or("-", |id| id.as_str());
    let events = entry.events.join(", ");
    let at = format_time(entry.at);
    // The tenant's own commands and the engine's are told by their types and ids.
    let by = match entry.actor.as_ref().map(|actor| (actor.kind, actor.name.as_deref())) {
        Some((GiverKind::Operator, Some(name))) => format!("  by operator {name}"),
        Some((GiverKind::Participant, Some(name))) => format!("  by {name}"),
        _ => String::new(),
    };
    format!(
        "{:>4}  {at}  {:<9} {:<18} v{:<4} {}  {id}{by}  {events}\n",
        entry.decision, entry.status, entry.code, entry.version, entry.kind
    )
}
