//! `retailflow serve`: the engine as a server.

use std::net::SocketAddr;
use std::path::PathBuf;

use retailflow_engine::ids::NodeId;

use crate::cli::Context;
use crate::cli::cluster_args::ClusterArgs;
use crate::cli::kind::KindArg;
use retailflow_server::exit::Failure;
use retailflow_server::participants::{Kind, sync_of};
use retailflow_server::serve;
use retailflow_server::serve::cluster::labels::{collect_labels, parse_label};
use retailflow_server::serve::cluster::{Member, list};

const EXAMPLES: &str = "\
Examples:
  retailflow serve --data data
  retailflow serve --data data --listen 127.0.0.1:9000 --participants flaky --seed 7
  curl -s 127.0.0.1:8080/readyz

  One node of many (docs/cluster.md):
    retailflow serve --nats nats://10.0.0.1:4222 --etcd http://10.0.0.1:2379 --node n-1

It stops in good order on SIGTERM, SIGINT, SIGQUIT or SIGHUP (unless started with nohup): it says that it is not ready, answers what is under way, and ends; a second
signal ends it at once. Nothing that was answered is lost either way.";

/// The arguments of `serve`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The data directory: log, index and tenants; with --nats only snapshots, and it may be left out
    #[arg(long, env = "RETAILFLOW_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// This node's name, with --nats: no other one may have it; default: host name and process id
    #[arg(long, value_name = "NAME", env = "RETAILFLOW_NODE", value_parser = NodeId::parse)]
    pub(crate) node: Option<NodeId>,
    /// This node's share of the partitions against the others', with --nats
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) weight: u32,
    /// What this node is, with --nats: where `cluster.required_labels` asks for it, only such nodes run partitions; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Start although the log gives less than `cluster.durability` asks for: answered commands can be lost
    #[arg(long)]
    pub(crate) accept_weaker_durability: bool,
    /// Where tenants' systems connect, over `http.listen`; port 0 takes a free one [env: RETAILFLOW_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where operators connect, over `http.admin_listen` [env: RETAILFLOW_ADMIN_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Listen where others than this machine can connect, although nobody is asked who they are
    #[arg(long)]
    pub(crate) insecure: bool,
    /// What stock, payments and shipping are like: their books are kept in DIR/participants; with --nats they are shared
    #[arg(long, value_enum)]
    pub(crate) participants: Option<KindArg>,
    /// What the faults of flaky participants are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Refuse to make a data directory: for a server that has one, so that a wrong path or a missing mount is noticed
    #[arg(long, env = "RETAILFLOW_EXISTING")]
    pub(crate) existing: bool,
    /// Participants answer before their books are on disk: faster, and after a power cut they may be behind the log
    #[arg(long)]
    pub(crate) participants_unsynced: bool,
    /// Take commands in and leave all steps to a later run: for measurements
    #[arg(long, hide = true)]
    pub(crate) intake_only: bool,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    config.http.listen = args.listen.unwrap_or(config.http.listen);
    config.http.admin_listen = args.admin_listen.unwrap_or(config.http.admin_listen);
    args.cluster.apply(&mut config)?;
    let many = !list(&config.nats.servers).is_empty();
    let participants =
        args.participants.map(Kind::from).unwrap_or(if many { Kind::Shared } else { Kind::Perfect });
    let options = serve::Options {
        insecure: args.insecure,
        existing: args.existing,
        participants,
        seed: args.seed,
        book_sync: sync_of(args.participants_unsynced),
        drives_effects: !args.intake_only,
    };
    if many && list(&config.etcd.endpoints).is_empty() {
        return Err(Failure::usage(
            "nats.servers is set and etcd.endpoints is \"off\": nobody would say which node runs which partition, and this one would run \
             none. Give --etcd URL (or RETAILFLOW_ETCD, or etcd.endpoints); or set nats.servers to \"off\" for one node with a data \
             directory of its own",
        ));
    }
    if !many && !list(&config.etcd.endpoints).is_empty() {
        tracing::warn!(
            event = "etcd_ignored",
            "etcd.endpoints is set and nats.servers is \"off\": this is the only node of its log, and etcd is not asked"
        );
    }
    if many {
        let member = Member {
            node: args.node.map_or_else(own_name, Ok)?,
            weight: args.weight,
            labels: collect_labels(args.labels).map_err(Failure::usage)?,
            accept_weaker_durability: args.accept_weaker_durability,
        };
        return serve::cluster::run(args.data.as_deref(), config, &options, &member);
    }
    let data = args
        .data
        .ok_or_else(|| Failure::usage("--data names the data directory; --nats the servers of a cluster"))?;
    serve::run(&data, config, &options)
}

/// A name that no other process has now.
fn own_name() -> Result<NodeId, Failure> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let host: String = host.trim().chars().take(40).map(plain).collect();
    let name = format!("{}-{}", if host.is_empty() { "node" } else { &host }, std::process::id());
    NodeId::parse(&name)
        .map_err(|error| Failure::usage(format!("give a --node NAME: {name} is none: {error}")))
}
