//! Commands into their stream, from whoever has many of them: pipelined, and in order.
//!
//! Invariants:
//! - The commands of one order are stored in the order in which they are given: the next one is sent only when the one before it was
//!   acknowledged, or refused for good. Those of different orders go side by side.
//! - At most `unacknowledged_max` were taken and are not answered; whoever gives another one waits.
//! - A command that was given up without being refused for good ends the publisher: nothing that is given behind it is sent. Otherwise
//!   a later command of its order could come before it when it is published again.
//!
//! A command may be stored twice, when an answer was lost; the engine decides it once. What the server forgets as a duplicate by itself
//! it knows by one name for the whole stream, so a name is sent only where no other command can have it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use parking_lot::Mutex;
use retailflow_engine::ids::{CommandKey, OrderRef};
use retailflow_engine::wire::CommandEvent;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::ApiFailure;
use super::api::{Api, PubAck};
use super::connect::EdgeConnection;
use super::filter::Filter;
use super::subjects;

const MESSAGE_ID: &str = "Nats-Msg-Id";
/// Longest name that the server is given for a command, in bytes.
const NAME_MAX_BYTES: usize = 256;
/// What headers take of a message, at most, in bytes.
const HEADERS_MAX_BYTES: usize = 1_024;
const CLOSED: &str = "the publisher was closed";
/// Longest wait before the next attempt.
const WAIT_MAX_MS: u64 = 1_000;

/// Limits of a publisher.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// Commands that were taken and are not answered, at most.
    pub unacknowledged_max: usize,
    /// How long one command is tried, in milliseconds, while the stream is full or nobody answers. The last attempt may take as long as
    /// the connection waits for an answer.
    pub give_up_after_ms: u64,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self { unacknowledged_max: 512, give_up_after_ms: 30_000 }
    }
}

/// A command to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingCommand {
    /// Which order it is for.
    pub order: OrderRef,
    /// Its identity.
    pub key: CommandKey,
    /// The CloudEvent, as structured JSON.
    pub body: Bytes,
}

