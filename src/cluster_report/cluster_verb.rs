//! `retailflow cluster`: who is there, and how far the partitions have got.

use std::time::Duration;

use retailflow_nats::{DoorStreams, Drift, Topology, TopologyError};
use serde_json::json;

use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print, render};
use crate::cluster_report::recover_verb::{self, RecoverArgs};
use crate::cluster_report::{self, Cluster};
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit as _};

/// For what is still to be sent.
const CLOSE_MAX: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  retailflow cluster status --etcd http://127.0.0.1:2379 --nats nats://127.0.0.1:4222
  retailflow cluster status --partitions -o json

LAG counts positions of the stream of commands between what a partition has dealt with and its last command: so many commands
wait at most. That of a node is the greatest of its partitions'. A partition that only reads says every 30 s how far it has got (`cluster.floor_ms`). Without --nats only
what etcd knows is shown.";

/// The commands under `cluster`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Show the nodes, who leads, and what each node runs; with --partitions also each partition
    #[command(after_help = EXAMPLES)]
    Status(StatusArgs),
    /// Delete the stream of published commands that was stopped, when all in it is decided, and make it again
    #[command(after_help = recover_verb::EXAMPLES)]
    RecoverCommands(RecoverArgs),
    /// Put the settings of the streams back to what the configuration asks for; makes and deletes nothing
    #[command(after_help = "Examples:
  retailflow cluster repair-streams --nats nats://127.0.0.1:4222 --dry-run
  retailflow --config cluster.toml cluster repair-streams")]
    RepairStreams(RepairStreamsArgs),
}

/// Which cluster's, and whether in earnest.
#[derive(clap::Args, Debug)]
pub(crate) struct RepairStreamsArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Tell what differs and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is shown, of which cluster.
#[derive(clap::Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Also each partition: who is to run it and does, and the last group in its log
    #[arg(long)]
    partitions: bool,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let args = match args {
        Args::Status(args) => args,
        Args::RepairStreams(args) => return repair_streams(&args, context),
        Args::RecoverCommands(args) => {
            let (config, output) = (context.config.config, context.output);
            return print(&app::runtime()?.block_on(recover_verb::exec(&args, config, output))?);
        }
    };
    let shown = app::runtime()?.block_on(async {
        let cluster = Cluster::reach(&args.cluster, context.config.config).await?;
        let viewed = cluster.view().await;
        cluster.close().await;
        let view = viewed?;
        Ok::<_, Failure>(match context.output {
            Output::Json => format!("{:#}\n", view.json(args.partitions)),
            Output::Table => view.text(args.partitions),
        })
    });
    print(&shown?)
}

fn repair_streams(args: &RepairStreamsArgs, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    args.cluster.apply_with_nats(&mut config)?;
    let (drift, missing) = app::runtime()?.block_on(async {
        let (connections, log) = cluster_report::log(&config).await?;
        let (partitions, replicas) = (log.partitions, config.nats.replicas);
        let topology = Topology { partitions, shards: log.shards, replicas };
        let commands_max_bytes = Some(config.nats.commands_max_bytes);
        let doors = DoorStreams { partitions, replicas, commands_max_bytes };
        let put_back = async {
            let mut drift = topology.put_back(&connections, args.dry_run).await?;
            drift.extend(doors.put_back(&connections, args.dry_run).await?);
            let mut missing = topology.compare(&connections).await?.missing;
            missing.extend(doors.compare(&connections).await?.missing);
            Ok::<_, TopologyError>((drift, missing))
        };
        let drift = put_back.await;
        connections.close(CLOSE_MAX).await;
        drift.or_exit(ExitStatus::Refused, || "not all streams are as they should be")
    })?;
    let shown: Vec<_> = drift
        .iter()
        .map(|drift| json!({ "stream": drift.stream, "field": drift.field, "found": drift.found, "wanted": drift.wanted }))
        .collect();
    let done = if args.dry_run { "would be put back" } else { "was put back" };
    let line = |drift: &Drift| {
        format!("{}: {} {done} from {} to {}\n", drift.stream, drift.field, drift.found, drift.wanted)
    };
    let text = match drift.is_empty() {
        true if !missing.is_empty() => String::new(),
        true => "all streams are as they should be\n".to_owned(),
        false => drift.iter().map(line).collect(),
    };
    let shown = json!({ "dry_run": args.dry_run, "drift": shown, "missing": missing });
    print(&render(&shown, text, context.output))?;
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Failure::finding(format!(
            "missing: {}; this makes no stream: `retailflow doctor` says for each what does",
            missing.join(", ")
        ))),
    }
}
