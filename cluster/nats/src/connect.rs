//! Connections to NATS: two for the log, because a reader that falls behind must not hold up a commit; and one of its own for
//! each thing that reads what strangers wrote.
//!
//! The client ends a connection over which a header comes that it cannot read, and any caller can send one. So the log's
//! connections carry nothing of callers'; what comes over an [`EdgeConnection`] goes through a filter first, which takes such messages
//! out (ADR 29), and whoever reads on one is told when it was lost all the same.
//!
//! They reconnect by themselves, for ever; nothing sent on them is waited for without a bound. What was queued while
//! disconnected is sent later, so every write carries a condition.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use futures_util::StreamExt;
use tokio::sync::watch;

use super::connect_options::{ConnectError, NatsOptions, SERVER_MIN};
use super::filter::Filter;
use super::login;
use retailflow_os::repeated::Repeated;

/// Commands that may wait in a client for its socket.
const COMMANDS_MAX: usize = 4_096;
/// Messages that may wait in a subscription: more than one read asks for.
const SUBSCRIPTION_MAX: usize = 4_096;
/// The same where strangers choose how large a message is.
const EDGE_SUBSCRIPTION_MAX: usize = 1_024;
/// Between two lines that say that messages are left out.
const SAID_EVERY: Duration = Duration::from_secs(10);
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// Both connections.
#[derive(Debug, Clone)]
pub struct Connections {
    pub(super) publish: Client,
    pub(super) read: Client,
    pub(super) request_timeout: Duration,
}

impl Connections {
    /// Connects twice.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn open(options: &NatsOptions) -> Result<Self, ConnectError> {
        let publish = connect(options, "publish").await?;
        let read = connect(options, "read").await?;
        let request_timeout = Duration::from_millis(options.request_timeout_ms);
        Ok(Self { publish, read, request_timeout })
    }

    /// The largest message that the servers take, in bytes, headers and all.
    #[must_use]
    pub fn payload_max_bytes(&self) -> usize {
        self.publish.server_info().max_payload
    }

    /// Whether both stand now.
    #[must_use]
    pub fn are_up(&self) -> bool {
        let up = |client: &Client| client.connection_state() == async_nats::connection::State::Connected;
        up(&self.publish) && up(&self.read)
    }

    /// Closes both, after what they still hold was sent, waiting `at_most`.
    pub async fn close(&self, at_most: Duration) {
        for client in [&self.publish, &self.read] {
            let drained = async {
                drop(client.flush().await);
                drop(client.drain().await);
            };
            if tokio::time::timeout(at_most, drained).await.is_err() {
                tracing::warn!("a connection to NATS was left before all was sent");
            }
        }
    }
}

/// A connection for what strangers wrote.
#[derive(Debug, Clone)]
pub struct EdgeConnection {
    pub(super) client: Client,
    /// How often it was lost.
    pub(super) losses: watch::Receiver<u64>,
    pub(super) request_timeout: Duration,
    /// Has to be there for as long as the client is.
    filter: Option<Arc<Filter>>,
    /// What readers on it say when they are not answered: one cause, however many they are.
    pub(super) said: Arc<Repeated>,
}

impl EdgeConnection {
    /// Connects; `purpose` stands in the servers' lists behind the process's name.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn open(options: &NatsOptions, purpose: &'static str) -> Result<Self, ConnectError> {
        let filter = Filter::open(options, addresses(options)?, purpose).await;
        let filter = filter.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        Self::open_with(options, purpose, Some(Arc::new(filter))).await
    }

    /// Connects without a filter: for what is published, or asked of those who are known. No stranger's headers come over it.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn direct(options: &NatsOptions, purpose: &'static str) -> Result<Self, ConnectError> {
        Self::open_with(options, purpose, None).await
    }

    async fn open_with(
        options: &NatsOptions,
        purpose: &'static str,
        filter: Option<Arc<Filter>>,
    ) -> Result<Self, ConnectError> {
        let (lost, losses) = watch::channel(0);
        let client =
            connect_watched(options, purpose, EDGE_SUBSCRIPTION_MAX, lost, filter.as_deref()).await?;
        let request_timeout = Duration::from_millis(options.request_timeout_ms);
        Ok(Self { client, losses, request_timeout, filter, said: Arc::default() })
    }

    /// How often it was lost since it was made.
    #[must_use]
    pub fn times_lost(&self) -> u64 {
        *self.losses.borrow()
    }

    /// What must be kept for as long as a client that was taken out of this is used.
    pub(super) fn filter(&self) -> Option<Arc<Filter>> {
        self.filter.clone()
    }
}