impl From<&CommandEvent> for OutgoingCommand {
    fn from(command: &CommandEvent) -> Self {
        let (order, key) = (command.order.clone(), command.key.clone());
        Self { order, key, body: command.to_json().into() }
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishOutcome {
    /// It stands in the stream.
    Stored {
        /// Where.
        sequence: u64,
        /// It stood there already: the server has seen it a moment ago.
        duplicate: bool,
    },
    /// It is not stored, and never will be as it is; these are the server's words.
    Refused(String),
    /// It is not stored: as long as it was tried, there was no room for it, no stream, or too much to do. Publish it again.
    NotTaken(String),
    /// It may be stored, now or later: publish it again.
    Unknown(String),
    /// It was not sent, because one before it was given up: publish it again, behind that one.
    NotSent(String),
}

/// Stands for a command that was taken.
#[must_use = "only this says what became of the command"]
pub struct Receipt(oneshot::Receiver<PublishOutcome>);

impl Receipt {
    /// What became of it; waits for that. May be waited for in any order.
    pub async fn sent(self) -> PublishOutcome {
        self.0.await.unwrap_or_else(|_| PublishOutcome::Unknown("the publisher is gone".into()))
    }
}

struct Job {
    command: OutgoingCommand,
    done: oneshot::Sender<PublishOutcome>,
    _permit: OwnedSemaphorePermit,
}

/// Publishes commands.
pub struct CommandPublisher {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

struct Shared {
    client: Client,
    api: Api,
    give_up_after: Duration,
    /// What waits behind the command of each order that is on its way. An order is in it while a task works for it.
    lanes: Mutex<HashMap<OrderRef, VecDeque<Job>>>,
    /// Why nothing more is sent.
    ended: Mutex<Option<String>>,
    /// Why the latest attempt failed, until one succeeds.
    held_up: Mutex<Option<String>>,
    stop: CancellationToken,
    _filter: Option<Arc<Filter>>,
}

impl CommandPublisher {
    /// Over a connection of its own.
    #[must_use]
    pub fn new(edge: &EdgeConnection, options: &PublisherOptions) -> Self {
        let shared = Shared {
            client: edge.client.clone(),
            api: Api::new(edge.client.clone(), edge.request_timeout),
            give_up_after: Duration::from_millis(options.give_up_after_ms),
            lanes: Mutex::default(),
            ended: Mutex::default(),
            held_up: Mutex::default(),
            stop: CancellationToken::new(),
            _filter: edge.filter(),
        };
        let permits = Arc::new(Semaphore::new(options.unacknowledged_max.max(1)));
        Self { shared: Arc::new(shared), permits, tasks: TaskTracker::new() }
    }

    /// Takes a command, behind all those of its order that were taken before; waits for room. A receipt need not be waited for before
    /// the next command is given. Must be called within a runtime.
    pub async fn publish(&self, command: OutgoingCommand) -> Receipt {
        let (done, receipt) = oneshot::channel();
        let Ok(permit) = self.permits.clone().acquire_owned().await else {
            drop(done.send(PublishOutcome::NotSent(CLOSED.into())));
            return Receipt(receipt);
        };
        let order = command.order.clone();
        let job = Job { command, done, _permit: permit };
        let mut lanes = self.shared.lanes.lock();
        if let Some(lane) = lanes.get_mut(&order) {
            lane.push_back(job);
        } else {
            lanes.insert(order.clone(), [job].into());
            self.tasks.spawn(work(self.shared.clone(), order));
        }
        Receipt(receipt)
    }

    /// Why commands wait: a full stream, a server that does not answer. `None` while they are taken.
    #[must_use]
    pub fn held_up(&self) -> Option<String> {
        self.shared.held_up.lock().clone()
    }

    /// Sends nothing more that is given from now on, and waits `at_most` for what was taken; what is not answered then is told as
    /// unknown. Says whether all was answered in time.
    pub async fn close(&self, at_most: Duration) -> bool {
        self.permits.close();
        self.tasks.close();
        let in_time = tokio::time::timeout(at_most, self.tasks.wait()).await.is_ok();
        self.shared.stop();
        // Nothing waits for anybody any more.
        self.tasks.wait().await;
        in_time
    }
}

impl Drop for CommandPublisher {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// Sends what there is for one order, one after another.
async fn work(shared: Arc<Shared>, order: OrderRef) {
    loop {
        let job = {
            let mut lanes = shared.lanes.lock();
            let job = lanes.get_mut(&order).and_then(VecDeque::pop_front);
            if job.is_none() {
                lanes.remove(&order);
            }
            job
        };
        let Some(job) = job else { return };
        let ended = shared.ended.lock().clone();
        let sent = match ended {
            Some(why) => PublishOutcome::NotSent(why),
            None => tokio::select! {
                biased;
                () = shared.stop.cancelled() => PublishOutcome::Unknown(CLOSED.into()),
                sent = shared.send(&job.command) => sent,
            },
        };
        // Whoever gave it may not want to know.
        drop(job.done.send(sent));
    }
}

impl Shared {
    async fn send(&self, command: &OutgoingCommand) -> PublishOutcome {
        let max = self.client.server_info().max_payload;
        if command.body.len() + HEADERS_MAX_BYTES > max {
            return PublishOutcome::Refused(format!(
                "{} bytes: the server takes {max}, headers and all",
                command.body.len()
            ));
        }
        let (subject, mut headers) = (subjects::command(&command.order), headers(command));
        let mut unnamed = false;
        let deadline = Instant::now() + self.give_up_after;
        let (mut silent, mut most_ms) = (false, 10);
        loop {
            let why = match self.api.publish(&subject, headers.clone(), command.body.clone()).await {
                // The server knows the name, and not whose it was: what stands there may be another tenant's. The engine tells
                // commands apart by more than that.
                Ok(PubAck { duplicate: true, .. }) if !unnamed => {
                    (headers, unnamed) = (HeaderMap::new(), true);
                    continue;
                }
                Ok(PubAck { sequence, .. }) => {
                    self.held_up.lock().take();
                    return PublishOutcome::Stored { sequence, duplicate: unnamed };
                }
                Err(ApiFailure::Refused(error)) => {
                    // What an earlier attempt has done, no refusal undoes.
                    if error.is_final() && !silent {
                        return PublishOutcome::Refused(error.to_string());
                    }
                    error.to_string()
                }
                Err(failure) => {
                    silent = true;
                    failure.to_string()
                }
            };
            *self.held_up.lock() = Some(why.clone());
            let wait = Duration::from_millis(fastrand::u64(most_ms / 2..=most_ms));
            if Instant::now() + wait > deadline {
                self.end(&format!("a command of order {} was given up: {why}", command.order));
                return if silent { PublishOutcome::Unknown(why) } else { PublishOutcome::NotTaken(why) };
            }
            tokio::time::sleep(wait).await;
            most_ms = (most_ms * 2).min(WAIT_MAX_MS);
        }
    }

    /// Nothing that was not sent yet is sent any more. The first reason stays.
    fn end(&self, why: &str) {
        self.ended.lock().get_or_insert_with(|| why.to_owned());
    }

    /// What is on its way is given up, too.
    fn stop(&self) {
        self.end(CLOSED);
        self.stop.cancel();
    }
}

fn headers(command: &OutgoingCommand) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/cloudevents+json");
    if let Some(name) = name(command) {
        headers.insert(MESSAGE_ID, name);
    }
    headers
}

/// What the server may know a command by. An id with a slash has none: the same name could then be made of another source and id.
fn name(command: &OutgoingCommand) -> Option<String> {
    let (order, source, id) = (&command.order, command.key.source.as_str(), command.key.id.as_str());
    let name = format!("{}/{}/{source}/{id}", order.tenant, order.order);
    let plain = name.len() <= NAME_MAX_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && !id.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use retailflow_engine::ids::{CommandId, Source};
    use retailflow_testkit::author::order;

    use super::*;

    #[test]
    fn no_two_commands_have_one_name() {
        let named = |source: &str, id: &str| {
            let key =
                CommandKey { source: Source::parse(source).unwrap(), id: CommandId::parse(id).unwrap() };
            name(&OutgoingCommand { order: order("shop", "o-1"), key, body: Bytes::new() })
        };
        assert_eq!(named("/shop/web", "c-1").as_deref(), Some("shop/o-1//shop/web/c-1"));
        assert_eq!(named("/a", "b/c"), None, "it would be that of the next");
        assert_eq!(named("/a/b", "c").as_deref(), Some("shop/o-1//a/b/c"));
        let long = "x".repeat(128);
        assert_eq!(named(&format!("/{long}"), &long), None);
    }
}
