//! The suite of [`EventRelay`] over a log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Subject;
use super::random_orders::{OrderAction, RandomOrders, TENANTS, read_log};
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{EventLog, EventReader, EventRelay, ReadFrom, RelayError, RelayedEvent};
use retailflow_engine::wire::event::PublicEvent;

/// A log and the relay of its events.
pub struct LogWithRelay {
    /// Where commits go.
    pub log: Arc<dyn EventLog>,
    /// What tells of them.
    pub relay: Arc<dyn EventRelay>,
    /// In which order.
    pub order: Order,
}

/// In which order a relay gives a tenant's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Those of one order in the order of their versions: what the port demands.
    OfVersions,
    /// All of them as they stand in the log: more than the port demands.
    OfTheLog,
}

/// Runs every check.
pub async fn suite<S: Subject<Port = LogWithRelay>>(subject: &mut S) {
    each_event_is_given_in_order(subject).await;
    after_each_token_comes_exactly_the_rest(subject).await;
    a_reader_of_now_hears_what_happens_from_now_on(subject).await;
    a_wait_that_is_dropped_loses_nothing(subject).await;
    a_slow_reader_holds_up_nobody_and_misses_nothing(subject).await;
    a_foreign_token_is_told(subject).await;
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// Opens a reader.
pub async fn open(port: &LogWithRelay, name: &str, from: ReadFrom) -> Box<dyn EventReader> {
    port.relay.open(&tenant(name), from).await.unwrap()
}

/// Reads exactly `count` events.
pub async fn read(reader: &mut Box<dyn EventReader>, count: usize) -> Vec<RelayedEvent> {
    let mut events = Vec::new();
    while events.len() < count {
        let some = reader.next().await.unwrap();
        assert!(!some.is_empty(), "at least one event");
        events.extend(some);
    }
    assert_eq!(events.len(), count, "no event more than there is");
    events
}

/// Nothing more is there at once.
fn assert_waits(reader: &mut Box<dyn EventReader>) {
    let mut next = reader.next();
    match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => {}
        Poll::Ready(more) => panic!("nothing has happened: {more:?}"),
    }
}

/// A tenant's events as the log has them, from the `from`th on.
pub async fn expected(port: &LogWithRelay, name: &str) -> Vec<PublicEvent> {
    let events = read_log(&*port.log).await.events;
    events.into_iter().filter(|event| event.order.tenant.as_str() == name).collect()
}

/// Compares events with what the log says, which has them in its own order.
pub fn assert_are(order: Order, given: &[RelayedEvent], expected: &[PublicEvent]) {
    assert_eq!(given.len(), expected.len());
    let given = given.iter().map(|event| (event.kind, event.tenant.clone(), event.json.to_string()));
    let expected = expected
        .iter()
        .map(|event| (event.data.kind(), event.order.tenant.clone(), serde_json::to_string(event).unwrap()));
    match order {
        Order::OfTheLog => given.zip(expected).for_each(|(given, expected)| assert_eq!(given, expected)),
        Order::OfVersions => assert_eq!(by_order(given), by_order(expected)),
    }
}

type Given = (&'static str, TenantId, String);

/// Events by the order that they name, each order's as they come.
fn by_order(events: impl Iterator<Item = Given>) -> BTreeMap<String, Vec<Given>> {
    let mut orders: BTreeMap<String, Vec<Given>> = BTreeMap::new();
    for event in events {
        let json: serde_json::Value = serde_json::from_str(&event.2).unwrap();
        orders.entry(json["subject"].as_str().unwrap().to_owned()).or_default().push(event);
    }
    orders
}

async fn some_orders(port: &LogWithRelay, seed: u64, rounds: usize) -> RandomOrders {
    let mut random = RandomOrders::begin(&*port.log, seed).await;
    let orders = random.names(25);
    random.append_random(&*port.log, &orders, rounds).await;
    random
}

/// "Each event MUST be given at least once, those of one order in the order of their versions, under the same id each
/// time", of the own tenant only, after reopening as before.
pub async fn each_event_is_given_in_order<S: Subject<Port = LogWithRelay>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    some_orders(&port, 11, 60).await;
    for _ in 0..2 {
        for name in TENANTS {
            let expected = expected(&port, name).await;
            let mut reader = open(&port, name, ReadFrom::Beginning).await;
            let given = read(&mut reader, expected.len()).await;
            assert_are(port.order, &given, &expected);
            assert_waits(&mut reader);
            let ids: BTreeSet<String> = expected.iter().map(PublicEvent::id).collect();
            assert_eq!(ids.len(), expected.len(), "each has its own id");
            let mut versions = BTreeMap::new();
            for event in &expected {
                let before = versions.insert(event.order.clone(), event.version);
                assert!(before <= Some(event.version), "versions never fall");
            }
        }
        let mut reader = open(&port, "nobody", ReadFrom::Beginning).await;
        assert_waits(&mut reader);
        drop(reader);
        port = subject.reopen(port).await;
    }
}

