//! `retailflow doctor`: what is wrong with a cluster, and how to mend it.

use std::fmt::Write as _;

use crate::app;
use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print};
use crate::doctor::{self, Level, Report};
use crate::exit::{ExitStatus, Failure, OrExit};

const EXAMPLES: &str = "\
Examples:
  retailflow doctor --nats nats://127.0.0.1:4222 --etcd http://127.0.0.1:2379
  retailflow --config cluster.toml doctor -o json

It looks and changes nothing. Give it the configuration that the nodes have: it is compared with what is there.

Exit codes: 0 all is well, 1 something was found, 3 no server answers.";

/// The arguments of `doctor`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    args.cluster.apply(&mut config)?;
    let report = app::runtime()?.block_on(doctor::examine(&config));
    print(&match context.output {
        Output::Json => {
            let text = serde_json::to_string_pretty(&report);
            text.or_exit(ExitStatus::Unreachable, || "cannot show it")? + "\n"
        }
        Output::Table => text(&report),
    })?;
    match report.worst() {
        _ if report.servers_reached == 0 => Err(Failure::told(ExitStatus::Unreachable)),
        Level::Ok => Ok(()),
        Level::Warning | Level::Problem => Err(Failure::told(ExitStatus::Finding)),
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let level = match finding.level {
            Level::Ok => "ok     ",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        // Writing into memory does not fail.
        let _ = writeln!(text, "{level}  {}: {}", finding.what, finding.found);
        if let Some(mend) = &finding.mend {
            let _ = writeln!(text, "         -> {mend}");
        }
    }
    let count = |level: Level| report.findings.iter().filter(|finding| finding.level == level).count();
    let _ = match report.worst() {
        Level::Ok => writeln!(text, "all is well"),
        _ => writeln!(text, "{} problems, {} warnings", count(Level::Problem), count(Level::Warning)),
    };
    text
}
