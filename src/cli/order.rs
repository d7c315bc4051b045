//! `retailflow order`: one order, as it stands and how it came to be.

use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::money::Amount;
use retailflow_engine::order::view;
use retailflow_engine::ports::EventLog;
use retailflow_engine::wire::order::{HistoryEntry, OrderView};
use retailflow_engine::wire::time::format_time;

use crate::app::{self, Make};
use crate::cli::data::DataArgs;
use crate::cli::{Context, Output, print};
use crate::exit::{ExitStatus, Failure, OrExit};

/// The commands under `order`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Show an order as it stands
    #[command(after_help = "Example:\n  retailflow order show shop 1001 --data data")]
    Show(OrderArgs),
    /// Show every decision that was taken on an order, and what happened
    #[command(after_help = "Example:\n  retailflow order history shop 1001 --data data -o json")]
    History(OrderArgs),
}

/// Which order, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct OrderArgs {
    /// The tenant it belongs to
    #[arg(value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    /// Its id
    #[arg(value_parser = OrderId::parse)]
    pub(crate) order: OrderId,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

impl OrderArgs {
    /// The order's full name.
    pub(crate) fn name(&self) -> OrderRef {
        OrderRef { tenant: self.tenant.clone(), order: self.order.clone() }
    }
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let (wanted, history) = match &args {
        Args::Show(wanted) => (wanted, false),
        Args::History(wanted) => (wanted, true),
    };
    let name = wanted.name();
    let store = app::open(&wanted.data.data, &context.config.config, Make::Never)?;
    let found = app::runtime()?.block_on(read(store.log.as_ref(), &name));
    store.close();
    let Some((order, entries)) = found? else {
        return Err(Failure::finding(format!("nothing is recorded of order {name}")));
    };
    let json =
        |value: serde_json::Result<String>| value.or_exit(ExitStatus::Unreachable, || "cannot show it");
    let text = match (context.output, history) {
        (Output::Json, false) => json(serde_json::to_string_pretty(&order))? + "\n",
        (Output::Json, true) => json(serde_json::to_string_pretty(&entries))? + "\n",
        (Output::Table, false) => show(&order),
        (Output::Table, true) => entries.iter().map(line).collect(),
    };
    print(&text)
}

type Found = Option<(OrderView, Vec<HistoryEntry>)>;

async fn read(log: &dyn EventLog, name: &OrderRef) -> Result<Found, Failure> {
    let what = || format!("cannot read order {name}");
    let records = log.read_order(name, 0).await.or_exit(ExitStatus::Finding, what)?;
    let parked =
        log.parked(partition_of(name, log.identity().partitions)).await.or_exit(ExitStatus::Finding, what)?;
    let reason = parked.iter().find(|parked| parked.order == *name).map(|parked| parked.reason.as_str());
    let records: Vec<Vec<u8>> = records.into_iter().map(|record| record.bytes).collect();
    view(name, &records, reason).or_exit(ExitStatus::Finding, what)
}

fn show(order: &OrderView) -> String {
    let money = |amount: Amount| format!("{} {}", amount.to_major(order.currency), order.currency.code());
    let mut text = format!("order      {}/{}\n", order.tenant, order.order);
    let step = order.step.map(|step| format!(", next step {}", step.as_str())).unwrap_or_default();
    text.push_str(&format!("status     {}{step}\n", order.status.as_str()));
    text.push_str(&format!("attention  {}", order.attention.as_str()));
    text.push_str(&order.attention_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default());
    text.push_str(&format!("\nversion    {}\n", order.version));
    text.push_str(&format!("customer   {}\n", order.customer));
    text.push_str(&format!("total      {}\n", money(order.total_minor)));
    for line in &order.lines {
        let amount = money(line.amount_minor);
        text.push_str(&format!("line       {}: {} x {}, {amount}\n", line.line_id, line.quantity, line.sku));
    }
    let times = [
        ("placed", order.placed_at),
        ("recorded", Some(order.created_at)),
        ("look again", order.next_deadline),
    ];
    for (what, time) in times {
        text.push_str(&time.map(|time| format!("{what:<10} {}\n", format_time(time))).unwrap_or_default());
    }
    text
}

fn line(entry: &HistoryEntry) -> String {
    let id = entry.command_id.as_ref().map_or("-", |id| id.as_str());
    let events = entry.events.join(", ");
    let at = format_time(entry.at);
    format!(
        "{:>4}  {at}  {:<9} {:<18} v{:<4} {}  {id}  {events}\n",
        entry.decision, entry.status, entry.code, entry.version, entry.kind
    )
}
