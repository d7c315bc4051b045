//! `retailflow repair`: cuts what cannot be read, after telling what that loses.
#![allow(dead_code)]

use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  First see what would be lost, then do it:
    retailflow repair --data data --dry-run
    retailflow repair --data data --yes

What is cut is kept beside the log, under another name.";

/// The arguments of `repair`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Tell what would be cut and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it: what is cut is no longer part of the log
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Runs the command.
pub(crate) fn exec(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::refused("`retailflow repair` is not built yet"))
}