/// "A reader that goes on after the token of the last one gets exactly the rest."
pub async fn after_each_token_comes_exactly_the_rest<S: Subject<Port = LogWithRelay>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    let mut random = some_orders(&port, 12, 40).await;
    let name = TENANTS[0];
    let mut reader = open(&port, name, ReadFrom::Beginning).await;
    let mut given = read(&mut reader, expected(&port, name).await.len()).await;
    drop(reader);
    for round in 0..3 {
        for at in (0..given.len()).step_by(given.len().div_ceil(15)).chain([given.len() - 1]) {
            let mut reader = open(&port, name, ReadFrom::After(given[at].token.to_string())).await;
            assert_eq!(read(&mut reader, given.len() - at - 1).await, given[at + 1..], "after event {at}");
            assert_waits(&mut reader);
        }
        let last = given.last().unwrap().token.to_string();
        if round == 1 {
            port = subject.reopen(port).await;
        }
        let mut reader = open(&port, name, ReadFrom::After(last)).await;
        let orders = random.names(25);
        random.append_random(&*port.log, &orders, 15).await;
        let now = expected(&port, name).await;
        given.extend(read(&mut reader, now.len() - given.len()).await);
        assert_are(port.order, &given, &now);
    }
}

/// "With what happens from now on", and the reader is woken.
pub async fn a_reader_of_now_hears_what_happens_from_now_on<S: Subject<Port = LogWithRelay>>(
    subject: &mut S,
) {
    let port = subject.fresh().await;
    let mut random = some_orders(&port, 13, 20).await;
    let orders = random.names(25);
    let mut readers = Vec::new();
    for round in 0..6 {
        let name = TENANTS[round % 2];
        let before = expected(&port, name).await.len();
        readers.push((name, before, open(&port, name, ReadFrom::Now).await));
        random.append_random(&*port.log, &orders, 5).await;
        for (name, seen, reader) in &mut readers {
            let now = expected(&port, name).await;
            assert_are(port.order, &read(reader, now.len() - *seen).await, &now[*seen..]);
            *seen = now.len();
        }
    }
}

/// "May be dropped while it waits": what comes meanwhile is not lost.
pub async fn a_wait_that_is_dropped_loses_nothing<S: Subject<Port = LogWithRelay>>(subject: &mut S) {
    let port = subject.fresh().await;
    let mut random = some_orders(&port, 14, 30).await;
    let orders = random.names(25);
    let name = TENANTS[1];
    let (mut old, mut new) =
        (open(&port, name, ReadFrom::Beginning).await, open(&port, name, ReadFrom::Now).await);
    let from = expected(&port, name).await.len();
    let (mut of_old, mut of_new) = (Vec::new(), Vec::new());
    for _ in 0..30 {
        random.append_random(&*port.log, &orders, 1).await;
        for (reader, given) in [(&mut old, &mut of_old), (&mut new, &mut of_new)] {
            let polled = reader.next().as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(events) = polled {
                given.extend(events.unwrap());
            }
        }
    }
    let now = expected(&port, name).await;
    of_old.extend(read(&mut old, now.len() - of_old.len()).await);
    of_new.extend(read(&mut new, now.len() - from - of_new.len()).await);
    assert_are(port.order, &of_old, &now);
    assert_are(port.order, &of_new, &now[from..]);
}

/// "A reader that is slow MUST NOT hold up the log, other readers, or memory", and gets all the same what it has not
/// had.
pub async fn a_slow_reader_holds_up_nobody_and_misses_nothing<S: Subject<Port = LogWithRelay>>(
    subject: &mut S,
) {
    let port = subject.fresh().await;
    let name = TENANTS[0];
    let (mut slow, mut quick) =
        (open(&port, name, ReadFrom::Now).await, open(&port, name, ReadFrom::Now).await);
    let mut random = RandomOrders::begin(&*port.log, 15).await;
    let orders = random.names(60);
    let mut seen = 0;
    for _ in 0..12 {
        random.append_random(&*port.log, &orders, 20).await;
        let now = expected(&port, name).await;
        assert_are(port.order, &read(&mut quick, now.len() - seen).await, &now[seen..]);
        seen = now.len();
    }
    let all = expected(&port, name).await;
    assert_are(port.order, &read(&mut slow, all.len()).await, &all);
    random.append(&*port.log, &[(&random.names(70)[68].clone(), OrderAction::Place)]).await;
    let now = expected(&port, name).await;
    assert_are(port.order, &read(&mut slow, 1).await, &now[all.len()..]);
    assert_are(port.order, &read(&mut quick, 1).await, &now[all.len()..]);
}

/// What is no token is told, and a place that is not in this log.
pub async fn a_foreign_token_is_told<S: Subject<Port = LogWithRelay>>(subject: &mut S) {
    let port = subject.fresh().await;
    some_orders(&port, 16, 15).await;
    let name = TENANTS[0];
    let mut reader = open(&port, name, ReadFrom::Beginning).await;
    let first = read(&mut reader, expected(&port, name).await.len()).await.remove(0);
    let ours = Cursor::from_token(&first.token).unwrap();
    for token in ["", "x", &first.token[1..]] {
        let opened = port.relay.open(&tenant(name), ReadFrom::After(token.into())).await;
        assert!(matches!(opened.err(), Some(RelayError::BadToken(_))), "{token:?}");
    }
    let elsewhere = [
        Cursor { log_id: [0xee; 16], ..ours },
        Cursor { position: ours.position + 1, ..ours },
        Cursor { position: u64::MAX / 2, ..ours },
        Cursor { index: 1_000_000, ..ours },
    ];
    for cursor in elsewhere {
        let token = cursor.to_token().unwrap();
        let opened = port.relay.open(&tenant(name), ReadFrom::After(token)).await;
        assert!(matches!(opened.err(), Some(RelayError::Gone(_))), "{cursor:?}");
    }
}
