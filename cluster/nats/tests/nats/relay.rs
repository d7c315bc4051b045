//! Public events to readers, out of their stream.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::ids::{OrderRef, PartitionId, TenantId, TimestampMs};
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::ports::{
    Commit, CommitError, EventLog, EventReader, EventRelay, Group, LogIdentity, LogPosition, LoggedGroup,
    ParkedOrder, PartitionHead, PortFuture, ReadError, ReadFrom, RelayError, StoredRecord,
};
use retailflow_engine::wire::event::{EventData, PublicEvent};
use retailflow_engine::wire::event_data::ParkedOrder as Parked;
use retailflow_nats::{Connections, EdgeConnection, EventOptions, EventPublisher, NatsRelay, RelayOptions};
use retailflow_testkit::Subject;
use retailflow_testkit::author::order;
use retailflow_testkit::event_relay::{self, LogWithRelay, Order, read};
use retailflow_testkit::random_orders::read_log;
use serde_json::json;

use crate::doors::{Doors, WITHIN};
use crate::nats::server_or_skip;
use crate::raw::Raw;
use crate::world::{identity, options};

/// A log whose events are published before anybody hears that it has them.
struct Pumped {
    log: Arc<MemoryLog>,
    publisher: EventPublisher,
    published: tokio::sync::Mutex<usize>,
}

impl Pumped {
    async fn commit_and_publish(&self, group: Group) -> Result<Commit, CommitError> {
        let mut published = self.published.lock().await;
        let commit = self.log.commit(group).await?;
        let events = read_log(&*self.log).await.events.split_off(*published);
        *published += events.len();
        let events = events.into_iter().map(|event| (event.order.clone(), event));
        self.publisher.publish(events).await.unwrap();
        Ok(commit)
    }
}

impl EventLog for Pumped {
    fn identity(&self) -> LogIdentity {
        self.log.identity()
    }

    fn commit(&self, group: Group) -> PortFuture<'_, Result<Commit, CommitError>> {
        Box::pin(self.commit_and_publish(group))
    }

    fn probe(&self, partition: PartitionId) -> PortFuture<'_, Result<(), CommitError>> {
        self.log.probe(partition)
    }

    fn head(&self, partition: PartitionId) -> PortFuture<'_, Result<PartitionHead, ReadError>> {
        self.log.head(partition)
    }

    fn read_order<'a>(
        &'a self,
        order: &'a OrderRef,
        after_revision: u64,
    ) -> PortFuture<'a, Result<Vec<StoredRecord>, ReadError>> {
        self.log.read_order(order, after_revision)
    }

    fn parked(&self, partition: PartitionId) -> PortFuture<'_, Result<Vec<ParkedOrder>, ReadError>> {
        self.log.parked(partition)
    }

    fn parked_commands<'a>(
        &'a self,
        order: &'a OrderRef,
        after_sequence: u64,
        limit: usize,
    ) -> PortFuture<'a, Result<Vec<Vec<u8>>, ReadError>> {
        self.log.parked_commands(order, after_sequence, limit)
    }

    fn scan(
        &self,
        after: LogPosition,
        limit_bytes: usize,
    ) -> PortFuture<'_, Result<Vec<LoggedGroup>, ReadError>> {
        self.log.scan(after, limit_bytes)
    }
}

/// A relay over connections of its own.
async fn relay(doors: &Doors, options_of: RelayOptions) -> NatsRelay {
    let connections = Connections::open(&options(&doors.server)).await.unwrap();
    let edge = EdgeConnection::open(&options(&doors.server), "relay").await.unwrap();
    NatsRelay::open(&connections, edge, options_of)
}

/// Looks often and reads little at a time.
fn small() -> RelayOptions {
    RelayOptions { look_every_ms: 5, batch_max_bytes: 4_000, reads_max: 2 }
}

struct Relays {
    binary: PathBuf,
    options: RelayOptions,
    doors: Option<Doors>,
    reopened: usize,
}

impl Relays {
    async fn port(&self, log: Arc<dyn EventLog>) -> LogWithRelay {
        let relay = Arc::new(relay(self.doors.as_ref().unwrap(), self.options.clone()).await);
        LogWithRelay { log, relay, order: Order::OfVersions }
    }
}

