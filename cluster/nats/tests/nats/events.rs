//! Public events: each once and in order, whoever publishes how often.

use std::sync::Arc;

use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::wire::event::{EventData, PublicEvent};
use retailflow_engine::wire::event_data::ParkedOrder;
use retailflow_nats::{EventOptions, EventPublisher, PublishCounts, PublishError, subjects};
use retailflow_testkit::author::order;
use serde_json::{Value, json};

use crate::doors::{Doors, WITHIN};
use crate::nats::server_or_skip;
use crate::raw::Raw;

/// `versions` of each of `orders`, two events a version, mixed as a log has them.
pub(crate) fn events(orders: usize, versions: u64) -> Vec<(OrderRef, PublicEvent)> {
    let mut all = Vec::new();
    for version in 1..=versions {
        for number in 0..orders {
            let order = order("shop", &format!("o-{number}"));
            for index in 0..2 {
                let data = EventData::Parked(ParkedOrder { reason: format!("{version} ü") });
                let event = PublicEvent {
                    order: order.clone(),
                    version,
                    index,
                    number: Some(version * 2 + u64::from(index)),
                    time: TimestampMs(1_700_000_000_000),
                    causation_id: Some("c 1%".into()),
                    causation_source: Some("/shop ü".into()),
                    actor: None,
                    traceparent: None,
                    data,
                };
                all.push((order.clone(), event));
            }
        }
    }
    all
}

fn publisher(doors: &Doors) -> EventPublisher {
    EventPublisher::new(&doors.connections, &EventOptions { in_flight_max: 8, orders_remembered_max: 3 })
}

/// The ids that the stream holds, in its order.
async fn stored(raw: &Raw) -> Vec<(String, String)> {
    let last = raw.state("RF_EVT").await["last_seq"].as_u64().unwrap();
    let mut all = Vec::new();
    for sequence in 1..=last {
        let answer = raw.must("STREAM.MSG.GET.RF_EVT", &json!({ "seq": sequence })).await;
        let text = answer["message"]["hdrs"].as_str().unwrap();
        let text = String::from_utf8(retailflow_engine::wire::base64::decode(text).unwrap()).unwrap();
        let id = text.lines().find_map(|line| line.strip_prefix("ce-id: ")).unwrap().to_owned();
        all.push((answer["message"]["subject"].as_str().unwrap().to_owned(), id));
    }
    all
}

