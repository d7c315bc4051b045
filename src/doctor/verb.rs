//! `retailflow doctor`: what is wrong with a node or a cluster, and what to do about it.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print};
use crate::doctor::{self, Level, OneNode, Report};
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

const EXAMPLES: &str = "\
Examples:
  retailflow doctor --nats nats://127.0.0.1:4222 --etcd http://127.0.0.1:2379
  retailflow --config cluster.toml doctor -o json
  retailflow doctor --data ./data
  retailflow doctor --admin http://127.0.0.1:8081

It looks and changes nothing. Give it the configuration that the nodes have: it is compared with what is there. With --data or
--admin it looks at one node that needs no servers.

Exit codes: 0 all is well, or there are warnings only (1 with --strict), 1 there are problems, 3 nothing answers.";

/// The arguments of `doctor`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The data directory of a node that needs no servers
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The operators' address of such a node
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Exit with 1 on warnings, too
    #[arg(long)]
    strict: bool,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    args.cluster.apply(&mut config)?;
    let one = OneNode { data: args.data.as_deref(), admin: args.admin.as_deref() };
    let report = app::runtime()?.block_on(async {
        match one.data.is_some() || one.admin.is_some() {
            true => doctor::examine_one(&config, &one).await,
            false => doctor::examine(&config).await,
        }
    });
    print(&match context.output {
        Output::Json => {
            let text = serde_json::to_string_pretty(&report);
            text.or_exit(ExitStatus::Unreachable, || "cannot show it")? + "\n"
        }
        Output::Table => text(&report),
    })?;
    match report.worst() {
        _ if report.servers_reached == 0 => Err(Failure::reported(ExitStatus::Unreachable)),
        Level::Problem => Err(Failure::reported(ExitStatus::Finding)),
        Level::Warning if args.strict => Err(Failure::reported(ExitStatus::Finding)),
        Level::Warning | Level::Ok => Ok(()),
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
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "         -> {remedy}");
        }
    }
    let count = |level: Level| report.findings.iter().filter(|finding| finding.level == level).count();
    let _ = match report.worst() {
        Level::Ok => writeln!(text, "all is well"),
        _ => writeln!(text, "{} problems, {} warnings", count(Level::Problem), count(Level::Warning)),
    };
    text
}
