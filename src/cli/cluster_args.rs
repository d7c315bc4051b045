//! Where a cluster is, as all commands take it that speak to one.

use retailflow_config::Config;

use crate::exit::Failure;
use crate::serve::cluster::list;

/// The servers of a cluster.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct ClusterArgs {
    /// The NATS servers, over `nats.servers`
    #[arg(long, value_name = "URL[,URL]", env = "RETAILFLOW_NATS")]
    pub(crate) nats: Option<String>,
    /// The etcd servers, over `etcd.endpoints`
    #[arg(long, value_name = "URL[,URL]", env = "RETAILFLOW_ETCD")]
    pub(crate) etcd: Option<String>,
    /// The cluster's name, over `log.cluster`
    #[arg(long, value_name = "NAME", env = "RETAILFLOW_CLUSTER")]
    pub(crate) cluster: Option<String>,
}

impl ClusterArgs {
    /// Whether a cluster is meant.
    pub(crate) fn is_given(&self) -> bool {
        self.nats.is_some()
    }

    /// As [`Self::apply`], for commands that cannot do without a log.
    pub(crate) fn apply_with_nats(&self, config: &mut Config) -> Result<(), Failure> {
        self.apply(config);
        match list(&config.nats.servers).is_empty() {
            true => Err(Failure::usage(
                "--nats URL (or RETAILFLOW_NATS, or nats.servers) says where the cluster's log is",
            )),
            false => Ok(()),
        }
    }

    /// What is given takes the place of what is configured.
    pub(crate) fn apply(&self, config: &mut Config) {
        let set = |given: &Option<String>, to: &mut String| {
            if let Some(given) = given {
                to.clone_from(given);
            }
        };
        set(&self.nats, &mut config.nats.servers);
        set(&self.etcd, &mut config.etcd.endpoints);
        set(&self.cluster, &mut config.log.cluster);
    }
}