/// Each event once, and those of an order in their order.
fn assert_exact(stored: &[(String, String)], events: &[(OrderRef, PublicEvent)]) {
    assert_eq!(stored.len(), events.len());
    let mut orders: Vec<&OrderRef> = events.iter().map(|(order, _)| order).collect();
    orders.sort();
    orders.dedup();
    for order in orders {
        let subject = subjects::event(order);
        let found = stored.iter().filter(|(name, _)| *name == subject).map(|(_, id)| id.clone());
        let wanted = events.iter().filter(|(of, _)| of == order).map(|(_, event)| event.id());
        assert!(found.eq(wanted), "{order}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_published_once_and_in_order() {
    let Some(binary) = server_or_skip("events_are_published_once_and_in_order") else { return };
    let doors = Doors::new(&binary, 1).await;
    let raw = Raw::connect(&doors.server).await;
    let all = events(7, 6);
    let first = publisher(&doors);
    let half: Vec<_> = all[..40].to_vec();
    assert_eq!(
        first.publish(half.clone()).await,
        Ok(PublishCounts { stored: 40, skipped: 0, broken: 0, too_large: 0 })
    );
    assert_eq!(
        first.publish(half).await,
        Ok(PublishCounts { stored: 0, skipped: 40, broken: 0, too_large: 0 })
    );
    // Another process begins anew, somewhere before the end of what is there.
    assert_eq!(
        publisher(&doors).publish(all[14..].to_vec()).await,
        Ok(PublishCounts { stored: 44, skipped: 26, broken: 0, too_large: 0 })
    );
    assert_exact(&stored(&raw).await, &all);
    let answer = raw.must("STREAM.MSG.GET.RF_EVT", &json!({ "last_by_subj": "rf.v1.evt.shop.o-6" })).await;
    let decoded = |field: &str| {
        let text = answer["message"][field].as_str().unwrap();
        String::from_utf8(retailflow_engine::wire::base64::decode(text).unwrap()).unwrap()
    };
    let headers = decoded("hdrs");
    for line in [
        "ce-specversion: 1.0",
        "ce-type: retailflow.order.parked.v1",
        "ce-id: o-6-6-1",
        "ce-tenant: shop",
        "ce-sequence: 00000000000000000006",
        "ce-causationid: c%201%25",
        "content-type: application/json",
    ] {
        assert!(headers.lines().any(|found| found == line), "{line} in {headers}");
    }
    let data: Value = serde_json::from_str(&decoded("data")).unwrap();
    assert_eq!(data, json!({ "reason": "6 ü" }));
}

/// Two publishers, one of which should have stopped, and a server that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_fight_make_one_series() {
    let Some(binary) = server_or_skip("publishers_that_fight_make_one_series") else { return };
    let mut doors = Doors::new(&binary, 1).await;
    let all = Arc::new(events(5, 12));
    let publishing: Vec<_> = (0..2)
        .map(|number: usize| {
            let (publisher, all) = (publisher(&doors), all.clone());
            tokio::spawn(async move {
                let mut next = 0;
                let mut stored = 0;
                while next < all.len() {
                    let end = (next + 10 + number * 7).min(all.len());
                    match publisher.publish(all[next..end].to_vec()).await {
                        Ok(done) => {
                            next = end;
                            stored += done.stored;
                        }
                        Err(PublishError::Unavailable(_)) => tokio::task::yield_now().await,
                        Err(error) => panic!("{error}"),
                    }
                }
                stored
            })
        })
        .collect();
    tokio::task::yield_now().await;
    doors.server.kill();
    doors.server.run();
    let mut counted = 0;
    for publishing in publishing {
        counted += tokio::time::timeout(WITHIN * 3, publishing).await.unwrap().unwrap();
    }
    assert!(counted <= all.len() as u64, "what was lost on the way is counted by nobody");
    assert_exact(&stored(&Raw::connect(&doors.server).await).await, &all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_none_of_ours_is_told() {
    let Some(binary) = server_or_skip("what_is_none_of_ours_is_told") else { return };
    let doors = Doors::new(&binary, 1).await;
    let raw = Raw::connect(&doors.server).await;
    raw.store("rf.v1.evt.shop.o-0", b"strange".to_vec()).await;
    let published = publisher(&doors).publish(events(2, 1)).await.unwrap();
    assert_eq!((published.broken, published.stored), (1, 2), "the other order's is told");
}

/// One event that no message holds kept back those of its whole partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_large_is_left_out_alone() {
    let Some(binary) = server_or_skip("an_event_that_is_too_large_is_left_out_alone") else { return };
    let doors = Doors::new(&binary, 1).await;
    let raw = Raw::connect(&doors.server).await;
    raw.change("RF_EVT", "max_msg_size", json!(2_000)).await;
    let mut all = events(3, 2);
    // The first of order o-1: too large for the stream, and then for the server.
    for (bytes, version) in [(4_000, 1), (9 << 20, 2)] {
        let at = all
            .iter()
            .position(|(of, event)| of.order.as_str() == "o-1" && event.version == version)
            .unwrap();
        all[at].1.data = EventData::Parked(ParkedOrder { reason: "x".repeat(bytes) });
    }
    let published = publisher(&doors).publish(all.clone()).await;
    assert_eq!(published, Ok(PublishCounts { stored: 10, skipped: 0, broken: 0, too_large: 2 }));
    let left: Vec<_> =
        all.iter().filter(|(_, event)| event.id() != "o-1-1-0" && event.id() != "o-1-2-0").cloned().collect();
    assert_exact(&stored(&raw).await, &left);
    // Told again after a restart, it is still only left out.
    let again = publisher(&doors).publish(all).await.unwrap();
    assert_eq!((again.stored, again.skipped), (0, 12 - again.too_large));
}
