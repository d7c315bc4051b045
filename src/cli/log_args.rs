//! A log, as commands take it that work on a data directory and on a cluster.

use std::path::PathBuf;

use retailflow_config::Config;

use crate::cli::cluster_args::{ClusterArgs, variable};
use crate::exit::Failure;
use crate::serve::cluster::list;

/// A data directory that no process runs, or a cluster's log.
#[derive(clap::Args, Debug)]
pub(crate) struct LogArgs {
    /// The data directory: log, index and tenants [env: RETAILFLOW_DATA]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LogPlace {
    /// A data directory.
    Data(PathBuf),
    /// A cluster, as it stands in the configuration now.
    Cluster,
}

impl LogArgs {
    /// The place that is named, and its settings put into `config`. A flag wins over the environment, and that over a file.
    pub(crate) fn open(&self, config: &mut Config) -> Result<LogPlace, Failure> {
        let by_flag = self.cluster.nats.is_some();
        self.cluster.apply(config)?;
        let by_variable = variable("RETAILFLOW_DATA").filter(|_| !self.cluster.is_given());
        let data = match (&self.data, by_variable) {
            (Some(_), _) if by_flag => {
                return Err(Failure::usage("give one of --data DIR and --nats URL, not both"));
            }
            (Some(data), _) => Some(data.clone()),
            (None, data) => data.map(PathBuf::from),
        };
        match data {
            Some(data) => Ok(LogPlace::Data(data)),
            None if !list(&config.nats.servers).is_empty() => Ok(LogPlace::Cluster),
            None => Err(Failure::usage("say where: give --data DIR or --nats URL")),
        }
    }
}