impl EdgeConnection {
    /// Sends something that somebody waits for, and says when it cannot be sent: once in a while, as thousands may wait. Who waited has
    /// given up when the client's queue is full for so long.
    pub(super) async fn send(
        &self,
        what: &'static str,
        sent: impl Future<Output = Result<(), async_nats::PublishError>>,
    ) {
        let why = match tokio::time::timeout(self.request_timeout, sent).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the client's queue is full".to_owned(),
        };
        if let Some(left_out) = self.said.due(&format_args!("{what}: {why}")) {
            tracing::warn!(why, left_out, "{what} could not be sent");
        }
    }

    /// Waits until the server knows all subscriptions so far, as far as it can be told in time: it takes what comes over one
    /// connection in order, so a message to ourselves comes back behind them.
    pub(super) async fn confirm_subscriptions(&self) {
        let round = async {
            // What may be heard of it stands in the permissions of whoever answers callers.
            let inbox = format!("_INBOX.settled.{:016x}", fastrand::u64(..));
            let mut back = self.client.subscribe(inbox.clone()).await.ok()?;
            self.client.publish(inbox, bytes::Bytes::new()).await.ok()?;
            back.next().await
        };
        if !matches!(tokio::time::timeout(self.request_timeout, round).await, Ok(Some(_))) {
            tracing::warn!("whether the server knows our subscriptions is not known");
        }
    }
}

pub(super) async fn connect(options: &NatsOptions, purpose: &'static str) -> Result<Client, ConnectError> {
    connect_watched(options, purpose, SUBSCRIPTION_MAX, watch::channel(0).0, None).await
}

fn addresses(options: &NatsOptions) -> Result<Vec<ServerAddr>, ConnectError> {
    let mut addresses = Vec::with_capacity(options.servers.len());
    for address in &options.servers {
        let parsed: Result<ServerAddr, _> = address.parse();
        let what = |why: String| ConnectError::Address { address: login::redacted(address), why };
        addresses.push(parsed.map_err(|error| what(error.to_string()))?);
    }
    Ok(addresses)
}

async fn connect_watched(
    options: &NatsOptions,
    purpose: &'static str,
    subscription_max: usize,
    losses: watch::Sender<u64>,
    filter: Option<&Filter>,
) -> Result<Client, ConnectError> {
    let losses = Arc::new(losses);
    let mut addresses = addresses(options)?;
    let timeout = Duration::from_millis(options.connect_timeout_ms);
    let mut connecting = login::add(ConnectOptions::new(), options, &addresses)?;
    match filter {
        // The filter knows the servers.
        Some(filter) => {
            let address: Result<ServerAddr, _> = filter.address().parse();
            addresses = vec![address.map_err(|error| ConnectError::Unreachable(error.to_string()))?];
            connecting = connecting.ignore_discovered_servers();
        }
        None => {
            if let Some(ca) = &options.ca {
                connecting = connecting.add_root_certificates(ca.clone());
            }
        }
    }
    let slow = Arc::<Seldom>::default();
    let connecting = connecting
        .name(format!("{} {purpose}", options.name))
        .custom_inbox_prefix(&options.inbox_prefix)
        .connection_timeout(timeout)
        .request_timeout(Some(Duration::from_millis(options.request_timeout_ms)))
        .ping_interval(Duration::from_millis(options.ping_interval_ms))
        .client_capacity(COMMANDS_MAX)
        .subscription_capacity(subscription_max)
        .reconnect_delay_callback(|attempts| {
            let doubled = 10u64 << attempts.min(8);
            Duration::from_millis(fastrand::u64(doubled / 2..=doubled)).min(RECONNECT_MAX)
        })
        .event_callback(move |event| {
            let (losses, slow) = (losses.clone(), slow.clone());
            async move {
                match event {
                    // One for each message that is left out: thousands a second.
                    Event::SlowConsumer(_) if !slow.is_due() => return,
                    Event::Connected => return tracing::debug!(purpose, "connected to NATS"),
                    // Asked for from here.
                    Event::Draining | Event::Closed => {
                        return tracing::debug!(purpose, change = %event, "the connection to NATS has changed");
                    }
                    Event::Disconnected => losses.send_modify(|count| *count += 1),
                    _ => {}
                }
                tracing::warn!(event = "nats_connection", purpose, change = %event, "the connection to NATS has changed");
            }
        })
        .connect(addresses);
    // The option bounds one attempt; this bounds all of them.
    let bound = timeout.saturating_mul(u32::try_from(options.servers.len()).unwrap_or(u32::MAX).max(1));
    let client = tokio::time::timeout(bound, connecting)
        .await
        .map_err(|_| ConnectError::Unreachable(format!("within {bound:?}")))?
        .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    let (major, minor, patch) = SERVER_MIN;
    if !client.is_server_compatible(major, minor, patch) {
        return Err(ConnectError::TooOld { found: client.server_info().version });
    }
    Ok(client)
}

/// What is said once in a while, however often it happens.
#[derive(Default)]
struct Seldom(parking_lot::Mutex<Option<tokio::time::Instant>>);

impl Seldom {
    fn is_due(&self) -> bool {
        let mut said = self.0.lock();
        let is_due = said.is_none_or(|said| said.elapsed() >= SAID_EVERY);
        if is_due {
            *said = Some(tokio::time::Instant::now());
        }
        is_due
    }
}
