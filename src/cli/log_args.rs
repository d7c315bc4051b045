//! A log, as commands take it that work on a data directory, at a server, and on a cluster.

use std::path::PathBuf;

use retailflow_config::Config;

use crate::cli::cluster_args::{ClusterArgs, variable};
use crate::cli::place::AdminArgs;
use crate::client::Client;
use retailflow_server::exit::Failure;
use retailflow_server::serve::cluster::list;

/// A data directory that no process runs, a server's door for operators, or a cluster's log.
#[derive(clap::Args, Debug)]
pub(crate) struct LogArgs {
    /// The data directory: log, index and tenants [env: RETAILFLOW_DATA]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// What was chosen.
pub(crate) enum LogPlace {
    /// A data directory.
    Data(PathBuf),
    /// A server that runs.
    Server(Client),
    /// A cluster, as it stands in the configuration now.
    Cluster,
}

const WHERE: &str = "--data DIR, --admin URL (or --context NAME) and --nats URL";

impl LogArgs {
    /// The place that is named, and its settings put into `config`. A flag wins over the environment, and that over a file.
    pub(crate) fn open(&self, config: &mut Config) -> Result<LogPlace, Failure> {
        let by_flag = self.cluster.nats.is_some();
        self.cluster.apply(config)?;
        let (admin, cluster) = (self.admin.is_given(), self.cluster.is_given());
        match (&self.data, admin, by_flag) {
            (Some(data), false, false) => return Ok(LogPlace::Data(data.clone())),
            (None, true, false) => return self.admin.open().map(LogPlace::Server),
            (None, false, _) => {}
            _ => return Err(Failure::usage(format!("give one of {WHERE}, not more"))),
        }
        let server =
            ["RETAILFLOW_ADMIN", "RETAILFLOW_CONTEXT"].into_iter().any(|name| variable(name).is_some());
        match variable("RETAILFLOW_DATA").filter(|_| !cluster) {
            Some(_) if server => Err(Failure::usage(format!(
                "the environment names a data directory and a server: give one of {WHERE}"
            ))),
            Some(data) => Ok(LogPlace::Data(PathBuf::from(data))),
            None if !cluster && server => self.admin.open().map(LogPlace::Server),
            None if !list(&config.nats.servers).is_empty() => Ok(LogPlace::Cluster),
            None => Err(Failure::usage(format!("say where: give one of {WHERE}"))),
        }
    }
}
