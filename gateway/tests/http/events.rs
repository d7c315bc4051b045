//! Streams of events.

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::world::{Client, PATIENCE, World, until};

const PATH: &str = "/v1/tenants/shop/events";

/// Reads a stream until it has said `last`.
async fn read(response: &mut Response<Incoming>, last: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(last) {
            let frame = response.body_mut().frame().await.expect("more").unwrap();
            text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    };
    timeout(PATIENCE, reading).await.expect("events in time");
    text
}

async fn open(world: &World, path: &str, headers: &[(&str, &str)]) -> (Client, Response<Incoming>) {
    let mut client = Client::connect(world.running.public_addr).await;
    let response = client.begin("GET", path, headers, b"").await;
    assert_eq!(response.status(), 200);
    (client, response)
}

#[tokio::test]
async fn events_come_with_id_type_and_data() {
    let world = World::new().await;
    let (_client, mut stream) = open(&world, PATH, &[]).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(stream.headers()["cache-control"], "no-store");
    let text = read(&mut stream, "o-1-3").await;
    let first = "\nevent: retailflow.order.placed.v1\ndata: {\"id\":\"o-1-1\"}\n\n";
    assert!(text.starts_with("retry: 2000\nid: ") && text.contains(first), "{text}");
    assert_eq!(ids(&text).len(), 4, "{text}");
    assert_eq!(text.matches("event: ").count(), 3);
}

/// All ids that a stream has given.
fn ids(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).map(str::to_owned).collect()
}

/// A token for a place that the relay says to a reader of what happens from now on.
async fn token(world: &World, place: &str) -> String {
    *world.relay.now.lock().unwrap() = Some(place.to_owned());
    let (_client, mut stream) = open(world, &format!("{PATH}?from=now"), &[]).await;
    let text = read(&mut stream, "\n\n").await;
    *world.relay.now.lock().unwrap() = None;
    ids(&text).remove(0)
}

#[tokio::test]
async fn a_stream_goes_on_after_a_position() {
    let world = World::new().await;
    let (_client, mut stream) = open(&world, PATH, &[]).await;
    let given = ids(&read(&mut stream, "o-1-3").await);
    let header = ("last-event-id", given[2].as_str());
    let after = format!("{PATH}?after={}", given[2]);
    for (path, headers) in [(PATH.to_owned(), vec![header]), (after, vec![])] {
        let (_client, mut stream) = open(&world, &path, &headers).await;
        let text = read(&mut stream, "o-1-3").await;
        assert!(!text.contains("o-1-2"), "{text}");
    }
    // A browser that comes again has both.
    let (_client, mut stream) = open(&world, &format!("{PATH}?after={}", given[1]), &[header]).await;
    assert!(!read(&mut stream, "o-1-3").await.contains("o-1-2"));
}

#[tokio::test]
async fn a_stream_without_events_says_that_it_is_alive() {
    let world = World::with(|http| http.stream_heartbeat_ms = 10).await;
    let (_client, mut stream) = open(&world, &format!("{PATH}?from=now"), &[]).await;
    // Also without an event it says the place: whoever comes again from there has missed nothing.
    let text = read(&mut stream, ": nothing new\nid: ").await;
    assert!(text.starts_with("retry: 2000\nid: ") && !text.contains("data: "), "{text}");
    let (_client, mut stream) = open(&world, &format!("{PATH}?after={}", ids(&text)[0]), &[]).await;
    read(&mut stream, ": nothing new").await;
    assert_eq!(*world.relay.begun.lock().unwrap(), ["t-3"]);
}

#[tokio::test]
async fn positions_that_cannot_be_gone_on_from() {
    let world = World::new().await;
    let from = async |id: &str| world.call("GET", PATH, &[("last-event-id", id)], b"").await;
    let gone = from(&token(&world, "gone").await).await.refused(410, "position_gone");
    assert!(
        !gone["detail"].as_str().unwrap().contains("archived"),
        "{gone}: the log's own words name places"
    );
    from(&token(&world, "nonsense").await).await.refused(400, "invalid_token");
    from(&token(&world, "trouble").await).await.refused(503, "unavailable");
    let good = token(&world, "t-1").await;
    world.get(&format!("{PATH}?after={good}&from=now")).await.refused(400, "invalid_field");
    world.get(&format!("{PATH}?from=then")).await.refused(400, "invalid_field");
    world.get(&format!("{PATH}?form=now")).await.refused(400, "unknown_field");
    world.get("/v1/tenants/nobody/events").await.refused(404, "unknown_tenant");
    until("all streams have ended", async || world.counts.streams_open() == 0).await;
}

#[tokio::test]
async fn another_tenants_token_and_a_forged_one_never_reach_the_relay() {
    let world = World::new().await;
    let good = token(&world, "t-1").await;
    let list = world.get("/v1/tenants/shop/orders").await.json();
    let position = list["position"].as_str().unwrap();
    let flood = "/v1/tenants/flood/events";
    for (path, token) in [(flood, &*good), (PATH, position), (PATH, "t-1"), (PATH, &good[..60])] {
        let problem = world.call("GET", path, &[("last-event-id", token)], b"").await;
        let problem = problem.refused(400, "invalid_token");
        assert!(problem["detail"].as_str().unwrap().contains("begin without it"), "{problem}");
    }
    assert!(world.relay.begun.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_so_many_streams_are_open() {
    let world = World::with(|http| http.streams_max = 1).await;
    let (client, stream) = open(&world, PATH, &[]).await;
    let refused = world.get(PATH).await;
    refused.refused(503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    drop((client, stream));
    until("the place of a stream that has ended is free", async || world.counts.streams_open() == 0).await;
    open(&world, PATH, &[]).await;
}
