//! `retailflow bench take-over`: how soon the open orders of a large partition are driven again.

use crate::bench::cluster::{member, on_empty_servers};
use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print};
use retailflow_measure::machine;
use retailflow_measure::take_over::{self, TakenOver};
use retailflow_server::exit::Failure;
use retailflow_server::serve::cluster::cluster_deps::ClusterDeps;

const EXAMPLES: &str = "\
Example, on servers that hold nothing else:
  retailflow bench take-over --nats nats://127.0.0.1:4222 --set nats.replicas=1 --set cluster.partitions=4 --set cluster.shards=4

Streams are made for the measurement and removed afterwards. Servers that hold a log already are refused.";

/// The arguments of `bench take-over`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TakeOverBench {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How many orders the partition has
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    orders: u64,
    /// How many of them are on their way
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    open: u64,
}

/// Runs the command.
pub(crate) fn exec(args: &TakeOverBench, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    args.cluster.apply(&mut config)?;
    if !args.cluster.is_given() {
        return Err(Failure::usage("--nats says which servers are measured"));
    }
    if args.open == 0 || args.open > args.orders {
        return Err(Failure::usage("--open is at least 1, and at most --orders"));
    }
    config.admission.tenant_in_flight_max = config.admission.in_flight_max;
    let json = context.output == Output::Json;
    let measured = on_empty_servers(&config, async |first| {
        let next = ClusterDeps::open(None, config.clone(), &member()?).await;
        let next = next.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let measured = take_over::measure(&first, &next, args.orders, args.open).await;
        next.close().await;
        measured
    })?;
    print(&if json { shown_json(&measured) } else { shown(&measured) })
}

fn shown(taken: &TakenOver) -> String {
    let mut text = format!("retailflow {} on {}\n", env!("CARGO_PKG_VERSION"), machine::describe());
    if cfg!(debug_assertions) {
        text.push_str("NOT a release build: these figures say nothing\n");
    }
    let TakenOver { orders, open, fence_ms, first_asked_ms, half_asked_ms, all_asked_ms, .. } = taken;
    text.push_str(&format!(
        "a partition of {orders} orders, {open} of them on their way, comes to a node that remembers nothing; ms after it began:\n\
         fence {fence_ms}, new order placed {}, first driven {first_asked_ms}, half {half_asked_ms}, all {all_asked_ms}, all \
         completed {}\n",
        taken.new_order_ms, taken.all_completed_ms
    ));
    text
}

fn shown_json(taken: &TakenOver) -> String {
    let value = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"), "machine": machine::describe(),
        "release": !cfg!(debug_assertions), "taken_over": taken,
    });
    format!("{value:#}\n")
}
