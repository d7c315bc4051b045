//! Where a cluster is, as all commands take it that speak to one.

use retailflow_config::{Config, checked_flag};

use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::serve::cluster::list;

/// The servers of a cluster. The variables are read with the configuration: a flag wins over each of them.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct ClusterArgs {
    /// The NATS servers, over `nats.servers` [env: RETAILFLOW_NATS]
    #[arg(long, value_name = "URL[,URL]")]
    pub(crate) nats: Option<String>,
    /// The etcd servers, over `etcd.endpoints` [env: RETAILFLOW_ETCD]
    #[arg(long, value_name = "URL[,URL]")]
    pub(crate) etcd: Option<String>,
    /// The cluster's name, over `log.cluster` [env: RETAILFLOW_CLUSTER]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
}

impl ClusterArgs {
    /// Whether a cluster is meant by a flag or by [`NATS_VARIABLE`], not by a file that happens to name one.
    pub(crate) fn is_given(&self) -> bool {
        self.nats.is_some() || variable(NATS_VARIABLE).is_some()
    }

    /// As [`Self::apply`], for commands that cannot do without a log.
    pub(crate) fn apply_with_nats(&self, config: &mut Config) -> Result<(), Failure> {
        self.apply(config)?;
        match list(&config.nats.servers).is_empty() {
            true => Err(Failure::usage(
                "--nats URL (or RETAILFLOW_NATS, or nats.servers) says where the cluster's log is",
            )),
            false => Ok(()),
        }
    }

    /// What is given takes the place of what is configured, under the same rules.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<(), Failure> {
        let set = |key: &str, flag: &str, given: &Option<String>, to: &mut String| {
            if let Some(given) = given {
                *to = checked_flag(key, given).or_exit(ExitStatus::Usage, || format!("put {flag} right"))?;
            }
            Ok(())
        };
        set("nats.servers", "--nats", &self.nats, &mut config.nats.servers)?;
        set("etcd.endpoints", "--etcd", &self.etcd, &mut config.etcd.endpoints)?;
        set("log.cluster", "--cluster", &self.cluster, &mut config.log.cluster)
    }
}

/// What says where the log is, mostly.
pub(crate) const NATS_VARIABLE: &str = "RETAILFLOW_NATS";

/// An environment variable, if it says something.
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|text| !text.is_empty())
}
