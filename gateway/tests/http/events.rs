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
    let first = "id: t-1\nevent: retailflow.order.placed.v1\ndata: {\"id\":\"o-1-1\"}\n\n";
    assert!(text.starts_with("retry: 2000\nid: t-0\n\n") && text.contains(first), "{text}");
    assert_eq!(text.matches("event: ").count(), 3);
}

#[tokio::test]
async fn a_stream_goes_on_after_a_position() {
    let world = World::new().await;
    let header = ("last-event-id", "t-2");
    for (path, headers) in [(PATH.to_owned(), vec![header]), (format!("{PATH}?after=t-2"), vec![])] {
        let (_client, mut stream) = open(&world, &path, &headers).await;
        let text = read(&mut stream, "o-1-3").await;
        assert!(!text.contains("o-1-2"), "{text}");
    }
    // A browser that comes again has both.
    let (_client, mut stream) = open(&world, &format!("{PATH}?after=t-1"), &[header]).await;
    assert!(!read(&mut stream, "o-1-3").await.contains("o-1-2"));
}

#[tokio::test]
async fn a_stream_without_events_says_that_it_is_alive() {
    let world = World::with(|http| http.stream_heartbeat_ms = 10).await;
    let (_client, mut stream) = open(&world, &format!("{PATH}?from=now"), &[]).await;
    // Also without an event it says the place: whoever comes again from there has missed nothing.
    let text = read(&mut stream, ": nothing new\nid: t-3\n\n").await;
    assert!(text.starts_with("retry: 2000\nid: t-3\n\n") && !text.contains("data: "), "{text}");
}

#[tokio::test]
async fn positions_that_cannot_be_gone_on_from() {
    let world = World::new().await;
    let from = async |id: &str| world.call("GET", PATH, &[("last-event-id", id)], b"").await;
    from("gone").await.refused(410, "position_gone");
    from("nonsense").await.refused(400, "invalid_field");
    from("trouble").await.refused(503, "unavailable");
    world.get(&format!("{PATH}?after=t-1&from=now")).await.refused(400, "invalid_field");
    world.get(&format!("{PATH}?from=then")).await.refused(400, "invalid_field");
    world.get(&format!("{PATH}?form=now")).await.refused(400, "unknown_field");
    world.get("/v1/tenants/nobody/events").await.refused(404, "unknown_tenant");
    assert_eq!(world.counts.streams_open(), 0);
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
