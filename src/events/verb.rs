//! `retailflow events`: what happened to the orders, as public events.

use std::time::Duration;

use retailflow_disk::follow::{FollowError, LogFollower};
use retailflow_disk::log::LogError;
use retailflow_disk::projection::relay::{EventsError, PublishedEvent, Relay};
use retailflow_engine::wire::event::PublicEvent;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::cli::place::Place;
use crate::cli::{Context, print};
use crate::events::args::Args;
use crate::events::at;
use crate::events::cursor::{self, Token};
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::signals::{self, Listening};

/// An event with its token.
#[derive(Serialize)]
struct Placed<'a> {
    position: &'a str,
    event: &'a PublicEvent,
}

/// How long `--follow` waits before it looks again.
const POLL: Duration = Duration::from_millis(50);

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let after = match &args.cursor {
        Some(path) => cursor::load(path)?,
        None => args.after.clone(),
    };
    let data = match args.place.open()? {
        Place::Server(client) => return at::follow(&args, &client, after),
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
fn give(args: &Args, told: &[PublishedEvent]) -> Result<(), Failure> {
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

fn token(told: &PublishedEvent) -> Result<String, Failure> {
    told.cursor.to_token().or_exit(ExitStatus::Finding, || "cannot write a token")
}

/// Waits a little, or until a stop is asked for.
fn wait(runtime: &Runtime, (stopped, _): &mut Listening) {
    let _ = runtime.block_on(async { tokio::time::timeout(POLL, stopped.changed()).await });
}

/// How a relay that gives no more ends the command.
fn failure(error: EventsError) -> Failure {
    let code = match &error {
        EventsError::Follow(FollowError::NoLog(_)) => {
            return Failure::unreachable(format!(
                "{error}: name a data directory that `retailflow run` has made"
            ));
        }
        EventsError::Follow(FollowError::Log(LogError::Io { .. })) | EventsError::States(_) => {
            ExitStatus::Unreachable
        }
        EventsError::Follow(FollowError::Log(_)) => {
            let told = anyhow::Error::new(error).context("the log is broken (`retailflow verify` tells all)");
            return Failure::new(ExitStatus::Finding, told);
        }
        EventsError::AnotherLog | EventsError::Follow(_) => ExitStatus::Refused,
        EventsError::Gone(_) | EventsError::Broken { .. } => ExitStatus::Finding,
    };
    Failure::new(code, error)
}
