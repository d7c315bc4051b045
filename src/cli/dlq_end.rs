//! `retailflow dlq redrive` and `retailflow dlq discard`: what operators do with dead letters. No letter is changed or taken
//! away; what was done stands beside it.

use std::time::Duration;

use retailflow_cluster::nats::{
    CommandPublisher, Connections, Did, EdgeConnection, LetterMark, NatsDeadLetters, OutgoingCommand,
    PublisherOptions, Sent,
};
use retailflow_config::Config;
use retailflow_engine::ports::{Clock as _, DeadLetter};
use retailflow_engine::wire::decode_command;
use serde_json::{Value, json};

use crate::app::{self, SystemClock};
use crate::cli::dlq::{Seen, Wanted, absent, at, is_whole, one_line};
use crate::cli::log_args::{LogArgs, LogPlace};
use crate::cli::parked_end::operator;
use crate::cli::{Context, Output, print};
use crate::exit::{ExitStatus, Failure, OrExit};
use crate::many::{self, CLOSE_MAX};
use crate::serve::cluster::nats_options;

/// Letters of one call, at most.
const LETTERS_MAX: usize = 100_000;
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
enum Fate {
    Done(Option<u64>),
    /// It cannot be, ever.
    Cannot(String),
    /// It was not, this time.
    Failed(String),
}

/// Runs the command.
pub(super) fn exec(args: &EndArgs, way: Way, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    if let LogPlace::Data(_) = args.place.open(&mut config)? {
        return Err(Failure::usage(
            "in a data directory dead letters are looked at only: put the command right and run it; on a cluster (--nats) they are redriven and discarded",
        ));
    }
    let fates = app::runtime()?.block_on(async {
        let (connections, _) = many::log(&config).await?;
        let done = perform(args, way, &config, &connections).await;
        connections.close(CLOSE_MAX).await;
        done
    })?;
    print(&match context.output {
        Output::Json => format!(
            "{:#}\n",
            fates.iter().map(|(seen, fate)| shown(seen, fate, args.dry_run)).collect::<Value>()
        ),
        Output::Table => fates.iter().map(|(seen, fate)| line(seen, fate, way, args.dry_run)).collect(),
    })?;
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|(_, fate)| is(fate)).count();
    let (failed, cannot) =
        (count(|fate| matches!(fate, Fate::Failed(_))), count(|fate| matches!(fate, Fate::Cannot(_))));
    if failed > 0 {
        let text = format!(
            "{failed} letters were not dealt with: do it again when the cause is gone; twice does no harm"
        );
        return Err(Failure::unreachable(text));
    }
    if cannot > 0 {
        let text = format!(
            "{cannot} letters cannot be redriven: put right what they say and publish that, then discard them"
        );
        return Err(Failure::finding(text));
    }
    Ok(())
}

async fn perform(
    args: &EndArgs,
    way: Way,
    config: &Config,
    connections: &Connections,
) -> Result<Vec<(Seen, Fate)>, Failure> {
    let found = wanted(args, connections).await?;
    if !args.dry_run && !args.yes {
        let what = match way {
            Way::Redrive => "published again",
            Way::Discard => "discarded",
        };
        let count = found.len();
        return Err(Failure::refused(format!(
            "{count} dead letters would be {what}: repeat with --yes to do it, or with --dry-run to see which"
        )));
    }
    let letters = NatsDeadLetters::new(connections);
    let publisher = match way {
        Way::Redrive if !args.dry_run => {
            let edge = EdgeConnection::direct(&nats_options(config, "retailflow dlq"), "publish").await;
            let edge = edge.or_exit(ExitStatus::Unreachable, || "cannot connect to NATS")?;
            let options = PublisherOptions { give_up_after_ms: PATIENCE_MS, ..PublisherOptions::default() };
            Some(CommandPublisher::new(&edge, &options))
        }
        _ => None,
    };
    let mut fates = Vec::with_capacity(found.len());
    for seen in found {
        let fate = one(args, way, &seen.stored.letter, &letters, publisher.as_ref()).await;
        fates.push((seen, fate));
    }
    if let Some(publisher) = publisher {
        publisher.close(Duration::from_millis(PATIENCE_MS)).await;
    }
    Ok(fates)
}

async fn wanted(args: &EndArgs, connections: &Connections) -> Result<Vec<Seen>, Failure> {
    if args.all {
        let wanted = Wanted { tenant: args.tenant.as_deref(), all: false, after: 0, limit: LETTERS_MAX };
        return at(connections, &wanted).await;
    }
    let mut found = Vec::with_capacity(args.positions.len());
    for position in &args.positions {
        let wanted = Wanted { tenant: None, all: true, after: position.saturating_sub(1), limit: 1 };
        let seen = at(connections, &wanted).await?.into_iter().find(|seen| seen.stored.position == *position);
        found.push(seen.ok_or_else(|| absent(*position))?);
    }
    Ok(found)
}

async fn one(
    args: &EndArgs,
    way: Way,
    letter: &DeadLetter,
    letters: &NatsDeadLetters,
    publisher: Option<&CommandPublisher>,
) -> Fate {
    let (did, position) = match way {
        Way::Discard => (Did::Discarded, None),
        Way::Redrive => {
            let outgoing = match outgoing(letter) {
                Ok(outgoing) => outgoing,
                Err(why) => return Fate::Cannot(why),
            };
            // A dry run has none.
            let Some(publisher) = publisher else { return Fate::Done(None) };
            match publisher.publish(outgoing).await.sent().await {
                Sent::Acknowledged { sequence, .. } => (Did::Redriven, Some(sequence)),
                Sent::Refused(why) => return Fate::Cannot(why),
                Sent::NotTaken(why) | Sent::Unknown(why) | Sent::NotSent(why) => return Fate::Failed(why),
            }
        }
    };
    if args.dry_run {
        return Fate::Done(None);
    }
    // Behind the command: a crash in between leaves it to be sent once more, and not unsent.
    let mark = LetterMark::new(did, &args.operator, SystemClock.now(), position);
    match letters.mark(letter, &mark).await {
        Ok(()) => Fate::Done(position),
        Err(error) => Fate::Failed(format!("it is not noted that it was done: {error}")),
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

fn shown(seen: &Seen, fate: &Fate, dry_run: bool) -> Value {
    let (done, command, why) = match fate {
        Fate::Done(position) => (!dry_run, *position, None),
        Fate::Cannot(why) | Fate::Failed(why) => (false, None, Some(why)),
    };
    json!({
        "position": seen.stored.position,
        "dry_run": dry_run,
        "done": done,
        "possible": !matches!(fate, Fate::Cannot(_)),
        "command_position": command,
        "why": why,
    })
}

fn line(seen: &Seen, fate: &Fate, way: Way, dry_run: bool) -> String {
    let (position, from) = (seen.stored.position, one_line(&seen.stored.letter.origin));
    let what = match (fate, way, dry_run) {
        (Fate::Done(_), Way::Redrive, true) => "would be published again".to_owned(),
        (Fate::Done(_), Way::Discard, true) => "would be discarded".to_owned(),
        (Fate::Done(Some(at)), ..) => format!("was published again, at {at}"),
        (Fate::Done(None), ..) => "is discarded".to_owned(),
        (Fate::Cannot(why), ..) => format!("CANNOT be redriven: {}", one_line(why)),
        (Fate::Failed(why), ..) => format!("NOT dealt with: {}", one_line(why)),
    };
    format!("{position:>8}  {what}  ({from})\n")
}
