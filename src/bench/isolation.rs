//! `retailflow bench isolation`: what all others feel while one part is sick.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::EventLog as _;
use retailflow_engine::wire::Durability;
use retailflow_measure::raw_limit::move_stream;
use retailflow_nats::replica_status;
use retailflow_nats::subjects::{shard_of, stream as stream_of};

use crate::bench::cluster::on_empty_servers;
use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print};
use retailflow_measure::isolation::{self, Felt, Frozen, Load, Part};
use retailflow_measure::machine;
use retailflow_server::app::{self, Make};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::participants::instant::Instant;
use retailflow_server::serve::cluster::cluster_deps::ClusterDeps;

const EXAMPLES: &str = "\
Examples:
  retailflow bench isolation
  retailflow bench isolation --part log --seconds 60 --json

On three NATS servers that hold nothing else, of which one, named n3, is stopped (SIGSTOP) and goes on afterwards:
  retailflow bench isolation --part log --nats nats://127.0.0.1:4222,nats://127.0.0.1:4223 --set nats.replicas=1 \\
    --freeze n3=PID";

/// What is sick.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartArg {
    /// Some partitions' log answers nobody
    Log,
    /// Payments answer nobody
    Participant,
    /// One tenant publishes a thousand commands a second that are refused
    Refusals,
}

impl From<PartArg> for Part {
    fn from(part: PartArg) -> Self {
        match part {
            PartArg::Log => Self::Log,
            PartArg::Participant => Self::Participant,
            PartArg::Refusals => Self::Refusals,
        }
    }
}

/// The arguments of `bench isolation`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IsolationBench {
    /// What is sick; may be repeated [default: each, one after the other]
    #[arg(long, value_name = "WHAT", value_enum)]
    part: Vec<PartArg>,
    /// How long all is well, then one part is sick, then all is well again
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Callers of what is well; as many ask for orders of the partitions that are sick
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    callers: u16,
    /// Where to measure; an own folder is made in it and removed afterwards [default: the current directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// With --nats: the server whose process is stopped, by its name, which is among its tags, and its process id; one stream of
    /// the log is moved there, and the partitions that it keeps alone are the sick ones
    #[arg(long, value_name = "SERVER=PID", requires = "nats")]
    freeze: Option<String>,
    /// The same as `-o json`
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn exec(args: &IsolationBench, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    args.cluster.apply(&mut config)?;
    let parts = match args.part.as_slice() {
        [] => vec![Part::Log, Part::Participant, Part::Refusals],
        given => given.iter().copied().map(Part::from).collect(),
    };
    let load = Load { each: Duration::from_secs(args.seconds), callers: args.callers.into() };
    let felt: Vec<Felt> = match args.cluster.is_given() {
        true => parts.iter().map(|part| on_servers(args, &config, *part, load)).collect::<Result<_, _>>()?,
        false => parts.iter().map(|part| here(args, &config, *part, load)).collect::<Result<_, _>>()?,
    };
    if args.json || context.output == Output::Json {
        let value = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "machine": machine::describe(),
            "release": !cfg!(debug_assertions), "felt": felt,
        });
        return print(&format!("{value:#}\n"));
    }
    let mut text = format!("retailflow {} on {}\n", env!("CARGO_PKG_VERSION"), machine::describe());
    if cfg!(debug_assertions) {
        text.push_str("NOT a release build: these figures say nothing\n");
    }
    felt.iter().for_each(|felt| text.push_str(&felt.rows()));
    print(&text)
}

/// On a data directory of its own.
fn here(args: &IsolationBench, config: &Config, part: Part, load: Load) -> Result<Felt, Failure> {
    let base = args.data.clone().unwrap_or_else(|| PathBuf::from("."));
    let folder = base.join(format!("retailflow-bench-{}", std::process::id()));
    let felt = in_folder(&folder, config, part, load);
    let removed = std::fs::remove_dir_all(&folder);
    let felt = felt?;
    removed.or_exit(ExitStatus::Unreachable, || format!("cannot remove {}", folder.display()))?;
    Ok(felt)
}

fn in_folder(folder: &Path, config: &Config, part: Part, load: Load) -> Result<Felt, Failure> {
    let runtime = app::runtime()?;
    let store = app::open(folder, config, Make::IfMissing)?;
    let ports = store.ports(Arc::new(Instant::default()).participants());
    let sick = BTreeSet::from([PartitionId(0)]);
    let felt = runtime.block_on(isolation::measure(config, ports, part, sick, None, load));
    store.close();
    felt.or_exit(ExitStatus::Unreachable, || "the measurement failed")
}

/// On NATS servers that hold nothing.
fn on_servers(args: &IsolationBench, config: &Config, part: Part, load: Load) -> Result<Felt, Failure> {
    let freeze = args.freeze.as_deref().map(parsed).transpose()?;
    on_empty_servers(config, async |deps| on(&deps, part, freeze, load).await)
}

fn parsed(text: &str) -> Result<(String, Frozen), Failure> {
    let parsed = text.split_once('=').and_then(|(server, pid)| {
        let pid = rustix::process::Pid::from_raw(pid.parse().ok()?)?;
        Some((server.to_owned(), Frozen(pid)))
    });
    parsed.ok_or_else(|| {
        Failure::usage(format!(
            "--freeze {text:?}: give the server's name and its process id, such as n3=4711"
        ))
    })
}

async fn on(
    deps: &ClusterDeps,
    part: Part,
    freeze: Option<(String, Frozen)>,
    load: Load,
) -> anyhow::Result<Felt> {
    let identity = deps.log.identity();
    let kept_there: BTreeSet<String> = match &freeze {
        None => BTreeSet::from([stream_of(0)]),
        Some((server, _)) => {
            // With one copy the servers keep all where there is most room.
            let moved = move_stream(&deps.connections, &stream_of(0), server).await;
            moved.with_context(|| format!("a stream cannot be moved: is {server} among its server_tags?"))?;
            let all = replica_status(&deps.connections, identity.shards)
                .await
                .context("the streams are not known")?;
            let there = all.into_iter().filter(|copies| copies.leader.as_deref() == Some(server.as_str()));
            there.map(|copies| copies.stream).collect()
        }
    };
    let sick: BTreeSet<PartitionId> = (0..identity.partitions)
        .map(PartitionId)
        .filter(|partition| kept_there.contains(&stream_of(shard_of(*partition, identity.shards))))
        .collect();
    anyhow::ensure!(
        !sick.is_empty() && sick.len() < usize::from(identity.partitions),
        "the server keeps {} of {} partitions: name another one, or try again",
        sick.len(),
        identity.partitions
    );
    let ports = deps.ports(Arc::new(Instant::default()).participants(), Durability::MEMORY.into());
    let frozen = freeze.map(|(_, frozen)| frozen);
    isolation::measure(&deps.config, ports, part, sick, frozen, load).await
}
