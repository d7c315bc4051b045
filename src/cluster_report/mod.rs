//! A cluster as operators reach it: its etcd, and its log where that is named.

pub(crate) mod cluster_verb;
pub(crate) mod node_verb;
pub(crate) mod partition_verb;
pub(crate) mod recover_verb;
pub(crate) mod table;
pub(crate) mod view;

use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::{NodeId, PartitionId};
use retailflow_engine::ports::LogIdentity;
use retailflow_etcd::{ClusterAdmin, ClusterStatus, EtcdError};
use retailflow_nats::{Connections, found_identity, redacted_address};
use tokio::time::{Instant, sleep};

use crate::cli::cluster_args::ClusterArgs;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::serve::cluster::{list, nats_options};

/// For what is still to be sent.
pub(crate) const CLOSE_MAX: Duration = Duration::from_secs(5);
/// Between two looks at what is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A connection to NATS as flags and configuration have it.
pub(crate) async fn connect(config: &Config, name: &str) -> Result<Connections, Failure> {
    let opened = Connections::open(&nats_options(config, name)).await;
    opened.or_exit(ExitStatus::Unreachable, || {
        let servers: Vec<String> =
            list(&config.nats.servers).iter().map(|one| redacted_address(one)).collect();
        format!("cannot connect to NATS at {} (--nats, nats.servers)", servers.join(", "))
    })
}

/// A cluster that was reached.
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) admin: ClusterAdmin,
    pub(crate) log: Option<(Connections, LogIdentity)>,
}

impl Cluster {
    /// Connects to etcd, and to NATS where it is named.
    pub(crate) async fn reach(args: &ClusterArgs, mut config: Config) -> Result<Self, Failure> {
        args.apply(&mut config)?;
        let endpoints = list(&config.etcd.endpoints);
        if endpoints.is_empty() {
            let text = "--etcd URL (or RETAILFLOW_ETCD, or etcd.endpoints) says where the cluster's etcd is";
            return Err(Failure::usage(text));
        }
        let name = config.log.cluster.clone();
        let log = if list(&config.nats.servers).is_empty() { None } else { Some(log(&config).await?) };
        let partitions = log.as_ref().map_or(config.cluster.partitions, |(_, log)| log.partitions);
        let admin = ClusterAdmin::connect(&endpoints, &name, partitions).await.map_err(unreachable)?;
        Ok(Self { name, admin, log })
    }

    /// Who is there, and who owns what.
    pub(crate) async fn status(&self) -> Result<ClusterStatus, Failure> {
        self.admin.status().await.map_err(unreachable)
    }

    /// Waits until `done` says so of the cluster; gives how long it took, or what it said last.
    pub(crate) async fn wait_for(
        &self,
        at_most: Duration,
        mut done: impl FnMut(&ClusterStatus) -> Result<(), String>,
    ) -> Result<Duration, Failure> {
        let begun = Instant::now();
        loop {
            match done(&self.status().await?) {
                Ok(()) => return Ok(begun.elapsed()),
                Err(why) if begun.elapsed() >= at_most => {
                    let text = format!("not within {} s: {why}; it goes on", at_most.as_secs());
                    return Err(Failure::finding(text));
                }
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Closes what is open.
    pub(crate) async fn close(self) {
        if let Some((connections, _)) = self.log {
            connections.close(CLOSE_MAX).await;
        }
    }
}

/// What etcd did not do.
pub(crate) fn unreachable(error: EtcdError) -> Failure {
    Failure::unreachable(format!("{error}; `retailflow doctor` tells which endpoint answers"))
}

/// The log that a configuration names; it is there, and it is the one that is meant.
pub(crate) async fn log(config: &Config) -> Result<(Connections, LogIdentity), Failure> {
    let connections = connect(config, "retailflow operator").await?;
    let found = found_identity(&connections).await;
    let found = found.or_exit(ExitStatus::Unreachable, || "cannot read what log this is")?;
    let Some(log) = found else {
        return Err(Failure::finding(
            "there is no log on this NATS yet: the first node makes it (`retailflow serve`)",
        ));
    };
    if log.cluster != config.log.cluster {
        return Err(Failure::refused(format!(
            "the log on this NATS belongs to the cluster {:?}, and --cluster (log.cluster) is {:?}: name the right one",
            log.cluster, config.log.cluster
        )));
    }
    Ok((connections, log))
}

/// How many partitions a node has claimed.
pub(crate) fn claims_of(status: &ClusterStatus, node: &NodeId) -> usize {
    status.partitions.iter().filter(|one| one.claimed.as_deref() == Some(node.as_str())).count()
}

/// The partition of this number, if there is one.
pub(crate) fn existing(status: &ClusterStatus, partition: u16) -> Result<PartitionId, Failure> {
    let count = status.partitions.len();
    match usize::from(partition) < count {
        true => Ok(PartitionId(partition)),
        false => {
            Err(Failure::usage(format!("partition {partition} is none: there are {count}, counted from 0")))
        }
    }
}

/// The nodes that are there, for messages.
pub(crate) fn names(status: &ClusterStatus) -> String {
    let names: Vec<&str> = status.nodes.iter().map(|node| node.node.as_str()).collect();
    if names.is_empty() { "none is there".into() } else { format!("there are {}", names.join(", ")) }
}
