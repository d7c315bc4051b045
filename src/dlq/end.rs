//! `retailflow dlq redrive` and `retailflow dlq discard`: what operators do with dead letters. No letter is changed or taken
//! away; what was done stands beside it.

use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ports::{Clock as _, DeadLetter};
use retailflow_engine::wire::decode_command;
use retailflow_nats::{
    CommandPublisher, Connections, EdgeConnection, LetterAction, LetterMark, NatsDeadLetters,
    OutgoingCommand, PublishOutcome, PublisherOptions,
};
use serde_json::{Value, json};

use crate::cli::log_args::{LogArgs, LogPlace};
use crate::cli::{Context, Output, print};
use crate::cluster_report::{self, CLOSE_MAX};
use crate::dlq::letters::{Found, Seen, Wanted, absent, at, is_whole};
use crate::parked::ending::operator;
use crate::words::{self, one_line};
use retailflow_server::app::{self, SystemClock};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::serve::cluster::nats_options;

/// Letters that are held at once; what became of them is all that is kept of the others.
const PAGE: usize = 1000;
/// One command is tried for so long.
const PATIENCE_MS: u64 = 30_000;

/// Which letters, and whether to do it.
#[derive(clap::Args, Debug)]
pub(crate) struct EndArgs {
    /// Their positions, as `list` shows them
    #[arg(value_name = "POSITION", required_unless_present = "all")]
    positions: Vec<u64>,
    /// All with which nothing was done yet
    #[arg(long, conflicts_with = "positions")]
    all: bool,
    /// Of these, only those of this tenant; `-` for those of none
    #[arg(long, value_name = "TENANT", requires = "all")]
    tenant: Option<String>,
    #[command(flatten)]
    place: LogArgs,
    /// Tell what would be done and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Who does it, for the record
    #[arg(long, value_name = "NAME", default_value = "operator", value_parser = operator)]
    operator: String,
}

/// What is done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They are published again.
    Redrive,
    /// They are closed.
    Discard,
}

/// What became of a letter.
enum LetterResult {
    Done(Option<u64>),
    /// It cannot be, ever.
    Cannot(String),
    /// It was not, this time.
    Failed(String),
}

/// What became of one letter, without what it says.
struct Line {
    position: u64,
    origin: String,
    fate: LetterResult,
}

/// Runs the command.
pub(crate) fn exec(args: &EndArgs, way: Way, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    match args.place.open(&mut config)? {
        LogPlace::Cluster => {}
        LogPlace::Data(_) | LogPlace::Server(_) => return Err(not_on_one_node(way)),
    }
    let lines = app::runtime()?.block_on(async {
        let (connections, _) = cluster_report::log(&config).await?;
        let done = perform(args, way, &config, &connections).await;
        connections.close(CLOSE_MAX).await;
        done
    })?;
    print(&match context.output {
        Output::Json => {
            format!("{:#}\n", lines.iter().map(|line| shown(line, args.dry_run)).collect::<Value>())
        }
        Output::Table => lines.iter().map(|line| line.text(way, args.dry_run)).collect(),
    })?;
    let count = |is: fn(&LetterResult) -> bool| lines.iter().filter(|line| is(&line.fate)).count() as u64;
    let (failed, cannot) = (
        count(|fate| matches!(fate, LetterResult::Failed(_))),
        count(|fate| matches!(fate, LetterResult::Cannot(_))),
    );
    if failed > 0 {
        let letters = words::count(failed, "letter");
        return Err(Failure::unreachable(format!(
            "{letters} not dealt with: do it again when the cause is gone; a command that is published twice has one outcome"
        )));
    }
    if cannot > 0 {
        let letters = words::count(cannot, "letter");
        return Err(Failure::finding(format!(
            "{letters} cannot be redriven: they are no commands, or were kept in part only. Send what their callers meant \
             (`retailflow dlq show` has what was kept), then discard them"
        )));
    }
    Ok(())
}

/// On one node nothing reads what is published.
fn not_on_one_node(way: Way) -> Failure {
    let (verb, instead) = match way {
        Way::Redrive => (
            "redriven",
            "`retailflow dlq show POSITION` has the command: put right what the letter says, and send it to the server \
             (or to `retailflow run`)",
        ),
        Way::Discard => (
            "discarded",
            "they are in nobody's way: `retailflow dlq list --after POSITION` begins behind those that are dealt with",
        ),
    };
    Failure::usage(format!(
        "on one node dead letters are looked at only, and cannot be {verb}: {instead}. On a cluster (--nats URL) they can"
    ))
}

async fn perform(
    args: &EndArgs,
    way: Way,
    config: &Config,
    connections: &Connections,
) -> Result<Vec<Line>, Failure> {
    let letters = NatsDeadLetters::new(connections);
    if !args.dry_run && !args.yes {
        return Err(not_meant(args, way, connections).await?);
    }
    let publisher = match way {
        Way::Redrive if !args.dry_run => {
            let edge = EdgeConnection::direct(&nats_options(config, "retailflow dlq"), "publish").await;
            let edge = edge.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS")?;
            let options = PublisherOptions { give_up_after_ms: PATIENCE_MS, ..PublisherOptions::default() };
            Some(CommandPublisher::new(&edge, &options))
        }
        _ => None,
    };
    // What is refused once more is another letter, behind those that were there: it is not this call's.
    let until = last(args, connections).await?;
    let (mut lines, mut next) = (Vec::new(), Some(0));
    while let Some(after) = next.filter(|after| *after < until) {
        let found = wanted(args, connections, after).await?;
        for seen in found.letters.into_iter().filter(|seen| seen.stored.position <= until) {
            let fate = one(args, way, &seen.stored.letter, &letters, publisher.as_ref()).await;
            lines.push(Line { position: seen.stored.position, origin: seen.stored.letter.origin, fate });
        }
        next = found.more_after;
    }
    if let Some(publisher) = publisher {
        publisher.close(Duration::from_millis(PATIENCE_MS)).await;
    }
    Ok(lines)
}

