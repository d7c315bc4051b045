//! `retailflow dlq`: dead letters, which belong to no order. Sending them again and closing them is in `dlq_end`.

use std::fmt::Write as _;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::keys::hex;
use retailflow_engine::ports::{DeadLetter, DeadLetters, StoredDeadLetter};
use retailflow_engine::wire::base64;
use retailflow_engine::wire::time::format_time;
use retailflow_nats::{Connections, Did, LetterMark, NatsDeadLetters};
use serde_json::{Value, json};

use crate::cli::dlq_end::{self, EndArgs, Way};
use crate::cli::log_args::{LogArgs, LogPlace};
use crate::cli::{Context, Output, dlq_at, print};
use crate::client::say;
use crate::many::table::table;
use crate::many::{self, CLOSE_MAX};
use retailflow_server::app::{self, Make};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Letters that are read at once.
const PIECE: usize = 256;
/// Letters of which it is asked at once what was done with them: a request each.
const MARKS_AT_ONCE: usize = 64;

const REDRIVE_EXAMPLES: &str = "\
Examples:
  retailflow dlq redrive 17 18 --nats nats://127.0.0.1:4222 --yes --operator ann
  retailflow dlq redrive --all --tenant shop --nats nats://127.0.0.1:4222 --dry-run

A letter is published again as it came: do it when the cause is gone (a tenant that was suspended, an order that had not been
placed yet). It stays, and beside it stands who sent it again, when, and where to. If it is refused once more, there is another
letter. A command that was decided meanwhile has the same outcome again. What is no command, or was kept in part only, cannot be
redriven: send what its caller meant, then discard the letter.

On one node (--data, --admin) letters are looked at only, for there is no stream of commands to publish them to: take the
command from `retailflow dlq show POSITION`, and send it.";

/// The commands under `dlq`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// List dead letters: where each came from, and why it belongs to no order
    #[command(after_help = "Examples:
  retailflow dlq list --data data
  retailflow dlq list --admin http://127.0.0.1:8081 --tenant -
  retailflow dlq list --nats nats://127.0.0.1:4222 --tenant shop

When there are more than --limit, standard error says so, and where to go on.")]
    List(ListArgs),
    /// Show one dead letter, what it says, and what was done with it
    #[command(after_help = "Example:\n  retailflow dlq show 17 --nats nats://127.0.0.1:4222 -o json")]
    Show(ShowArgs),
    /// Publish dead letters again, as commands
    #[command(after_help = REDRIVE_EXAMPLES)]
    Redrive(EndArgs),
    /// Say that dead letters are nobody's concern any more; they stay, and are listed with --all
    #[command(
        after_help = "Example:\n  retailflow dlq discard 17 --nats nats://127.0.0.1:4222 --yes --operator ann"
    )]
    Discard(EndArgs),
}

/// Which letters, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Only those of this tenant; `-` for those of none
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Also those that were redriven or discarded
    #[arg(long)]
    all: bool,
    /// Only those behind this position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    place: LogArgs,
}

/// Which letter, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// The letter's position, as `list` shows it
    position: u64,
    #[command(flatten)]
    place: LogArgs,
}

/// A letter, and what was done with it.
pub(super) struct Seen {
    pub(super) stored: StoredDeadLetter,
    pub(super) marks: Vec<LetterMark>,
}

/// Letters, and where to go on if there are more.
pub(super) struct Found {
    pub(super) letters: Vec<Seen>,
    /// The position of the last one, if there is another one behind it.
    pub(super) more_after: Option<u64>,
}

/// Which letters are looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) tenant: Option<&'a str>,
    /// Also those with which something was done.
    pub(super) all: bool,
    pub(super) after: u64,
    pub(super) limit: usize,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    match args {
        Args::List(args) => list(&args, context),
        Args::Show(args) => show(&args, context),
        Args::Redrive(args) => dlq_end::exec(&args, Way::Redrive, context),
        Args::Discard(args) => dlq_end::exec(&args, Way::Discard, context),
    }
}

fn list(args: &ListArgs, context: Context) -> Result<(), Failure> {
    let wanted = Wanted {
        tenant: args.tenant.as_deref(),
        all: args.all,
        after: args.after,
        limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
    };
    let Found { letters, more_after } = look(&args.place, context.config.config, &wanted)?;
    print(&match context.output {
        Output::Json => format!("{:#}\n", letters.iter().map(Seen::json).collect::<Value>()),
        Output::Table => {
            let rows: Vec<_> = letters.iter().map(Seen::row).collect();
            table(&["POSITION", "AT", "TENANT", "CODE", "BYTES", "DONE", "FROM", "WHY"], &rows)
        }
    })?;
    if let Some(after) = more_after {
        let count = letters.len();
        say(format!(
            "these are {count}, and there are more: go on with --after {after}, or give a greater --limit"
        ));
    }
    Ok(())
}

fn show(args: &ShowArgs, context: Context) -> Result<(), Failure> {
    let after = args.position.saturating_sub(1);
    let wanted = Wanted { tenant: None, all: true, after, limit: 1 };
    let found = look(&args.place, context.config.config, &wanted)?;
    let seen = found.letters.into_iter().find(|seen| seen.stored.position == args.position);
    let seen = seen.ok_or_else(|| absent(args.position))?;
    print(&match context.output {
        Output::Json => format!("{:#}\n", seen.json()),
        Output::Table => seen.text(),
    })
}

