//! A log, as commands take it that work on a data directory and on a cluster.

use std::path::PathBuf;

use retailflow_config::Config;

use crate::cli::cluster_args::ClusterArgs;
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
        let variable = |name: &str| std::env::var_os(name).filter(|text| !text.is_empty());
        let by_flag = self
            .cluster
            .nats
            .as_ref()
            .is_some_and(|nats| variable("RETAILFLOW_NATS").is_none_or(|is| is != nats.as_str()));
        self.cluster.apply(config);
        if let Some(data) = &self.data {
            return match by_flag {
                true => Err(Failure::usage("give one of --data DIR and --nats URL, not both")),
                false => Ok(LogPlace::Data(data.clone())),
            };
        }
        match variable("RETAILFLOW_DATA") {
            Some(data) if self.cluster.nats.is_none() => Ok(LogPlace::Data(data.into())),
            _ if !list(&config.nats.servers).is_empty() => Ok(LogPlace::Cluster),
            _ => Err(Failure::usage("say where: give --data DIR or --nats URL")),
        }
    }
}
