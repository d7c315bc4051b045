//! `retailflow bench cluster`: how fast a node is on these NATS servers, beside what they can do without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use retailflow_actors::{Node, NodeHandle, Settings};
use retailflow_config::Config;
use retailflow_engine::ids::NodeId;
use retailflow_engine::ports::Clock as _;
use retailflow_engine::wire::Durability;
use retailflow_measure::raw_limit::{remove_streams, streams_of_ours};
use retailflow_nats::{AskDoor, AskOptions, Connections};

use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print};
use retailflow_measure::cluster::{self, Reading};
use retailflow_measure::load::{self, Orders, Pace};
use retailflow_measure::machine;
use retailflow_measure::report::Measured;
use retailflow_server::app::{self, SystemClock};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::participants::instant::Instant;
use retailflow_server::serve::cluster::Member;
use retailflow_server::serve::cluster::cluster_deps::{ClusterDeps, nats_options};

const EXAMPLES: &str = "\
Example, on servers that hold nothing else:
  retailflow bench cluster --nats nats://127.0.0.1:4222 --set nats.replicas=1 --set cluster.partitions=16 --set cluster.shards=4

Streams are made for the measurement and removed afterwards. Servers that hold a log already are refused.";

/// Longer than the log keeps a deadline that was cleared.
const CLEARED_MAX: Duration = Duration::from_secs(15);

/// The arguments of `bench cluster`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ClusterBench {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How many orders each measurement places
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    orders: u64,
    /// How many orders are driven to their end, one after another as fast as it goes: about a minute's worth
    #[arg(long, value_name = "N", default_value_t = 240_000)]
    lives: u64,
}

/// Runs the command.
pub(crate) fn exec(args: ClusterBench, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    args.cluster.apply(&mut config)?;
    if !args.cluster.is_given() {
        return Err(Failure::usage("--nats says which servers are measured"));
    }
    // The bench is one tenant, and fills the node.
    config.admission.tenant_in_flight_max = config.admission.in_flight_max;
    let json = context.output == Output::Json;
    let measured = on_empty_servers(&config, async |deps| on(&deps, args.orders, args.lives).await)?;
    print(&if json { shown_json(&measured) } else { shown(&measured) })
}

/// The node that is measured.
pub(crate) fn member() -> anyhow::Result<Member> {
    let node = NodeId::parse("bench")?;
    Ok(Member { node, weight: 1, labels: BTreeMap::new(), accept_weaker_durability: true })
}

/// Measures something on servers that hold nothing, and leaves nothing behind.
pub(crate) fn on_empty_servers<T>(
    config: &Config,
    measure: impl AsyncFnOnce(Arc<ClusterDeps>) -> anyhow::Result<T>,
) -> Result<T, Failure> {
    app::runtime()?.block_on(async {
        let connections = Connections::open(&nats_options(config, "retailflow bench")).await;
        let connections = connections.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS")?;
        let failed = || "the servers cannot be looked at";
        let there = streams_of_ours(&connections).await.or_exit(ExitStatus::Unreachable, failed)?;
        if !there.is_empty() {
            return Err(Failure::refused(format!(
                "the servers hold {} already: measure on servers of their own",
                there.join(", ")
            )));
        }
        let member = member().or_exit(ExitStatus::Usage, || "no name")?;
        let measured = match ClusterDeps::open(None, config.clone(), &member).await {
            Ok(deps) => {
                let measured = measure(deps.clone()).await;
                deps.close().await;
                measured.or_exit(ExitStatus::Unreachable, || "the measurement failed")
            }
            Err(failure) => Err(failure),
        };
        let made = streams_of_ours(&connections).await.unwrap_or_default();
        if let Err(error) = remove_streams(&connections, &made).await {
            tracing::warn!(%error, "the streams of the measurement are left behind");
        }
        connections.close(Duration::from_secs(5)).await;
        measured
    })
}

struct All {
    measured: Vec<Measured>,
    records_a_group: f64,
    notes: Vec<String>,
}

async fn started(deps: &ClusterDeps, drives_effects: bool) -> anyhow::Result<NodeHandle> {
    let settings = Settings { drives_effects, ..Settings::new(deps.config.clone(), "bench") };
    let participants = Arc::new(Instant::default()).participants();
    Ok(Node::start(settings, deps.ports(participants, Durability::MEMORY.into())).await?)
}