/// There is no such letter.
pub(super) fn absent(position: u64) -> Failure {
    Failure::finding(format!(
        "there is no dead letter at {position}; `retailflow dlq list --all` tells which are"
    ))
}

fn look(
    place: &LogArgs,
    mut config: retailflow_config::Config,
    wanted: &Wanted<'_>,
) -> Result<Found, Failure> {
    match place.open(&mut config)? {
        LogPlace::Data(data) => {
            let store = app::open(&data, &config, Make::Never)?;
            let read = app::runtime()?.block_on(gather(store.log.as_ref(), None, wanted));
            store.close();
            read
        }
        LogPlace::Server(client) => dlq_at::list(&client, wanted),
        LogPlace::Cluster => app::runtime()?.block_on(async {
            let (connections, _) = many::log(&config).await?;
            let read = at(&connections, wanted).await;
            connections.close(CLOSE_MAX).await;
            read
        }),
    }
}

/// The letters of a cluster.
pub(super) async fn at(connections: &Connections, wanted: &Wanted<'_>) -> Result<Found, Failure> {
    let letters = NatsDeadLetters::new(connections);
    gather(&letters, Some(&letters), wanted).await
}

/// A log on disk keeps no marks.
async fn gather(
    letters: &dyn DeadLetters,
    marked: Option<&NatsDeadLetters>,
    wanted: &Wanted<'_>,
) -> Result<Found, Failure> {
    let failed = || "cannot read the dead letters";
    let (mut found, mut after): (Vec<Seen>, _) = (Vec::new(), wanted.after);
    loop {
        // One more tells whether there are more.
        let piece = PIECE.min(wanted.limit.saturating_add(1));
        let mut piece = letters.list(after, piece).await.or_exit(ExitStatus::Unreachable, failed)?;
        let Some(last) = piece.last() else { return Ok(Found { letters: found, more_after: None }) };
        after = last.position;
        piece.retain(|stored| wanted.is_of(stored));
        let marks: Vec<Vec<LetterMark>> = match marked {
            Some(marked) => {
                let asked = piece.iter().map(|stored| marked.marks(&stored.letter));
                let told = stream::iter(asked).buffered(MARKS_AT_ONCE).try_collect().await;
                told.or_exit(ExitStatus::Unreachable, failed)?
            }
            None => piece.iter().map(|_| Vec::new()).collect(),
        };
        for (stored, marks) in piece.into_iter().zip(marks) {
            if !wanted.all && !marks.is_empty() {
                continue;
            }
            if found.len() >= wanted.limit {
                let more_after = found.last().map(|last| last.stored.position);
                return Ok(Found { letters: found, more_after });
            }
            found.push(Seen { stored, marks });
        }
    }
}

impl Wanted<'_> {
    fn is_of(&self, stored: &StoredDeadLetter) -> bool {
        self.tenant.is_none_or(|tenant| stored.letter.tenant.as_deref().unwrap_or("-") == tenant)
    }
}

/// Whether all of a letter's body was kept.
pub(super) fn is_whole(letter: &DeadLetter) -> bool {
    letter.body.len() as u64 == letter.length_bytes
}

/// What is shown came from strangers: it may hold anything, also what moves a terminal's cursor.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn did(mark: &LetterMark) -> &'static str {
    match mark.did {
        Did::Redriven => "redriven",
        Did::Discarded => "discarded",
    }
}

impl Seen {
    fn row(&self) -> Vec<String> {
        let letter = &self.stored.letter;
        vec![
            self.stored.position.to_string(),
            format_time(letter.at),
            letter.tenant.as_deref().map_or_else(|| "-".to_owned(), one_line),
            one_line(&letter.code),
            letter.length_bytes.to_string(),
            self.marks.last().map_or("-", did).to_owned(),
            one_line(&letter.origin),
            one_line(&letter.reason),
        ]
    }

    pub(super) fn json(&self) -> Value {
        let letter = &self.stored.letter;
        let text = std::str::from_utf8(&letter.body).ok();
        json!({
            "position": self.stored.position,
            "key": hex(&letter.key),
            "tenant": letter.tenant,
            "origin": letter.origin,
            "code": letter.code,
            "reason": letter.reason,
            "at": format_time(letter.at),
            "length_bytes": letter.length_bytes,
            "whole": is_whole(letter),
            "body": text,
            "body_base64": text.is_none().then(|| base64::encode(&letter.body)),
            "history": self.marks.iter().map(|mark| json!({
                "did": did(mark),
                "by": mark.by,
                "at": format_time(TimestampMs(mark.at_ms)),
                "position": mark.position,
            })).collect::<Value>(),
        })
    }

    fn text(&self) -> String {
        let letter = &self.stored.letter;
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing into memory does not fail.
            let _ = writeln!(text, "{name:<10} {}", one_line(value));
        };
        line("position", &self.stored.position.to_string());
        line("at", &format_time(letter.at));
        line("tenant", letter.tenant.as_deref().unwrap_or("-"));
        line("from", &letter.origin);
        line("code", &letter.code);
        line("why", &letter.reason);
        let kept = if is_whole(letter) { "" } else { ", of which the beginning was kept" };
        line("bytes", &format!("{}{kept}", letter.length_bytes));
        for mark in &self.marks {
            let to = mark.position.map(|position| format!(", at {position}")).unwrap_or_default();
            line(did(mark), &format!("{} by {}{to}", format_time(TimestampMs(mark.at_ms)), mark.by));
        }
        line("body", &String::from_utf8_lossy(&letter.body));
        text
    }
}
