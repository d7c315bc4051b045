//! `retailflow events --server`: a tenant's events, as a server tells them.

use std::thread;
use std::time::Duration;

use crate::cli::print;
use crate::client::stream::{Begin, End, Event};
use crate::client::{Client, say};
use crate::events::args::Args;
use crate::events::cursor::{self, Token};
use retailflow_server::app;
use retailflow_server::exit::{ExitStatus, Failure};
use retailflow_server::signals;

/// Without `--follow`: a server that has sent nothing for so long has nothing more for now.
const QUIET: Duration = Duration::from_secs(2);
/// With it: a server says something every fifteen seconds (`http.stream_heartbeat_ms`). One that does not is gone.
const DEAD: Duration = Duration::from_secs(60);
/// Greatest wait before a stream that has ended is opened again. It doubles from the least.
const WAIT_MAX: Duration = Duration::from_secs(5);
const WAIT_MIN: Duration = Duration::from_millis(200);

/// Gives events until there are none, or a stop is asked for.
pub(crate) fn follow(args: &Args, client: &Client, after: Option<Token>) -> Result<(), Failure> {
    let Some(tenant) = &args.tenant else {
        return Err(Failure::usage("a server tells the events of one tenant: give --tenant TENANT"));
    };
    if args.follow {
        stop_on_signal()?;
    }
    let mut position = after.map(Token::for_server).transpose()?;
    let mut wait = WAIT_MIN;
    loop {
        let quiet = if args.follow { DEAD } else { QUIET };
        let opened =
            client.events(tenant.as_str(), &position.as_deref().map_or(Begin::First, Begin::After), quiet);
        let end = match opened {
            Ok(mut events) => loop {
                match events.next() {
                    Ok(event) => {
                        give(args, &event)?;
                        position = Some(event.position);
                        wait = WAIT_MIN;
                    }
                    Err(end) => break end,
                }
            },
            // A server that is started again takes a moment, and one that has much to do says so.
            Err(failure)
                if args.follow && matches!(failure.code, ExitStatus::Unreachable | ExitStatus::Refused) =>
            {
                say(format!("{failure}; trying again"));
                End::Closed
            }
            Err(failure) => return Err(failure),
        };
        match (args.follow, end) {
            (false, End::Quiet) => return Ok(()),
            (false, End::Closed) => {
                return Err(Failure::unreachable(format!(
                    "{} has ended the stream: ask again{}",
                    client.server(),
                    position.map(|token| format!(" with --after {token}")).unwrap_or_default()
                )));
            }
            (true, _) => {
                thread::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0));
                wait = (wait * 2).min(WAIT_MAX);
            }
        }
    }
}

fn give(args: &Args, event: &Event) -> Result<(), Failure> {
    let Event { position, json } = event;
    match args.positions {
        // A token is of letters, digits, '-' and '_', and the event is JSON as the server gave it.
        true => print(&format!("{{\"position\":\"{position}\",\"event\":{json}}}\n"))?,
        false => print(&format!("{json}\n"))?,
    }
    match &args.cursor {
        Some(path) => cursor::save(path, position),
        None => Ok(()),
    }
}

/// Ends the process on a signal, well. Lines are written whole and tokens after them, so that nothing is left to do.
fn stop_on_signal() -> Result<(), Failure> {
    let runtime = app::runtime()?;
    let (mut stopped, stop) = runtime.block_on(async { signals::listen() })?;
    thread::spawn(move || {
        let _ = runtime.block_on(stopped.wait_for(|stopped| *stopped));
        drop(stop);
        std::process::exit(ExitStatus::Fine as i32);
    });
    Ok(())
}
