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

/// Whether nothing at all is written.
#[derive(Args, Debug)]
pub(crate) struct ReadOnlyArgs {
    /// Take no lock and write nothing: for a copy, a backup, or a file system that can only be read
    #[arg(long)]
    pub(crate) read_only: bool,
}
