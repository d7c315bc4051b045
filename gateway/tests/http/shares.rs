//! Who uses up their share leaves room to all others: tenants, orders, addresses, and operators beside them.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{COMMANDS, Client, JSON, PLACE, TYPE, World, raw, rest, until};

const MIB: usize = 1 << 20;
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";

/// Begins a command of a tenant whose body never comes to its end.
async fn unfinished(world: &World, tenant: &str, sent: usize, promised: usize) -> TcpStream {
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    let head = format!(
        "POST /v1/tenants/{tenant}/orders/o-1/commands HTTP/1.1\r\nHost: test\r\nIdempotency-Key: c-1\r\n\
         Content-Type: application/json\r\nCe-Type: retailflow.order.place.v1\r\nContent-Length: {promised}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Refused while it is sent, it is closed.
    let _ = stream.write_all(&vec![b' '; sent]).await;
    stream
}

#[tokio::test]
async fn bodies_that_do_not_end_stop_nobody_else() {
    let world = World::with(|http| {
        http.bodies_max_bytes = 8 * MIB;
        http.body_min_bytes_per_s = 0;
        http.body_timeout_ms = 600_000;
        http.request_timeout_ms = 600_000;
        http.request_timeout_max_ms = 600_000;
    })
    .await;
    let mut held = Vec::new();
    // Of one tenant, and under names that are nobody's.
    for number in 0..16 {
        held.push(unfinished(&world, "flood", MIB - 1, MIB).await);
        held.push(unfinished(&world, &format!("t-{number}"), MIB - 1, MIB).await);
    }
    let large = vec![b' '; MIB / 2];
    for _ in 0..20 {
        assert_eq!(world.place("c-1", &[]).await.status, 200);
        let given = [TYPE, JSON, ("idempotency-key", "c-2")];
        world.call("POST", COMMANDS, &given, &large).await.refused(400, "malformed_json");
        let resume = [("ce-type", "retailflow.order.resume.v1"), ("rf-operator", "ann"), JSON];
        let path = "/v1/admin/tenants/shop/orders/o-1/commands";
        let given = [&resume[..], &[("idempotency-key", "c-3")]].concat();
        assert_eq!(world.admin("POST", path, &given, b"{}").await.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_stands_still_ends() {
    let world = World::with(|http| http.body_timeout_ms = 600_000).await;
    let mut stream = unfinished(&world, "shop", 100_000, 100_001).await;
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
}

const SHORT: [(&str, &str); 1] = [("rf-timeout-ms", "50")];

#[tokio::test]
async fn reads_of_one_order_or_tenant_leave_room_to_others() {
    let world = World::with(|http| http.reads_max = 16).await;
    for _ in 0..16 {
        let slow = world.call("GET", "/v1/tenants/shop/orders/slow/history", &SHORT, b"").await;
        assert_eq!(slow.status, 503);
    }
    assert_eq!(world.get("/v1/tenants/shop/orders/o-1").await.status, 200, "the tenant's other orders");
    for number in 0..16 {
        let path = format!("/v1/tenants/shop/orders/slow-{number}");
        world.call("GET", &path, &SHORT, b"").await;
    }
    world.get("/v1/tenants/flood/orders/o-1").await.refused(404, "order_not_found");
    let page = world.admin("GET", "/console/orders/shop/o-1", &[], b"").await;
    assert_eq!(page.status, 200, "operators have their own");
}

async fn stream(world: &World, tenant: &str) -> (Client, u16) {
    let mut client = Client::connect(world.running.public_addr).await;
    let path = format!("/v1/tenants/{tenant}/events?from=now");
    let response = client.begin("GET", &path, &[], b"").await;
    let status = response.status().as_u16();
    // The stream goes on as long as its answer is there.
    std::mem::forget(response);
    (client, status)
}

#[tokio::test]
async fn streams_of_one_tenant_leave_room_to_others() {
    let world = World::with(|http| http.streams_max = 8).await;
    let mut open = Vec::new();
    for number in 0..8 {
        let (client, status) = stream(&world, "shop").await;
        assert_eq!(status, if number < 2 { 200 } else { 503 });
        open.push(client);
    }
    let (_client, status) = stream(&world, "flood").await;
    assert_eq!(status, 200);
    let part = "/v1/admin/backup/bytes?part=payments.book&until=10";
    assert_eq!(world.admin("GET", part, &[], b"").await.status, 200);
}

#[tokio::test]
async fn a_stream_has_an_end() {
    let world = World::with(|http| http.stream_max_ms = 100).await;
    let text = raw(
        world.running.public_addr,
        b"GET /v1/tenants/shop/events?from=now HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(text.contains("retry: 2000\nid: ") && text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(world.counts.streams_open(), 0);
}

#[tokio::test]
async fn idle_connections_give_way_and_busy_ones_do_not() {
    let world = World::with(|http| {
        http.connections_max = 8;
        http.admin_connections_max = 8;
        http.header_timeout_ms = 600_000;
    })
    .await;
    let (public, admin) = (world.running.public_addr, world.running.admin_addr);
    let mut working = Client::connect(public).await;
    let hangs = [TYPE, JSON, ("idempotency-key", "hang")];
    let answer = tokio::spawn(async move { working.call("POST", COMMANDS, &hangs, PLACE.as_bytes()).await });
    until("under way", async || !world.door.asked.lock().unwrap().is_empty()).await;
    let (_stream, status) = stream(&world, "shop").await;
    assert_eq!(status, 200);
    for address in [public, admin] {
        let mut idle = Vec::new();
        for number in 0..12 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Some say nothing, some begin.
            if number % 2 == 0 {
                stream.write_all(b"GET /heal").await.unwrap();
            }
            idle.push(stream);
        }
        until("there is room", async || raw(address, HEALTH).await.starts_with("HTTP/1.1 200 ")).await;
    }
    assert_eq!(world.counts.streams_open(), 1);
    world.door.gate.add_permits(1);
    let reply = tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap().unwrap();
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn one_address_leaves_room_to_others() {
    let world = World::with(|http| {
        http.connections_max = 32;
        http.header_timeout_ms = 600_000;
    })
    .await;
    let public = world.running.public_addr;
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(public).await.unwrap();
        // Under way: none of these gives way.
        let begun = format!(
            "POST {COMMANDS} HTTP/1.1\r\nHost: test\r\nIdempotency-Key: c-1\r\nContent-Type: application/json\r\n\
             Ce-Type: retailflow.order.place.v1\r\nContent-Length: 100\r\n\r\n"
        );
        stream.write_all(begun.as_bytes()).await.unwrap();
        held.push(stream);
    }
    until("all have come", async || world.counts.connections_refused() >= 24).await;
    assert_eq!(world.counts.connections_open(), 16);
    // Another address of this machine.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(public).await.unwrap();
    other.write_all(HEALTH).await.unwrap();
    assert!(rest(&mut other).await.starts_with("HTTP/1.1 200 "));
}
