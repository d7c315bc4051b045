//! `retailflow restore`: a data directory from exported records.
#![allow(dead_code)]

use std::path::PathBuf;

use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  retailflow restore --from backup.jsonl --data new-data
  gunzip -c backup.jsonl.gz | retailflow restore --from - --data new-data

The data directory must not exist, or be empty. All is verified on the way in; a file that is cut short is refused.";

/// The arguments of `restore`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What `export` wrote; `-` reads standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) from: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Check the file and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Runs the command.
pub(crate) fn exec(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::refused("`retailflow restore` is not built yet"))
}
