//! `retailflow run`: all commands of a file to their outcomes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use retailflow_actors::{Intake, IntakeEvent, NodeHandle, OpenOrderCounts, Settings};
use retailflow_disk::inbox::FileInbox;
use retailflow_engine::keys::{hex, sha256};
use retailflow_engine::ports::{Clock, InboxError};
use retailflow_engine::wire::limits::BODY_MAX_BYTES;
use retailflow_engine::wire::report::InvariantResult;
use tokio::sync::watch;

use crate::audit::{Audit, Progress};
use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::cli::kind::KindArg;
use crate::run::chaos::KillOrders;
use crate::run::outcomes::Outcomes;
use crate::run::summary::{self, Ran};
use crate::run::tally::Tally;
use retailflow_server::app::{self, Make, Store};
use retailflow_server::durable_file;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::participants::{self, Reporting, sync_of};
use retailflow_server::signals;

/// Time between two looks at whether all is done.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// So long nothing may move before `run` ends with orders still open.
const QUIET_MAX: Duration = Duration::from_secs(10);

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
    /// unless that is a terminal. What the file held before stays until the run ends; until then FILE.new grows beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) outcomes: Option<PathBuf>,
    /// Where the report on the run goes, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
    /// Say nothing but errors: no progress, no summary
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Refuse to make a data directory: so that a wrong path or a missing mount is noticed
    #[arg(long, env = "RETAILFLOW_EXISTING")]
    pub(crate) existing: bool,
    /// What stock, payments and shipping are like; their books are kept in DIR/participants
    #[arg(long, value_enum, default_value = "perfect")]
    pub(crate) participants: KindArg,
    /// What the faults of flaky participants are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Participants answer before their books are on disk: faster, and after a power cut they may be behind the log
    #[arg(long)]
    pub(crate) participants_unsynced: bool,
    /// Take commands in and leave all steps to a later run: for measurements
    #[arg(long, hide = true)]
    pub(crate) intake_only: bool,
    /// Crash so many order actors at random while running, to see that nothing is lost
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, hide_short_help = true)]
    pub(crate) chaos_kill_orders: u64,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let config = &context.config.config;
    let stdin = args.commands.as_os_str() == "-";
    let input: Box<dyn Read + Send> = if stdin {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(&args.commands);
        Box::new(file.or_exit(ExitStatus::Usage, || format!("cannot read {}", args.commands.display()))?)
    };
    let name = if stdin { "standard input".to_owned() } else { args.commands.display().to_string() };
    let mut inbox = FileInbox::new(&identity(&args.commands), input, BODY_MAX_BYTES);
    let store = app::open(&args.data.data, config, Make::unless(args.existing))?;
    // Only now: a run that is refused must not empty the file of the run that is going on.
    let outcomes = Outcomes::open(args.outcomes.as_deref())?;
    let mut settings = Settings::new(config.clone(), "embedded");
    settings.drives_effects = !args.intake_only;
    if args.chaos_kill_orders > 0 {
        settings.probe = Some(Arc::new(KillOrders::new(args.chaos_kill_orders)));
    }
    let begun = Instant::now();
    let runtime = app::runtime()?;
    let mut tally = Tally::new();
    let progress = progress(&args);
    let ran = runtime.block_on(drive(&args, &store, settings, &mut inbox, &name, |event| {
        tally.count(&event);
        progress.inc(1);
        outcomes.give(event.outcome)
    }));
    progress.finish_and_clear();
    let took = begun.elapsed();
    // Whatever happened: what was answered is written before anything else is said.
    let written = outcomes.close();
    let ran = ran?;
    written?;
    let progress = if args.quiet { Progress::silent() } else { Progress::of(&args.data.data) };
    let audit = Audit::of(store.log.as_ref(), &runtime, &args.data.data, progress)?;
    drop(runtime);
    store.close();
    let report = tally.report(&audit, &ran.effects, took);
    if let Some(path) = &args.report {
        let text = serde_json::to_vec_pretty(&report)
            .or_exit(ExitStatus::Unreachable, || "cannot write the report")?;
        durable_file::replace(path, &text)
            .or_exit(ExitStatus::Unreachable, || format!("cannot write {}", path.display()))?;
    }
    if !args.quiet {
        summary::tell(&report, &ran, took);
    }
    let broken = report.invariants.iter().any(InvariantResult::is_broken);
    if tally.given_up > 0 {
        let text = format!(
            "{} commands were given up and not recorded: run again when the cause is gone",
            tally.given_up
        );
        return Err(Failure::finding(text));
    }
    if broken || report.commands.dead_lettered > 0 {
        return Err(Failure::reported(ExitStatus::Finding));
    }
    Ok(())
}

