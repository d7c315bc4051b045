//! The ask door: core NATS requests, answered with outcomes.
//!
//! Invariants:
//! - An answer goes only to `_INBOX.…`, to the tenant's own `rf.v1.reply.<tenant>.…`, or back into the account that the request came
//!   from (`_R_.…`, which the server alone can name as a reply). Whoever asks chooses where the answer goes, and
//!   could name the log's subjects or JetStream's own. A request with another reply, or none, is dropped unread and counted.
//! - At most `in_flight_max` requests are worked on, half as many of one tenant; one beyond them is answered `overloaded` or
//!   `throttled` at once.
//! - Each request has a deadline, and every one that was begun is answered.
//! - One task owns all others: [`AskDoor::close`] takes nothing more, answers what was begun, and joins it.
//!
//! Callers' messages come over a connection of its own, with a filter before it (ADR 29): headers that no client reads are refused, and
//! cost nobody else an answer.

mod answer;
mod client;
mod discovery;
mod shares;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Message, SubscribeError, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::CommandDoor;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::client::{AskClient, AskError};
use self::discovery::Discovery;
use self::shares::Places;
use super::connect::EdgeConnection;
use super::subjects;

/// Limits of the ask door.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Requests that are worked on at once; half as many of one tenant.
    pub in_flight_max: usize,
    /// How long a request may take that does not say so, in milliseconds.
    pub timeout_ms: u64,
    /// How long one may ask for at most, in milliseconds.
    pub timeout_max_ms: u64,
    /// When to come again that comes when there is too much, in milliseconds.
    pub retry_after_ms: u64,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self { in_flight_max: 256, timeout_ms: 10_000, timeout_max_ms: 60_000, retry_after_ms: 250 }
    }
}

/// What became of requests since the door was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskCounts {
    /// Were answered, whatever the answer.
    pub answered: u64,
    /// Of these, with an error.
    pub errors: u64,
    /// Of these, because there was too much.
    pub overloaded: u64,
    /// Were dropped unread: there is nowhere to answer to.
    pub dropped: u64,
}

#[derive(Default)]
struct Counters {
    answered: AtomicU64,
    errors: AtomicU64,
    overloaded: AtomicU64,
    dropped: AtomicU64,
    busy_nanos: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

struct Shared {
    edge: EdgeConnection,
    door: Arc<dyn CommandDoor>,
    options: AskOptions,
    places: Places,
    counters: Counters,
}

/// An open ask door.
pub struct AskDoor {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl AskDoor {
    /// Opens it on a connection of its own; `now` is when.
    ///
    /// # Errors
    /// When the client takes no subscription.
    pub async fn open(
        edge: EdgeConnection,
        door: Arc<dyn CommandDoor>,
        options: AskOptions,
        now: TimestampMs,
    ) -> Result<Self, SubscribeError> {
        let asked =
            edge.client.queue_subscribe(subjects::ASKED.to_owned(), subjects::ASKED_GROUP.to_owned()).await?;
        let discovery = Discovery::new(now);
        let mut looked_for = Vec::new();
        for subject in discovery.subjects() {
            looked_for.push(edge.client.subscribe(subject).await?);
        }
        // Known to the server before anybody is told that the door is open.
        edge.settled().await;
        let places = Places::new(options.in_flight_max);
        let shared = Arc::new(Shared { edge, door, options, places, counters: Counters::default() });
        let stop = CancellationToken::new();
        let serving = serve(shared.clone(), asked, select_all(looked_for), discovery, stop.clone());
        Ok(Self { shared, stop, task: Some(tokio::spawn(serving)) })
    }

    /// What became of requests so far.
    #[must_use]
    pub fn counts(&self) -> AskCounts {
        self.shared.counts()
    }

    /// The same for others to look at, for as long as they like.
    #[must_use]
    pub fn counted(&self) -> Arc<dyn Fn() -> AskCounts + Send + Sync> {
        let shared = self.shared.clone();
        Arc::new(move || shared.counts())
    }

    /// Takes no more requests, waits `at_most` for the answers to those that came, and closes the connection. Says whether all
    /// were answered.
    pub async fn close(mut self, at_most: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + at_most;
        self.stop.cancel();
        let mut in_time = true;
        if let Some(mut task) = self.task.take() {
            in_time = tokio::time::timeout_at(deadline, &mut task).await.is_ok();
            if !in_time {
                // What it began ends with it.
                task.abort();
                drop(task.await);
            }
        }
        let client = &self.shared.edge.client;
        let drained = async {
            drop(client.flush().await);
            // Behind the client's socket is a filter: the answers have left when the server has sent this back.
            self.shared.edge.settled().await;
            drop(client.drain().await);
        };
        // Also when the time is up there is a moment for what was answered.
        let rest = deadline.max(tokio::time::Instant::now() + Duration::from_millis(100));
        in_time & tokio::time::timeout_at(rest, drained).await.is_ok()
    }
}

impl Drop for AskDoor {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Shared {
    fn counts(&self) -> AskCounts {
        let counters = &self.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AskCounts {
            answered: of(&counters.answered),
            errors: of(&counters.errors),
            overloaded: of(&counters.overloaded),
            dropped: of(&counters.dropped),
        }
    }
}

async fn serve(
    shared: Arc<Shared>,
    mut asked: Subscriber,
    mut looked_for: SelectAll<Subscriber>,
    discovery: Discovery,
    stop: CancellationToken,
) {
    // As many as there are permits.
    let mut begun = JoinSet::new();
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                // What the server has sent already still comes; then the subscription ends.
                if asked.drain().await.is_err() {
                    break;
                }
            }
            message = asked.next() => match message {
                Some(message) => hear(&shared, message, &mut begun).await,
                None => break,
            },
            Some(message) = looked_for.next(), if !stopping => {
                if let Some((reply, answer)) = discovery.answer(&message, &shared) {
                    shared.publish(reply, async_nats::HeaderMap::new(), answer).await;
                }
            }
            Some(_) = begun.join_next(), if !begun.is_empty() => {}
        }
    }
    while begun.join_next().await.is_some() {}
}

async fn hear(shared: &Arc<Shared>, message: Message, begun: &mut JoinSet<()>) {
    let named =
        subjects::parse_ask(&message.subject).map(|(tenant, order)| (tenant.to_owned(), order.to_owned()));
    let reply = message
        .reply
        .clone()
        .filter(|reply| subjects::may_answer(reply, named.as_ref().map(|(tenant, _)| tenant.as_str())));
    let (Some(reply), Some((tenant, order))) = (reply, named) else {
        Counters::add(&shared.counters.dropped);
        tracing::debug!(subject = %message.subject, "a request was dropped: nothing may be answered to its reply");
        return;
    };
    match shared.places.take(&tenant) {
        Err(code) => {
            let outcome =
                answer::refusal(&tenant, &order, code).with_retry_after_ms(shared.options.retry_after_ms);
            shared.answer(reply, &outcome).await;
        }
        Ok(place) => {
            let shared = shared.clone();
            begun.spawn(async move {
                let since = tokio::time::Instant::now();
                let outcome = shared.decide(&tenant, &order, &message).await;
                let busy = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                shared.counters.busy_nanos.fetch_add(busy, Ordering::Relaxed);
                shared.answer(reply, &outcome).await;
                drop(place);
            });
        }
    }
}
