//! `retailflow order watch`: one order at a server until it has ended.
//!
//! What counts is the order as it is read. The stream of events only tells when to read again, so that one that is not
//! to be had, or that ends, makes the watching slower and nothing else.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use retailflow_engine::ids::OrderRef;
use retailflow_engine::wire::order::{Attention, OrderStatus, OrderView};
use serde::Deserialize;

use crate::cli::place::ServerArgs;
use crate::cli::{Output, print};
use crate::client::stream::Begin;
use crate::client::{Client, say};
use crate::order::name::{self, NameArgs};
use retailflow_server::exit::Failure;

/// Greatest wait between two looks. It doubles from the least while nothing changes.
const WAIT_MAX: Duration = Duration::from_secs(2);
const WAIT_MIN: Duration = Duration::from_millis(50);
/// A stream says something every fifteen seconds (`http.stream_heartbeat_ms`). One that does not is gone.
const DEAD: Duration = Duration::from_secs(60);

/// The arguments of `order watch`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  retailflow order watch shop 1001 --server http://127.0.0.1:8080

It ends when the order is completed or canceled: with 0. When the time is over before: with 1.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) name: NameArgs,
    /// How long to follow it
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Runs the command.
pub(crate) fn exec(args: &Args, output: Output) -> Result<(), Failure> {
    let client = args.server.open()?;
    let name = args.name.full();
    let (begun, time) = (Instant::now(), Duration::from_secs(args.timeout));
    // Opened before the first look, so that nothing falls between them.
    let mut events = events_of(&client, &name);
    let (mut last, mut wait) = (String::new(), WAIT_MIN);
    loop {
        let answer = client.get(&format!("/v1{}", name::path(&name)))?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let order: OrderView = answer.read()?;
        let now = line(&order);
        if now != last {
            if output == Output::Table {
                print(&format!("{now}\n"))?;
            }
            (last, wait) = (now, WAIT_MIN);
        }
        let ended = matches!(order.head.status, OrderStatus::Completed | OrderStatus::Canceled);
        let over = begun.elapsed() >= time;
        if (ended || over) && output == Output::Json {
            print(&format!("{}\n", answer.body))?;
        }
        if ended {
            return Ok(());
        }
        if over {
            let seconds = retailflow_server::words::count(args.timeout, "second");
            return Err(Failure::finding(format!(
                "order {name} has not ended within {seconds}: {last}. Watch it again, or see its history"
            )));
        }
        let left = time.saturating_sub(begun.elapsed());
        match &events {
            Some(happened) => match happened.recv_timeout(WAIT_MAX.min(left)) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => events = None,
            },
            None => {
                thread::sleep(wait.min(left));
                wait = (wait * 2).min(WAIT_MAX);
            }
        }
    }
}

/// Something for each event of the order from now on, until the stream ends; nothing without a stream.
fn events_of(client: &Client, name: &OrderRef) -> Option<Receiver<()>> {
    /// What is read of an event.
    #[derive(Deserialize)]
    struct Event {
        subject: String,
    }
    let mut events = match client.events(name.tenant.as_str(), &Begin::Now, DEAD) {
        Ok(events) => events,
        Err(failure) => {
            say(format!("the order is read from time to time, for its events cannot be followed: {failure}"));
            return None;
        }
    };
    let (tell, told) = channel();
    let order = name.order.as_str().to_owned();
    // It ends with the process, if not with the stream.
    thread::spawn(move || {
        while let Ok(event) = events.next() {
            let ours = serde_json::from_str::<Event>(&event.json).is_ok_and(|event| event.subject == order);
            if ours && tell.send(()).is_err() {
                break;
            }
        }
    });
    Some(told)
}

fn line(order: &OrderView) -> String {
    let step = order.head.step.map(|step| format!(", next step {}", step.as_str())).unwrap_or_default();
    let attention = match (order.head.attention, &order.head.attention_reason) {
        (Attention::None, _) => String::new(),
        (attention, Some(why)) => format!("; {}: {why}", attention.as_str()),
        (attention, None) => format!("; {}", attention.as_str()),
    };
    format!("version {:<4} {}{step}{attention}", order.head.version, order.head.status.as_str())
}
