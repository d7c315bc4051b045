//! The door itself: one task takes requests, and owns those that answer them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{Message, SubscribeError, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::CommandDoor;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::answer;
use super::discovery::Discovery;
use super::shares::Places;
use super::state::{AskCounts, AskOptions, Counters, Shared};
use crate::connect::EdgeConnection;
use crate::service::{self, Requests, Responder};
use crate::subjects;

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
        edge.confirm_subscriptions().await;
        let places = Places::new(options.in_flight_max);
        let shared = Arc::new(Shared { edge, door, options, places, counters: Counters::default() });
        let stop = CancellationToken::new();
        let heard = Heard { asked, looked_for: select_all(looked_for), draining: false };
        let serving = serve(heard, Answering { shared: shared.clone(), discovery }, stop.clone());
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
            self.shared.edge.confirm_subscriptions().await;
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

/// What the door hears: requests, and who looks for services.
struct Heard {
    asked: Subscriber,
    looked_for: SelectAll<Subscriber>,
    draining: bool,
}

enum Request {
    Ask(Message),
    LookedFor(Message),
}

impl Requests for Heard {
    type Request = Request;

    async fn next_request(&mut self) -> Option<Request> {
        tokio::select! {
            biased;
            message = self.asked.next() => message.map(Request::Ask),
            Some(message) = self.looked_for.next(), if !self.draining => Some(Request::LookedFor(message)),
        }
    }

    async fn drain_requests(&mut self) -> bool {
        self.draining = true;
        self.asked.drain().await.is_ok()
    }
}

struct Answering {
    shared: Arc<Shared>,
    discovery: Discovery,
}

impl Responder for Answering {
    type Request = Request;

    async fn on_request(&self, request: Request, begun: &mut JoinSet<()>) {
        match request {
            Request::Ask(message) => on_ask(&self.shared, message, begun).await,
            Request::LookedFor(message) => {
                if let Some((reply, answer)) = self.discovery.answer(&message, &self.shared) {
                    self.shared.publish(reply, async_nats::HeaderMap::new(), answer).await;
                }
            }
        }
    }
}

/// As long as it takes: whoever closes the door says when it is enough.
async fn serve(heard: Heard, answering: Answering, stop: CancellationToken) {
    service::serve(heard, &answering, &stop, Duration::MAX).await;
}

async fn on_ask(shared: &Arc<Shared>, message: Message, begun: &mut JoinSet<()>) {
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
