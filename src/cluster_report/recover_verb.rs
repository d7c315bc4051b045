//! `retailflow cluster recover-commands`: the way back where the stream of published commands was stopped.

use std::time::Duration;

use retailflow_config::Config;
use retailflow_nats::{CommandRecovery, CommandsState, DoorStreams, RecoverError, UndecidedCommands};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Output, render};
use crate::cluster_report::{self, CLOSE_MAX};
use retailflow_server::exit::{ExitStatus, Failure, OrExit as _};
use retailflow_server::serve::cluster::nats_options;

/// A leader that changes is away for some seconds; a stopped stream has none for good.
const STOPPED_MIN: Duration = Duration::from_secs(10);
/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) const EXAMPLES: &str = "\
Examples:
  retailflow cluster recover-commands --nats nats://10.0.0.1:4222,nats://10.0.0.2:4222,nats://10.0.0.3:4222 --dry-run
  retailflow cluster recover-commands --yes

One message with the header Nats-Expected-Last-Msg-Id stops a replicated stream of NATS 2.14 to 2.15 for good: it has no leader any more, and
whoever publishes gets no answer. Nodes still read what it holds. This waits until all of that is decided, deletes the stream, and makes it
again as it was. Nodes read on by themselves. A stream that is missing is made. Find out first who sent that header, and take the
permission away.";

/// What is to be done, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Say how the stream stands and what would be done, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Delete the stopped stream, once all that it holds is decided, and make it again
    #[arg(long)]
    yes: bool,
    /// Wait so long for what it holds to be decided; nodes have to run
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

/// Does it; gives what is shown.
pub(crate) async fn exec(args: &RecoverArgs, mut config: Config, output: Output) -> Result<String, Failure> {
    args.cluster.apply_with_nats(&mut config)?;
    let (connections, log) = cluster_report::log(&config).await?;
    connections.close(CLOSE_MAX).await;
    let partitions = log.partitions;
    let opened = CommandRecovery::open(&nats_options(&config, "retailflow operator"), log).await;
    let recovery = opened.map_err(failed)?;
    let streams = DoorStreams {
        partitions,
        replicas: config.nats.replicas,
        commands_max_bytes: Some(config.nats.commands_max_bytes),
    };
    let done = recover(&recovery, &streams, args, output).await;
    recovery.close(CLOSE_MAX).await;
    done
}

async fn recover(
    recovery: &CommandRecovery,
    streams: &DoorStreams,
    args: &RecoverArgs,
    output: Output,
) -> Result<String, Failure> {
    let state = stopped(recovery).await?;
    match &state {
        CommandsState::Well { last } => {
            let text = format!(
                "RF_CMD is led and takes commands (its last position is {last}): there is nothing to recover\n"
            );
            return Ok(render(&json!({ "state": "well", "last": last }), text, output));
        }
        CommandsState::ServersAway(stream) => {
            return Err(Failure::refused(format!(
                "RF_CMD has no leader, and {stream} has none either: NATS servers are away. Nothing is recovered by deleting \
                 streams then; bring the servers back (`retailflow doctor`)"
            )));
        }
        CommandsState::Missing | CommandsState::Stopped => {}
    }
    let missing = state == CommandsState::Missing;
    let name = if missing { "missing" } else { "stopped" };
    let mut shown = json!({ "state": name, "dry_run": args.dry_run });
    if args.dry_run || !args.yes {
        let undecided = if missing { Vec::new() } else { undecided(recovery).await? };
        shown["undecided_partitions"] =
            undecided.iter().map(|one| one.partition.0).collect::<Vec<u16>>().into();
        let text = match (missing, undecided.is_empty()) {
            (true, _) => "RF_CMD is not there; it would be made\n".to_owned(),
            (false, true) => {
                "RF_CMD is stopped, and all that it holds is decided: it would be deleted and made again\n"
                    .to_owned()
            }
            (false, false) => format!(
                "RF_CMD is stopped, and {}: it would be deleted and made again once they are\n",
                waiting(&undecided)
            ),
        };
        if args.dry_run {
            return Ok(render(&shown, text, output));
        }
        return Err(Failure::refused(format!("{}: repeat with --yes to do it", text.trim_end())));
    }
    if !missing {
        decided(recovery, Duration::from_secs(args.wait)).await?;
    }
    let created = recovery.replace(streams).await.map_err(failed)?;
    shown["created"] = created.clone().into();
    let text =
        format!("RF_CMD was made again at {created}; nodes read it from its beginning by themselves\n");
    Ok(render(&shown, text, output))
}

/// How it stands, once that has stood for long enough.
async fn stopped(recovery: &CommandRecovery) -> Result<CommandsState, Failure> {
    let begun = Instant::now();
    loop {
        let state = recovery.state().await;
        let state = state.or_exit(ExitStatus::Unreachable, || "how RF_CMD stands is not known")?;
        if matches!(state, CommandsState::Well { .. }) || begun.elapsed() >= STOPPED_MIN {
            return Ok(state);
        }
        sleep(POLL_INTERVAL).await;
    }
}

async fn undecided(recovery: &CommandRecovery) -> Result<Vec<UndecidedCommands>, Failure> {
    let undecided = recovery.undecided().await;
    undecided.or_exit(ExitStatus::Unreachable, || "what is decided cannot be told now")
}

async fn decided(recovery: &CommandRecovery, at_most: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let undecided = undecided(recovery).await?;
        if undecided.is_empty() {
            return Ok(());
        }
        if begun.elapsed() >= at_most {
            return Err(Failure::finding(format!(
                "{}, after {} s: nothing was changed. Do nodes run (`retailflow cluster status --partitions`)? Give --wait more",
                waiting(&undecided),
                at_most.as_secs()
            )));
        }
        sleep(POLL_INTERVAL).await;
    }
}

fn waiting(undecided: &[UndecidedCommands]) -> String {
    let named: Vec<String> = undecided.iter().take(8).map(|one| one.partition.to_string()).collect();
    let more = if undecided.len() > named.len() { ", …" } else { "" };
    format!("{} partitions have commands that are not decided ({}{more})", undecided.len(), named.join(", "))
}

fn failed(error: RecoverError) -> Failure {
    let code = match &error {
        RecoverError::Not(_) => ExitStatus::Refused,
        RecoverError::Away { .. } | RecoverError::Api(_) => ExitStatus::Unreachable,
    };
    Failure::new(code, error)
}
