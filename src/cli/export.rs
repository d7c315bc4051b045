//! `retailflow export`: the records of a data directory as JSON lines.
#![allow(dead_code)]

use std::path::PathBuf;

use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  retailflow export --data data --to backup.jsonl
  retailflow export --data data | gzip > backup.jsonl.gz

All is verified on the way out. `retailflow restore` makes a data directory of it again.";

/// The arguments of `export`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Where the lines go; `-` is standard output
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(crate) to: PathBuf,
}

/// Runs the command.
pub(crate) fn exec(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::refused("`retailflow export` is not built yet"))
}
