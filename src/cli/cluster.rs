//! `retailflow cluster`: who is there, and how far the partitions have got.

use crate::app;
use crate::cli::cluster_args::ClusterArgs;
use crate::cli::cluster_recover::{self, RecoverArgs};
use crate::cli::{Context, Output, print};
use crate::exit::Failure;
use crate::many::Cluster;

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
    #[command(after_help = cluster_recover::EXAMPLES)]
    RecoverCommands(RecoverArgs),
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
        Args::RecoverCommands(args) => {
            let (config, output) = (context.config.config, context.output);
            return print(&app::runtime()?.block_on(cluster_recover::exec(&args, config, output))?);
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
