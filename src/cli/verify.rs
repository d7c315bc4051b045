//! `retailflow verify`: is all that is stored in order?
#![allow(dead_code)]

use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  retailflow verify --data data
  retailflow verify --data data -o json

Exit code 0: all is in order. 1: something is broken, and each place is named; `retailflow repair --dry-run` tells
what could be done about it.";

/// The arguments of `verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// Runs the command.
pub(crate) fn exec(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::refused("`retailflow verify` is not built yet"))
}