/// The position of the last letter that is meant; 0 for none.
async fn last(args: &EndArgs, connections: &Connections) -> Result<u64, Failure> {
    let (mut last, mut next) = (0, Some(0));
    while let Some(after) = next {
        let found = wanted(args, connections, after).await?;
        last = found.letters.iter().map(|seen| seen.stored.position).max().unwrap_or(last);
        next = found.more_after;
    }
    Ok(last)
}

/// What says that it is not done without `--yes`.
async fn not_meant(args: &EndArgs, way: Way, connections: &Connections) -> Result<Failure, Failure> {
    let (mut count, mut possible, mut next) = (0, 0, Some(0));
    while let Some(after) = next {
        let found = wanted(args, connections, after).await?;
        count += found.letters.len() as u64;
        let whole = |seen: &&Seen| way == Way::Discard || outgoing(&seen.stored.letter).is_ok();
        possible += found.letters.iter().filter(whole).count() as u64;
        next = found.more_after;
    }
    let what = match way {
        Way::Redrive => "published again",
        Way::Discard => "discarded",
    };
    let rest = match count - possible {
        0 => String::new(),
        rest => format!(" (and {rest} cannot be: they are no commands, or were kept in part only)"),
    };
    let letters = words::count(possible, "dead letter");
    Ok(Failure::refused(format!(
        "{letters} would be {what}{rest}: repeat with --yes to do it, or with --dry-run to see which"
    )))
}

/// A page of the letters that are meant.
async fn wanted(args: &EndArgs, connections: &Connections, after: u64) -> Result<Found, Failure> {
    if args.all {
        let wanted = Wanted { tenant: args.tenant.as_deref(), all: false, after, limit: PAGE };
        return at(connections, &wanted).await;
    }
    let mut letters = Vec::with_capacity(args.positions.len());
    for position in &args.positions {
        let wanted = Wanted { tenant: None, all: true, after: position.saturating_sub(1), limit: 1 };
        let found = at(connections, &wanted).await?.letters;
        let seen = found.into_iter().find(|seen| seen.stored.position == *position);
        letters.push(seen.ok_or_else(|| absent(*position))?);
    }
    Ok(Found { letters, more_after: None })
}

async fn one(
    args: &EndArgs,
    way: Way,
    letter: &DeadLetter,
    letters: &NatsDeadLetters,
    publisher: Option<&CommandPublisher>,
) -> LetterResult {
    let (did, position) = match way {
        Way::Discard => (LetterAction::Discarded, None),
        Way::Redrive => {
            let outgoing = match outgoing(letter) {
                Ok(outgoing) => outgoing,
                Err(why) => return LetterResult::Cannot(why),
            };
            // A dry run has none.
            let Some(publisher) = publisher else { return LetterResult::Done(None) };
            match publisher.publish(outgoing).await.sent().await {
                PublishOutcome::Stored { sequence, .. } => (LetterAction::Redriven, Some(sequence)),
                PublishOutcome::Refused(why) => return LetterResult::Cannot(why),
                PublishOutcome::NotTaken(why)
                | PublishOutcome::Unknown(why)
                | PublishOutcome::NotSent(why) => return LetterResult::Failed(why),
            }
        }
    };
    if args.dry_run {
        return LetterResult::Done(None);
    }
    // Behind the command: a crash in between leaves it to be sent once more, and not unsent.
    let mark = LetterMark::new(did, &args.operator, SystemClock.now(), position);
    match letters.mark(letter, &mark).await {
        Ok(()) => LetterResult::Done(position),
        Err(error) => LetterResult::Failed(format!("it is not noted that it was done: {error}")),
    }
}

/// The command that a letter holds, if all of it is there and it is one.
fn outgoing(letter: &DeadLetter) -> Result<OutgoingCommand, String> {
    if !is_whole(letter) {
        return Err(format!("of {} bytes only the beginning was kept", letter.length_bytes));
    }
    let command = decode_command(&letter.body).map_err(|error| error.to_string())?;
    Ok(OutgoingCommand { order: command.order, key: command.key, body: letter.body.clone().into() })
}

fn shown(line: &Line, dry_run: bool) -> Value {
    let (done, command, why) = match &line.fate {
        LetterResult::Done(position) => (!dry_run, *position, None),
        LetterResult::Cannot(why) | LetterResult::Failed(why) => (false, None, Some(why)),
    };
    json!({
        "position": line.position,
        "dry_run": dry_run,
        "done": done,
        "possible": !matches!(line.fate, LetterResult::Cannot(_)),
        "command_position": command,
        "why": why,
    })
}

impl Line {
    fn text(&self, way: Way, dry_run: bool) -> String {
        let what = match (&self.fate, way, dry_run) {
            (LetterResult::Done(_), Way::Redrive, true) => "would be published again".to_owned(),
            (LetterResult::Done(_), Way::Discard, true) => "would be discarded".to_owned(),
            (LetterResult::Done(Some(at)), ..) => {
                format!("was published again, as command {at} of the stream")
            }
            (LetterResult::Done(None), ..) => "is discarded".to_owned(),
            (LetterResult::Cannot(why), ..) => format!("CANNOT be redriven: {}", one_line(why)),
            (LetterResult::Failed(why), ..) => format!("NOT dealt with: {}", one_line(why)),
        };
        format!("{:>8}  {what}  (from {})\n", self.position, one_line(&self.origin))
    }
}