impl Subject for Relays {
    type Port = LogWithRelay;

    fn fresh(&mut self) -> PortFuture<'_, LogWithRelay> {
        Box::pin(async move {
            let doors = Doors::new(&self.binary, 1).await;
            let publisher = EventPublisher::new(&doors.connections, &EventOptions::default());
            self.doors = Some(doors);
            let log = Arc::new(MemoryLog::new(identity(1, 1)));
            let published = tokio::sync::Mutex::default();
            self.port(Arc::new(Pumped { log, publisher, published })).await
        })
    }

    fn reopen(&mut self, port: LogWithRelay) -> PortFuture<'_, LogWithRelay> {
        Box::pin(async move {
            let LogWithRelay { log, relay, .. } = port;
            drop(relay);
            self.reopened += 1;
            if self.reopened % 2 == 1 {
                let server = &mut self.doors.as_mut().unwrap().server;
                server.kill();
                server.run();
            }
            self.port(log).await
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_keeps_the_contract() {
    let Some(binary) = server_or_skip("the_relay_keeps_the_contract") else { return };
    for options in [small(), RelayOptions { look_every_ms: 20, ..RelayOptions::default() }] {
        let binary = binary.clone();
        event_relay::suite(&mut Relays { binary, options, doors: None, reopened: 0 }).await;
    }
}

fn event(tenant: &str, name: &str, version: u64) -> (OrderRef, PublicEvent) {
    let order = order(tenant, name);
    let data = EventData::Parked(Parked { reason: format!("{version} ü") });
    let (time, causation_id) = (TimestampMs(1_700_000_000_000), Some("c 1%".into()));
    let event = PublicEvent {
        order: order.clone(),
        version,
        index: 0,
        number: None,
        time,
        causation_id,
        causation_source: None,
        actor: None,
        traceparent: None,
        data,
    };
    (order, event)
}

async fn publish(doors: &Doors, tenant: &str, versions: std::ops::RangeInclusive<u64>) {
    let publisher = EventPublisher::new(&doors.connections, &EventOptions::default());
    publisher.publish(versions.map(|version| event(tenant, "o", version))).await.unwrap();
}

async fn open(relay: &NatsRelay, from: ReadFrom) -> Result<Box<dyn EventReader>, RelayError> {
    relay.open(&TenantId::parse("shop").unwrap(), from).await
}

async fn next(reader: &mut Box<dyn EventReader>) -> Result<usize, RelayError> {
    tokio::time::timeout(WITHIN, reader.next()).await.unwrap().map(|events| events.len())
}

/// What is none of ours stops its tenant's readers right before it, every time, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strange_message_stops_its_readers_and_no_others() {
    let Some(binary) = server_or_skip("a_strange_message_stops_its_readers_and_no_others") else { return };
    let doors = Doors::new(&binary, 1).await;
    let relay = relay(&doors, RelayOptions { look_every_ms: 5, ..RelayOptions::default() }).await;
    let subject = "rf.v1.evt.shop.strange";
    // Headers that end the connection of whoever receives them.
    for headers in [&b"NATS/1.0\r\n\r\n"[..], b"NATS/1.0\r\nce-id: \xff\r\n\r\n"] {
        let raw = Raw::connect(&doors.server).await;
        raw.must("STREAM.PURGE.RF_EVT", &json!({})).await;
        // A stream forgets the versions with the messages.
        publish(&doors, "shop", 1..=3).await;
        let mut reader = open(&relay, ReadFrom::Beginning).await.unwrap();
        read(&mut reader, 3).await;
        doors.publish_bytes(subject, "_INBOX.x", headers, b"strange");
        publish(&doors, "shop", 4..=4).await;
        publish(&doors, "till", 1..=2).await;
        let place = reader.position();
        for _ in 0..2 {
            let Err(RelayError::Unavailable(why)) = next(&mut reader).await else {
                panic!("it was passed over")
            };
            assert!(why.contains("no event of ours"), "{why}");
            assert_eq!(reader.position(), place);
            reader = open(&relay, ReadFrom::After(place.clone())).await.unwrap();
        }
        let mut reader = open(&relay, ReadFrom::Beginning).await.unwrap();
        read(&mut reader, 3).await;
        let mut other = relay.open(&TenantId::parse("till").unwrap(), ReadFrom::Beginning).await.unwrap();
        read(&mut other, 2).await;
    }
}

/// A token is told to be of no use where events behind its place are gone, where another one stands, and in another stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_gone_is_told() {
    let Some(binary) = server_or_skip("a_place_that_is_gone_is_told") else { return };
    let doors = Doors::new(&binary, 1).await;
    let (raw, relay) = (Raw::connect(&doors.server).await, relay(&doors, small()).await);
    let beginning = open(&relay, ReadFrom::Beginning).await.unwrap().position();
    publish(&doors, "shop", 1..=9).await;
    let mut reader = open(&relay, ReadFrom::After(beginning.clone())).await.unwrap();
    let tokens: Vec<String> =
        read(&mut reader, 9).await.into_iter().map(|event| event.token.to_string()).collect();
    let mut slow = open(&relay, ReadFrom::After(tokens[0].clone())).await.unwrap();
    let after = |token: &String| open(&relay, ReadFrom::After(token.clone()));
    raw.must("STREAM.PURGE.RF_EVT", &json!({ "seq": 6 })).await;
    for token in tokens[..4].iter().chain([&beginning]) {
        assert!(matches!(after(token).await.err(), Some(RelayError::Gone(_))), "{token}");
    }
    assert!(matches!(next(&mut slow).await, Err(RelayError::Gone(_))));
    // All behind the fifth is there.
    for (number, token) in tokens.iter().enumerate().skip(4).take(4) {
        read(&mut after(token).await.unwrap(), 8 - number).await;
    }
    read(&mut open(&relay, ReadFrom::Beginning).await.unwrap(), 4).await;
    // As after a restore of an older copy in which something else went on.
    let cursor = Cursor::from_token(&tokens[7]).unwrap();
    let moved = Cursor { position: 9, ..cursor }.to_token().unwrap();
    assert!(matches!(after(&moved).await.err(), Some(RelayError::Gone(_))));

    let config = raw.must("STREAM.INFO.RF_EVT", &json!({})).await["config"].clone();
    raw.must("STREAM.DELETE.RF_EVT", &json!({})).await;
    raw.must("STREAM.CREATE.RF_EVT", &config).await;
    publish(&doors, "shop", 1..=9).await;
    assert!(matches!(next(&mut reader).await, Err(RelayError::Gone(_))));
    assert!(matches!(after(&tokens[8]).await.err(), Some(RelayError::Gone(_))));
    read(&mut open(&relay, ReadFrom::Beginning).await.unwrap(), 9).await;
}

