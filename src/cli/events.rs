//! `retailflow events`: what happened to the orders, as public events.

use std::path::PathBuf;
use std::time::Duration;

use retailflow_disk::follow::{FollowError, LogFollower};
use retailflow_disk::log::LogError;
use retailflow_disk::projection::relay::{Relay, TellError, Told};
use retailflow_engine::ids::TenantId;
use retailflow_engine::wire::event::PublicEvent;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::cli::place::{Place, PlaceArgs};
use crate::cli::{Context, events_at, print};
use crate::events::cursor::{self, Token};
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::signals::{self, Listening};

/// How long `--follow` waits before it looks again.
const POLL: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  retailflow events --data data
  retailflow events --data data --follow --tenant shop
  retailflow events --data data --follow --cursor reader.cursor | my-reader
  retailflow events --server http://127.0.0.1:8080 --tenant shop --follow
  retailflow events --data data --positions | tail -1     # its \"position\" is for --after

Each line is a CloudEvent. An event has the same id each time that it is given: readers that remember ids take it in
once. A process that runs the log may go on meanwhile; what is given is on disk.

With a token the log is still read from its beginning, for what an event says follows from all of its order's records;
only what comes after the token is given. The latest 10,000 orders are kept in memory; each other one takes 60 bytes
of it and about 1 KiB of a nameless file in TMPDIR.

A server tells one tenant's events, with tokens that it alone can read. Without --follow they end when it has sent nothing for two seconds.

Exit codes: 1 the token's place is no longer in the log, 2 no token, 3 no log or server there, 4 the token of another
log.";

/// The arguments of `events`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Wait for more at the end, until SIGINT or SIGTERM
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only the events of this tenant
    #[arg(long, value_name = "TENANT", value_parser = TenantId::parse)]
    pub(crate) tenant: Option<TenantId>,
    /// Only what comes after this token, which is a "position" of `--positions`
    #[arg(long, value_name = "TOKEN", value_parser = Token::parse, allow_hyphen_values = true)]
    pub(crate) after: Option<Token>,
    /// A file that keeps the token: read at the start if it is there, written when events have been given
    #[arg(long, value_name = "FILE", conflicts_with = "after")]
    pub(crate) cursor: Option<PathBuf>,
    /// Give each event with its token, as {"position": "...", "event": {...}}
    #[arg(long)]
    pub(crate) positions: bool,
}

/// An event with its token.
#[derive(Serialize)]
struct Placed<'a> {
    position: &'a str,
    event: &'a PublicEvent,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let after = match &args.cursor {
        Some(path) => cursor::load(path)?,
        None => args.after.clone(),
    };
    let data = match args.place.open()? {
        Place::Server(client) => return events_at::follow(&args, &client, after),
        Place::Data(data) => data,
    };
    let after = after.map(Token::in_log).transpose()?;
    let options = app::log_options(&context.config.config);
    let follower = LogFollower::open(&data, options, app::files()).map_err(|error| failure(error.into()))?;
    let mut relay =
        Relay::new(follower, args.tenant.clone(), after, std::env::temp_dir()).map_err(failure)?;
    let runtime = app::runtime()?;
    let mut listening = if args.follow { Some(runtime.block_on(async { signals::listen() })?) } else { None };
    loop {
        let told = relay.next().map_err(failure)?;
        match (&told, &mut listening) {
            (Some(told), _) => give(&args, told)?,
            (None, Some(listening)) => wait(&runtime, listening),
            (None, None) => return Ok(()),
        }
        if listening.as_ref().is_some_and(|(stopped, _)| *stopped.borrow()) {
            return Ok(());
        }
    }
}

/// Gives events, and remembers that they were given once they have left the process.
fn give(args: &Args, told: &[Told]) -> Result<(), Failure> {
    let Some(last) = told.last() else { return Ok(()) };
    let mut text = String::new();
    for told in told {
        let line = if args.positions {
            serde_json::to_string(&Placed { position: &token(told)?, event: &told.event })
        } else {
            serde_json::to_string(&told.event)
        };
        text += &line.or_exit(ExitStatus::Finding, || format!("cannot write event {}", told.event.id()))?;
        text.push('\n');
    }
    print(&text)?;
    match &args.cursor {
        Some(path) => cursor::save(path, &token(last)?),
        None => Ok(()),
    }
}

fn token(told: &Told) -> Result<String, Failure> {
    told.cursor.to_token().or_exit(ExitStatus::Finding, || "cannot write a token")
}

/// Waits a little, or until a stop is asked for.
fn wait(runtime: &Runtime, (stopped, _): &mut Listening) {
    let _ = runtime.block_on(async { tokio::time::timeout(POLL, stopped.changed()).await });
}

/// How a relay that gives no more ends the command.
fn failure(error: TellError) -> Failure {
    let code = match &error {
        TellError::Follow(FollowError::NoLog(_)) => {
            return Failure::unreachable(format!(
                "{error}: name a data directory that `retailflow run` has made"
            ));
        }
        TellError::Follow(FollowError::Log(LogError::Io { .. })) | TellError::States(_) => {
            ExitStatus::Unreachable
        }
        TellError::Follow(FollowError::Log(_)) => {
            let told = anyhow::Error::new(error).context("the log is broken (`retailflow verify` tells all)");
            return Failure::new(ExitStatus::Finding, told);
        }
        TellError::AnotherLog | TellError::Follow(_) => ExitStatus::Refused,
        TellError::Gone(_) | TellError::Broken { .. } => ExitStatus::Finding,
    };
    Failure::new(code, error)
}
