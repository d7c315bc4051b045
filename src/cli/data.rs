//! The data directory, as most commands take it.

use std::path::PathBuf;

use clap::Args;

/// Where the log, its index and the tenants are.
#[derive(Args, Debug)]
pub(crate) struct DataArgs {
    /// The data directory: log, index and tenants
    #[arg(long, env = "RETAILFLOW_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,
}
