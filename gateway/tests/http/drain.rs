//! The end in order.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{COMMANDS, Client, JSON, PATIENCE, PLACE, TYPE, World, rest, until};

async fn hanging(world: &World) -> tokio::task::JoinHandle<crate::world::Reply> {
    let mut client = Client::connect(world.running.public_addr).await;
    let headers = [TYPE, JSON, ("idempotency-key", "hang")];
    let answer = tokio::spawn(async move { client.call("POST", COMMANDS, &headers, PLACE.as_bytes()).await });
    until("under way", async || !world.door.asked.lock().unwrap().is_empty()).await;
    answer
}

#[tokio::test]
async fn what_is_under_way_is_answered_and_nothing_new_is_taken() {
    let world = World::new().await;
    let answer = hanging(&world).await;
    let mut idle = TcpStream::connect(world.running.public_addr).await.unwrap();
    let mut client = Client::connect(world.running.public_addr).await;
    let mut stream = client.begin("GET", "/v1/tenants/shop/events", &[], b"").await;
    let (public, admin) = (world.running.public_addr, world.running.admin_addr);
    until("all are in", async || world.counts.connections_open() == 3).await;

    let ended = tokio::spawn(world.running.drain(PATIENCE));
    until("nothing is accepted", async || TcpStream::connect(public).await.is_err()).await;
    assert_eq!(rest(&mut idle).await, "");
    let last = timeout(PATIENCE, async { while let Some(Ok(_)) = stream.body_mut().frame().await {} });
    last.await.expect("the stream ends");
    let ready = Client::connect(admin).await.call("GET", "/readyz", &[], b"").await;
    assert_eq!((ready.status, &ready.json()["reasons"][0]), (503, &"the node is stopping".into()));

    world.door.gate.add_permits(1);
    let reply = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(timeout(PATIENCE, ended).await.unwrap().unwrap(), 0);
    assert!(TcpStream::connect(admin).await.is_err());
    assert_eq!(world.counts.connections_open(), 0);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let world = World::new().await;
    let answer = hanging(&world).await;
    let ended = timeout(PATIENCE, world.running.drain(Duration::from_millis(50))).await.unwrap();
    assert_eq!(ended, 1);
    assert!(answer.await.is_err(), "there is no answer");
    assert_eq!(world.counts.connections_open(), 0);
}

#[tokio::test]
async fn readiness_goes_first() {
    let world = World::with(|http| http.drain_notice_ms = 3_600_000).await;
    let (public, admin) = (world.running.public_addr, world.running.admin_addr);
    let drain = tokio::spawn(world.running.drain(PATIENCE));
    until("not ready", async || {
        Client::connect(admin).await.call("GET", "/readyz", &[], b"").await.status == 503
    })
    .await;
    let headers = [TYPE, JSON, ("idempotency-key", "c-1")];
    let reply = Client::connect(public).await.call("POST", COMMANDS, &headers, PLACE.as_bytes()).await;
    assert_eq!(reply.status, 200);
    drain.abort();
}

#[tokio::test]
async fn a_server_that_is_dropped_lets_go() {
    let world = World::new().await;
    let address = world.running.public_addr;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz").await.unwrap();
    until("it is in", async || world.counts.connections_open() == 1).await;
    drop(world.running);
    rest(&mut idle).await;
    until("nothing is accepted", async || TcpStream::connect(address).await.is_err()).await;
}
