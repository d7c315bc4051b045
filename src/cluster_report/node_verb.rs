//! `retailflow node`: the nodes of a cluster, and emptying one.

use std::time::Duration;

use retailflow_engine::ids::NodeId;
use retailflow_engine::ports::Clock as _;
use retailflow_etcd::ClusterStatus;
use serde_json::json;

use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print, render};
use crate::cluster_report::{Cluster, claims_of, names, unreachable};
use crate::parked::ending::operator;
use retailflow_server::app::{self, SystemClock};
use retailflow_server::exit::Failure;

/// The commands under `node`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// List the nodes that are there
    #[command(after_help = "Example:\n  retailflow node list --etcd http://127.0.0.1:2379")]
    List(ListArgs),
    /// Empty a node: others take its partitions over, and it is given none, also after a restart, until `undrain`
    #[command(after_help = "Examples:
  retailflow node drain n-1 --etcd http://127.0.0.1:2379 --wait 60
  retailflow node drain n-1 --dry-run")]
    Drain(DrainArgs),
    /// Let a node have partitions again
    #[command(after_help = "Example:\n  retailflow node undrain n-1 --etcd http://127.0.0.1:2379")]
    Undrain(UndrainArgs),
    /// Miss a node no more: it is gone for good, and `doctor` need not name it
    #[command(after_help = "Example:\n  retailflow node forget n-1 --etcd http://127.0.0.1:2379")]
    Forget(UndrainArgs),
}

/// Which cluster.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Which node, and how.
#[derive(clap::Args, Debug)]
pub(crate) struct DrainArgs {
    /// The node's name
    #[arg(value_parser = NodeId::parse)]
    node: NodeId,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Wait so long until it has no partition left
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// Tell what would be done and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it also where nobody is left to take its partitions over, or no such node is there
    #[arg(long)]
    yes: bool,
    /// Who does it, for the record
    #[arg(long, value_name = "NAME", default_value = "operator", value_parser = operator)]
    operator: String,
}

/// Which node.
#[derive(clap::Args, Debug)]
pub(crate) struct UndrainArgs {
    /// The node's name
    #[arg(value_parser = NodeId::parse)]
    node: NodeId,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let (config, output) = (context.config.config, context.output);
    let shown = app::runtime()?.block_on(async {
        let cluster = match &args {
            Args::List(args) => &args.cluster,
            Args::Drain(args) => &args.cluster,
            Args::Undrain(args) | Args::Forget(args) => &args.cluster,
        };
        let cluster = Cluster::reach(cluster, config).await?;
        let done = match &args {
            Args::List(_) => list(&cluster, output).await,
            Args::Drain(args) => drain(&cluster, args, output).await,
            Args::Undrain(args) => undrain(&cluster, &args.node, output).await,
            Args::Forget(args) => forget(&cluster, &args.node, output).await,
        };
        cluster.close().await;
        done
    });
    print(&shown?)
}

async fn list(cluster: &Cluster, output: Output) -> Result<String, Failure> {
    let view = cluster.view().await?;
    Ok(match output {
        Output::Json => format!("{:#}\n", view.nodes_json()),
        Output::Table => view.nodes_text(),
    })
}

async fn drain(cluster: &Cluster, args: &DrainArgs, output: Output) -> Result<String, Failure> {
    let node = &args.node;
    let status = cluster.status().await?;
    let claimed = claims_of(&status, node);
    if !args.yes && !args.dry_run {
        meant(&status, node)?;
    }
    let mut shown = json!({ "node": node.as_str(), "partitions": claimed, "dry_run": args.dry_run });
    if args.dry_run {
        let mut text = format!("{node} would be emptied: {claimed} partitions would go to others\n");
        if let Err(failure) = meant(&status, node) {
            text.push_str(&format!("it would be refused: {failure}\n"));
        }
        return Ok(render(&shown, text, output));
    }
    cluster.admin.drain(node, &args.operator, SystemClock.now()).await.map_err(unreachable)?;
    let Some(seconds) = args.wait else {
        let text = format!(
            "{node} is being emptied of {claimed} partitions; `retailflow node list` shows how far it is\n"
        );
        return Ok(render(&shown, text, output));
    };
    let empty = |status: &ClusterStatus| match claims_of(status, node) {
        0 => Ok(()),
        left => Err(format!("{node} has {left} partitions left")),
    };
    let took = cluster.wait_for(Duration::from_secs(seconds), empty).await?;
    shown["took_ms"] = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into();
    let text =
        format!("{node} is empty: {claimed} partitions went to others in {:.1} s\n", took.as_secs_f64());
    Ok(render(&shown, text, output))
}

/// Emptying the last node stops the cluster, and one that is not there is mostly a slip of the pen.
fn meant(status: &ClusterStatus, node: &NodeId) -> Result<(), Failure> {
    if !status.nodes.iter().any(|is| is.node == *node) {
        return Err(Failure::refused(format!(
            "no node {node} is there ({}): repeat with --yes to have it empty when it comes",
            names(status)
        )));
    }
    if !status.nodes.iter().any(|is| is.node != *node && !is.draining) {
        return Err(Failure::refused(format!(
            "nobody else is there to take the partitions of {node} over, and they would stand still: start another node, \
             or repeat with --yes"
        )));
    }
    Ok(())
}

async fn forget(cluster: &Cluster, node: &NodeId, output: Output) -> Result<String, Failure> {
    let status = cluster.status().await?;
    if status.nodes.iter().any(|is| is.node == *node) {
        return Err(Failure::refused(format!("{node} is there: stop it, then it is missed by nobody")));
    }
    match cluster.admin.forget(node).await.map_err(unreachable)? {
        true => {
            let shown = json!({ "node": node.as_str(), "forgotten": true });
            Ok(render(&shown, format!("{node} is missed no more\n"), output))
        }
        false => Err(Failure::finding(format!("no node {node} is missed"))),
    }
}

async fn undrain(cluster: &Cluster, node: &NodeId, output: Output) -> Result<String, Failure> {
    if !cluster.admin.undrain(node).await.map_err(unreachable)? {
        return Err(Failure::finding(format!(
            "{node} was not being emptied; `retailflow node list` shows who is"
        )));
    }
    let shown = json!({ "node": node.as_str(), "draining": false });
    Ok(render(&shown, format!("{node} is given partitions again\n"), output))
}