async fn opened(deps: &ClusterDeps, node: &NodeHandle) -> anyhow::Result<AskDoor> {
    let edge = deps.edge("ask").await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let options = AskOptions { in_flight_max: 1_024, ..AskOptions::default() };
    Ok(AskDoor::open(edge, Arc::new(node.clone()), options, SystemClock.now()).await?)
}

async fn on(deps: &Arc<ClusterDeps>, orders: u64, lives: u64) -> anyhow::Result<All> {
    let stop = Duration::from_secs(30);
    let few = orders / 2;
    let mut measured = Vec::new();
    // First: the orders of the other measurements are never driven, and would be driven with these.
    let node = started(deps, true).await?;
    let lives = load::whole_lives(&node, "sustained, whole lives, 512 callers", 512, 7 << 40, lives).await?;
    let lives_note = format!(
        "whole lives: {:.0} a second in the second half; at most {} open, {} in the first half",
        lives.second_half_per_second, lives.most_open, lives.most_open_first_half
    );
    measured.push(lives.measured);
    let alone = orders.min(500);
    measured.push(load::one_by_one(&node, "one order alone, place to completed", 8 << 40, alone).await?);
    node.stop(stop).await;
    // What the server still does for these orders is no part of what follows.
    tokio::time::sleep(CLEARED_MAX).await;
    // Nobody reads now: what the client can merely publish.
    let publish = cluster::publish(deps, "publish, nobody reads", 1 << 40, orders).await?;
    let merely = publish.per_second;
    measured.push(publish);

    let node = started(deps, false).await?;
    let count = Arc::default();
    let begun = tokio::time::Instant::now();
    let mut reading = Reading::begin(deps, &node).await?;
    reading.reached(orders).await?;
    let caught_up = orders as f64 / begun.elapsed().as_secs_f64();
    let begun = tokio::time::Instant::now();
    cluster::publish(deps, "publish", 2 << 40, orders).await?;
    reading.reached(2 * orders).await?;
    let published = orders as f64 / begun.elapsed().as_secs_f64();
    reading.end().await;

    let pace = |in_flight| Pace::Closed { in_flight };
    let new = |from| Orders::New { from };
    let before = cluster::heads(&*deps.log).await?;
    let commit =
        load::drive(&node, "commit path, 512 in flight", pace(512), new(3 << 40), orders, &count).await?;
    let committed = commit.per_second;
    measured.push(commit);
    let groups = cluster::groups(&*deps.log, &before).await?;
    let records: usize = groups.iter().map(|group| group.1.len() - 1).sum();
    let records_a_group = records as f64 / groups.len().max(1) as f64;

    let door = opened(deps, &node).await?;
    measured.push(cluster::ask(deps, "ask door, 512 in flight", 512, 4 << 40, orders).await?);
    measured.push(cluster::ask(deps, "ask door, 64 in flight", 64, 5 << 40, few).await?);
    measured.push(cluster::ask(deps, "ask door, 1 in flight", 1, 6 << 40, orders.min(1_000)).await?);
    door.close(stop).await;
    node.stop(stop).await;

    let raw = cluster::raw(deps, "raw batches, same records", &groups, false).await?;
    let full = cluster::raw(deps, "raw batches, with a deadline a record", &groups, true).await?;
    let notes = vec![
        lives_note,
        format!(
            "commit path: {:.2} of the raw batches of records, {:.2} of those with deadlines",
            committed / raw.per_second,
            committed / full.per_second
        ),
        format!(
            "publish door: {published:.0} published and decided a second, {:.2} of what is merely published; a backlog \
                 is read at {caught_up:.0} a second",
            published / merely
        ),
        format!(
            "{} partitions in {} streams of {} replica(s); {records_a_group:.1} records a group",
            deps.config.cluster.partitions, deps.config.cluster.shards, deps.config.nats.replicas
        ),
    ];
    measured.extend([raw, full]);
    Ok(All { measured, records_a_group, notes })
}

fn shown(all: &All) -> String {
    let mut text = format!("retailflow {} on {}\n", env!("CARGO_PKG_VERSION"), machine::describe());
    if cfg!(debug_assertions) {
        text.push_str("NOT a release build: these figures say nothing\n");
    }
    all.measured.iter().for_each(|measured| text.push_str(&measured.row()));
    all.notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}

fn shown_json(all: &All) -> String {
    let value = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"), "machine": machine::describe(),
        "release": !cfg!(debug_assertions), "measured": all.measured,
        "records_a_group": all.records_a_group, "notes": all.notes,
    });
    format!("{value:#}\n")
}
