//! `retailflow order watch`: one order at a server until it has ended.

use std::thread;
use std::time::{Duration, Instant};

use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::wire::order::{Attention, OrderStatus, OrderView};

use crate::cli::place::ServerArgs;
use crate::cli::{Output, order, print};
use crate::exit::Failure;

/// Greatest wait between two looks. It doubles from the least while nothing changes.
const WAIT_MAX: Duration = Duration::from_secs(2);
const WAIT_MIN: Duration = Duration::from_millis(50);

/// The arguments of `order watch`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  retailflow order watch shop 1001 --server http://127.0.0.1:8080

It ends when the order is completed or canceled: with 0. When the time is over before: with 1.")]
pub(crate) struct Args {
    /// The tenant it belongs to
    #[arg(value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    /// Its id
    #[arg(value_parser = OrderId::parse)]
    pub(crate) order: OrderId,
    /// How long to follow it
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Runs the command.
pub(crate) fn exec(args: &Args, output: Output) -> Result<(), Failure> {
    let client = args.server.open()?;
    let name = OrderRef { tenant: args.tenant.clone(), order: args.order.clone() };
    let (begun, time) = (Instant::now(), Duration::from_secs(args.timeout));
    let (mut last, mut wait) = (String::new(), WAIT_MIN);
    loop {
        let answer = client.get(&order::path(&name))?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let order: OrderView = answer.read()?;
        let now = line(&order);
        if now != last {
            if output == Output::Table {
                print(&format!("{now}\n"))?;
            }
            (last, wait) = (now, WAIT_MIN);
        }
        let ended = matches!(order.status, OrderStatus::Completed | OrderStatus::Canceled);
        let over = begun.elapsed() >= time;
        if (ended || over) && output == Output::Json {
            print(&format!("{}\n", answer.body))?;
        }
        if ended {
            return Ok(());
        }
        if over {
            let seconds = crate::words::count(args.timeout, "second");
            return Err(Failure::finding(format!(
                "order {name} has not ended within {seconds}: {last}. Watch it again, or see its history"
            )));
        }
        thread::sleep(wait.min(time.saturating_sub(begun.elapsed())));
        wait = (wait * 2).min(WAIT_MAX);
    }
}

fn line(order: &OrderView) -> String {
    let step = order.step.map(|step| format!(", next step {}", step.as_str())).unwrap_or_default();
    let attention = match (order.attention, &order.attention_reason) {
        (Attention::None, _) => String::new(),
        (attention, Some(why)) => format!("; {}: {why}", attention.as_str()),
        (attention, None) => format!("; {}", attention.as_str()),
    };
    format!("version {:<4} {}{step}{attention}", order.version, order.status.as_str())
}
