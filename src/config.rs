//! `retailflow config`: every setting, and where its value came from.

use crate::cli::{Context, Output, print};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

const EXAMPLES: &str = "\
Examples:
  retailflow config show
  retailflow config show --config shop.toml --set log.partitions=8
  RETAILFLOW__LOG__PARTITIONS=8 retailflow config show -o json

Later wins over earlier: defaults, the file of --config, environment variables (RETAILFLOW__SECTION__KEY), --set.";

/// The commands under `config`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Show every key, its value, and where that came from
    #[command(after_help = EXAMPLES)]
    Show,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let Args::Show = args;
    match context.output {
        Output::Table => print(&context.config.table()),
        Output::Json => {
            let text = serde_json::to_string_pretty(context.config.origins())
                .or_exit(ExitStatus::Refused, || "cannot write the configuration as JSON")?;
            print(&(text + "\n"))
        }
    }
}
