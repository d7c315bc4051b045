//! `retailflow run`: all commands of a file to their outcomes.
#![allow(dead_code)]

use std::path::PathBuf;

use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  retailflow run --commands commands.jsonl --data data --outcomes outcomes.jsonl --report report.json
  generate-commands | retailflow run --commands - --data data

Stop it at any moment and start it again: it goes on. Commands that have an outcome already get the same one again.";

/// The arguments of `run`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The commands, one CloudEvent in JSON a line; `-` reads standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) commands: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Where the outcomes go, one JSON line each, in the order of the commands; without it they go to standard output,
    /// unless that is a terminal
    #[arg(long, value_name = "FILE")]
    pub(crate) outcomes: Option<PathBuf>,
    /// Where the report on the run goes, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
    /// Say nothing but errors: no progress, no summary
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Crash so many order actors at random while running, to see that nothing is lost
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, hide_short_help = true)]
    pub(crate) chaos_kill_orders: u64,
}

/// Runs the command.
pub(crate) fn exec(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::refused("`retailflow run` is not built yet"))
}
