//! `retailflow bench`: how fast it is here.
#![allow(dead_code)]

use std::path::PathBuf;

use crate::cli::Context;
use crate::exit::Failure;

/// The commands under `bench`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Measure one machine: place orders durably, and the raw log beside it
    #[command(after_help = "Example:\n  retailflow bench embedded --json > bench.json")]
    Embedded(EmbeddedArgs),
}

/// The arguments of `bench embedded`.
#[derive(clap::Args, Debug)]
pub(crate) struct EmbeddedArgs {
    /// Where to measure; an own folder is made in it and removed afterwards [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How many orders each measurement places
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) orders: u64,
    /// The same as `-o json`
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn exec(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::refused("`retailflow bench` is not built yet"))
}
