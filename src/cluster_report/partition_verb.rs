//! `retailflow partition`: where partitions are, and putting one somewhere.

use std::time::Duration;

use retailflow_engine::ids::{NodeId, PartitionId};
use retailflow_engine::ports::Clock as _;
use retailflow_etcd::ClusterStatus;
use serde_json::json;

use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print, render};
use crate::cluster_report::{Cluster, existing, names, unreachable};
use crate::parked::ending::operator;
use retailflow_server::app::{self, SystemClock};
use retailflow_server::exit::Failure;

/// The commands under `partition`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// List all partitions: who is to run each and does, and the last group in its log
    #[command(after_help = "Example:
  retailflow partition list --etcd http://127.0.0.1:2379 --nats nats://127.0.0.1:4222")]
    List(ListArgs),
    /// Put a partition with a node, where it stays until `release`, unless the node goes or is emptied
    #[command(
        after_help = "Example:\n  retailflow partition move 7 n-2 --etcd http://127.0.0.1:2379 --wait 30"
    )]
    Move(MoveArgs),
    /// Let the plan decide again where a partition is
    #[command(after_help = "Example:\n  retailflow partition release 7 --etcd http://127.0.0.1:2379")]
    Release(ReleaseArgs),
}

/// Which cluster.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Which partition goes where.
#[derive(clap::Args, Debug)]
pub(crate) struct MoveArgs {
    /// The partition's number, from 0
    partition: u16,
    /// The node's name
    #[arg(value_parser = NodeId::parse)]
    node: NodeId,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Wait so long until the node runs it
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// Who does it, for the record
    #[arg(long, value_name = "NAME", default_value = "operator", value_parser = operator)]
    operator: String,
}

/// Which partition.
#[derive(clap::Args, Debug)]
pub(crate) struct ReleaseArgs {
    /// The partition's number, from 0
    partition: u16,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let (config, output) = (context.config.config, context.output);
    let shown = app::runtime()?.block_on(async {
        let cluster = match &args {
            Args::List(args) => &args.cluster,
            Args::Move(args) => &args.cluster,
            Args::Release(args) => &args.cluster,
        };
        let cluster = Cluster::reach(cluster, config).await?;
        let done = match &args {
            Args::List(_) => list(&cluster, output).await,
            Args::Move(args) => put(&cluster, args, output).await,
            Args::Release(args) => release(&cluster, args.partition, output).await,
        };
        cluster.close().await;
        done
    });
    print(&shown?)
}

async fn list(cluster: &Cluster, output: Output) -> Result<String, Failure> {
    let view = cluster.view().await?;
    Ok(match output {
        Output::Json => format!("{:#}\n", view.partitions_json()),
        Output::Table => view.partitions_text(),
    })
}

async fn put(cluster: &Cluster, args: &MoveArgs, output: Output) -> Result<String, Failure> {
    let MoveArgs { node, operator, .. } = args;
    let status = cluster.status().await?;
    let partition = existing(&status, args.partition)?;
    match status.nodes.iter().find(|is| is.node == *node) {
        None => {
            let text = format!("no node {node} is there ({}): it would have no effect", names(&status));
            return Err(Failure::refused(text));
        }
        Some(is) if is.draining => {
            return Err(Failure::refused(format!(
                "{node} is being emptied and is given no partition: `retailflow node undrain {node}` first"
            )));
        }
        Some(_) => {}
    }
    cluster.admin.pin(partition, node, operator, SystemClock.now()).await.map_err(unreachable)?;
    let mut shown = json!({ "partition": partition.0, "pinned": node.as_str() });
    let Some(seconds) = args.wait else {
        let text = format!("partition {} goes to {node} and stays there\n", partition.0);
        return Ok(render(&shown, text, output));
    };
    let there = |status: &ClusterStatus| match claimed(status, partition) {
        Some(owner) if owner == node.as_str() => Ok(()),
        Some(owner) => Err(format!("partition {} is with {owner}", partition.0)),
        None => Err(format!("partition {} is with nobody", partition.0)),
    };
    let took = cluster.wait_for(Duration::from_secs(seconds), there).await?;
    shown["took_ms"] = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into();
    let text = format!(
        "partition {} is with {node}, after {:.1} s, and stays there\n",
        partition.0,
        took.as_secs_f64()
    );
    Ok(render(&shown, text, output))
}

fn claimed(status: &ClusterStatus, partition: PartitionId) -> Option<&str> {
    status.partitions.get(usize::from(partition.0))?.claimed.as_deref()
}

async fn release(cluster: &Cluster, partition: u16, output: Output) -> Result<String, Failure> {
    let partition = existing(&cluster.status().await?, partition)?;
    if !cluster.admin.unpin(partition).await.map_err(unreachable)? {
        let text = format!(
            "partition {} was not put anywhere; `retailflow partition list` shows which are",
            partition.0
        );
        return Err(Failure::finding(text));
    }
    let shown = json!({ "partition": partition.0, "pinned": null });
    Ok(render(&shown, format!("where partition {} is, the plan decides again\n", partition.0), output))
}
