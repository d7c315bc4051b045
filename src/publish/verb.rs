//! `retailflow publish`: commands of a file into a cluster's stream, in bulk.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use retailflow_disk::inbox::FileInbox;
use retailflow_engine::wire::limits::BODY_MAX_BYTES;
use retailflow_nats::{CommandPublisher, EdgeConnection, PublisherOptions};

use crate::cli::cluster_args::ClusterArgs;
use crate::cli::{Context, Output, print};
use crate::publish::input_end::InputEnd;
use crate::publish::resume::Resume;
use crate::publish::{self, Tally};
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::serve::cluster::nats_options;
use retailflow_server::signals;

/// When a stop is asked for, what is on its way has so long.
const CLOSE_MAX: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  retailflow publish --commands commands.jsonl --nats nats://127.0.0.1:4222 --resume commands.mark
  generate-commands | retailflow publish --commands - --nats nats://127.0.0.1:4222

A command that was acknowledged is stored, whether a node is up or not; its outcome shows in the events. Each order's commands
are stored in the order of their lines. While the stream is full it waits. With --resume a later run goes on where this
one ended; what is sent again does no harm, for a command has one outcome.

Exit codes: 0 all are stored, 1 some lines are no commands or were refused for good, 3 some are not stored or not known to be.";

/// The arguments of `publish`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The commands, one CloudEvent in JSON a line; `-` reads standard input
    #[arg(long, value_name = "FILE|-")]
    commands: PathBuf,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Keeps in this file how many lines are done with, and begins behind them; refuses a file whose lines up to there have changed
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Commands that are on their way at once
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=1000))]
    in_flight: u16,
    /// How long one command is tried while the stream is full or nobody answers
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    patience: u64,
    /// Say nothing but errors: no progress, no summary
    #[arg(long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    args.cluster.apply_with_nats(&mut config)?;
    let stdin = args.commands.as_os_str() == "-";
    let input: Box<dyn Read + Send> = if stdin {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(&args.commands);
        Box::new(file.or_exit(ExitStatus::Usage, || format!("cannot read {}", args.commands.display()))?)
    };
    let name = if stdin { "standard input".to_owned() } else { args.commands.display().to_string() };
    let resume = args.resume.as_deref().map(Resume::open).transpose()?;
    let end = InputEnd::default();
    let mut inbox = FileInbox::new(&name, end.watch(input), BODY_MAX_BYTES);
    let runtime = app::runtime()?;
    let published = runtime.block_on(async {
        let (stopped, _stop) = signals::listen()?;
        let edge = EdgeConnection::direct(&nats_options(&config, "retailflow publish"), "publish").await;
        let edge = edge.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS")?;
        let options = PublisherOptions {
            unacknowledged_max: args.in_flight.into(),
            give_up_after_ms: args.patience.saturating_mul(1_000),
        };
        let publisher = CommandPublisher::new(&edge, &options);
        // A stop ends the wait for a full stream, too.
        let mut asked = stopped.clone();
        let closing = async {
            drop(asked.wait_for(|stopped| *stopped).await);
            publisher.close(CLOSE_MAX).await;
            std::future::pending::<()>().await;
        };
        let published = tokio::select! {
            published = publish::run(&publisher, &mut inbox, &name, (resume.as_ref(), &end), stopped, args.quiet) => published,
            () = closing => Err(Failure::reported(ExitStatus::Unreachable)),
        };
        publisher.close(CLOSE_MAX).await;
        published
    });
    // A thread that waits for standard input must not be waited for.
    runtime.shutdown_background();
    let tally = published?;
    if !args.quiet {
        print(&match context.output {
            Output::Json => {
                let text = serde_json::to_string(&tally);
                text.or_exit(ExitStatus::Unreachable, || "cannot show it")? + "\n"
            }
            Output::Table => format!("{tally}\n"),
        })?;
    }
    ended(&tally, args.resume.is_some())
}

fn ended(tally: &Tally, resumable: bool) -> Result<(), Failure> {
    if !tally.is_whole() {
        let again = match resumable {
            true => {
                "publish it again, with the same --resume, when the cause is gone (`retailflow doctor` may tell it)"
            }
            false => "publish it again when the cause is gone: what is stored twice is decided once",
        };
        let line = tally.lines_done + 1;
        return Err(Failure::unreachable(format!(
            "not all was published, beginning with line {line}: {again}"
        )));
    }
    if tally.undecodable + tally.refused > 0 {
        let text = format!(
            "{} lines are no commands, and {} commands were refused for good: put them right and publish them",
            tally.undecodable, tally.refused
        );
        return Err(Failure::finding(text));
    }
    Ok(())
}