/// Readers hear within a short time, over a server that is killed, and of the end of the relay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_wait_and_are_woken() {
    let Some(binary) = server_or_skip("readers_wait_and_are_woken") else { return };
    let mut doors = Doors::new(&binary, 1).await;
    let relay = relay(&doors, RelayOptions::default()).await;
    let mut readers = Vec::new();
    for _ in 0..40 {
        readers.push(open(&relay, ReadFrom::Now).await.unwrap());
    }
    for version in 1..=3 {
        let waiting: Vec<_> = readers
            .into_iter()
            .map(|mut reader| {
                tokio::spawn(async move {
                    let given = reader.next().await.map(|events| events.len());
                    (reader, given)
                })
            })
            .collect();
        // Another tenant's wakes nobody for long.
        publish(&doors, "till", version..=version).await;
        publish(&doors, "shop", version..=version).await;
        readers = Vec::new();
        for waiting in waiting {
            let (reader, given) = tokio::time::timeout(WITHIN, waiting).await.unwrap().unwrap();
            assert_eq!(given, Ok(1));
            readers.push(reader);
        }
        if version == 2 {
            doors.server.kill();
            doors.server.run();
        }
    }
    let mut reader = readers.pop().unwrap();
    let waiting = tokio::spawn(async move { reader.next().await });
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    for _ in 0..5 {
        looks.tick().await;
    }
    assert!(relay.close(WITHIN).await);
    assert!(matches!(waiting.await.unwrap(), Err(RelayError::Unavailable(_))));
    assert!(matches!(next(&mut readers[0]).await, Err(RelayError::Unavailable(_))));
    assert!(open(&relay, ReadFrom::Now).await.is_err());
}