/// What an inbox's positions belong to: a file by where it is and how it begins, so that tomorrow's file of the same
/// name is another one and one that grew is the same; a pipe is never the same one again.
pub(crate) fn identity(commands: &Path) -> String {
    if commands.as_os_str() == "-" {
        return format!("standard input of {} at {}", std::process::id(), app::SystemClock.now().0);
    }
    let path = commands.canonicalize().unwrap_or_else(|_| commands.to_owned());
    let mut first_line = Vec::new();
    if let Ok(file) = File::open(&path) {
        // What cannot be read here fails when the commands are read, and says so.
        drop(BufReader::new(file).take(64 * 1024).read_until(b'\n', &mut first_line));
    }
    format!("file {} {}", path.display(), hex(&sha256(&first_line)))
}

fn progress(args: &Args) -> ProgressBar {
    if args.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} commands, {per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// Reads all commands into a node, and stops it in good order.
async fn drive(
    args: &Args,
    store: &Store,
    settings: Settings,
    inbox: &mut FileInbox,
    name: &str,
    mut on_event: impl FnMut(IntakeEvent) -> bool,
) -> Result<Ran, Failure> {
    let deadline = Duration::from_millis(settings.config.node.stop_deadline_ms);
    let (stopped, stop) = signals::listen()?;
    let mut failed = store.log.failed();
    let (participants, reports) = participants::open(
        &args.data.data,
        args.participants.into(),
        args.seed,
        sync_of(args.participants_unsynced),
    )?;
    // A run ends when all orders are at rest, and would wait for such a participant for ever.
    participants.all_usable()?;
    let node = store.node(settings, participants.participants()).await?;
    let reporting = Reporting::default();
    let mut reporter = pin!(reporting.run(&node, reports));
    let intake = Intake::new(&node, inbox, name);
    let until = stopped.clone();
    let run = intake.run(inbox, stopped, |event| {
        if !on_event(event) {
            // Nobody can be told any more: go no further.
            stop.send_replace(true);
        }
    });
    let mut standing = None;
    // Not only the outcomes: `run` is done when the orders are.
    let run = async {
        let summary = run.await?;
        if !args.intake_only {
            standing = at_rest(&node, &reporting, until).await;
        }
        Ok::<_, InboxError>(summary)
    };
    let mut asked = stop.subscribe();
    let overdue = async {
        // A stop that does not come to an end by itself is given up at its deadline.
        drop(asked.wait_for(|asked| *asked).await);
        tokio::time::sleep(deadline).await;
    };
    let ended = tokio::select! {
        biased;
        () = &mut reporter => Err(Failure::unreachable("the participants have gone")),
        () = overdue => {
            let text = "what was in flight was not answered within node.stop_deadline_ms; run again to get those outcomes";
            Err(Failure::finding(text))
        }
        () = node.wait_ended() => Err(Failure::unreachable(
            "what runs all orders has ended by itself, a fault of RetailFlow: run again to go on, and report the lines before \
             `event=node_ended`",
        )),
        reason = failed.wait_for(Option::is_some) => {
            let reason = reason.ok().and_then(|reason| reason.clone()).unwrap_or_else(|| "it was closed".into());
            Err(Failure::unreachable(format!("the log failed for good: {reason}. Start again when the disk is well")))
        }
        ended = run => ended.or_exit(ExitStatus::Unreachable, || format!("cannot read {name} to its end")),
    };
    let crashes = node.crashes();
    let effects = node.effect_counts();
    let found_undriven = node.undriven_found();
    let stop = match ended {
        Ok(_) => Some(node.clone().stop(deadline).await),
        Err(_) => {
            node.clone().kill().await;
            None
        }
    };
    participants.close().await;
    ended.map(|summary| Ran {
        finished: summary.finished,
        drained: stop.is_some_and(|stop| stop.drained),
        crashes,
        effects,
        standing,
        found_undriven,
    })
}

/// Waits until no order waits for anything, until a stop is asked for, or until nothing has moved for so long that
/// nothing will. Gives how the orders stand then that are still open.
async fn at_rest(
    node: &NodeHandle,
    reporting: &Reporting,
    mut stop: watch::Receiver<bool>,
) -> Option<OpenOrderCounts> {
    let mut has_looked = false;
    let mut seen = node.effect_counts();
    let mut since = tokio::time::Instant::now();
    loop {
        if node.effects_running() == 0 && reporting.is_idle() && node.has_open_orders().await == Some(false) {
            return None;
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return None,
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        let now = node.effect_counts();
        if now != seen {
            (seen, since) = (now, tokio::time::Instant::now());
        }
        if since.elapsed() >= QUIET_MAX {
            let standing = node.open_order_counts().await;
            let undriven = standing.as_ref().map_or(0, |standing| standing.undriven);
            if undriven > 0 && !std::mem::replace(&mut has_looked, true) {
                tracing::error!(
                    event = "orders_undriven",
                    undriven,
                    "open orders are driven by nobody: a fault of RetailFlow; looking through all"
                );
                node.request_rescan();
                since = tokio::time::Instant::now();
                continue;
            }
            tracing::warn!("some orders are still open, and nothing moves; the summary says how they stand");
            return standing;
        }
    }
}
