//! Limits of the edge: sizes, times, numbers, addresses.

use std::time::Duration;

use retailflow_gateway::{Options, Server, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{
    Behind, COMMANDS, Client, JSON, PATIENCE, PLACE, TYPE, World, behind, local, raw, rest, until,
};

fn head(more: &str) -> String {
    format!(
        "POST {COMMANDS} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
         Ce-Type: retailflow.order.place.v1\r\nIdempotency-Key: c-1\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_told_or_not() {
    let world = World::with(|http| http.body_max_bytes = 1024).await;
    let given = [JSON, TYPE, ("idempotency-key", "c-1")];
    let reply = world.call("POST", COMMANDS, &given, &[b' '; 100_000]).await;
    reply.refused(413, "too_large");
    assert_eq!(reply.header("connection"), Some("close"));

    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 5000, " ".repeat(5000));
    let text =
        raw(world.running.public_addr, (head("Transfer-Encoding: chunked\r\n") + &chunk).as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");

    // Nothing was sent yet: nothing is waited for.
    let asks = head("Content-Length: 2000\r\nExpect: 100-continue\r\n");
    let text = raw(world.running.public_addr, asks.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    let world = World::new().await;
    let mut request = head("Transfer-Encoding: chunked\r\nConnection: close\r\n");
    for piece in PLACE.as_bytes().chunks(20) {
        request += &format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap());
    }
    let text = raw(world.running.public_addr, (request + "0\r\n\r\n").as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

#[tokio::test]
async fn headers_beyond_the_limit_are_431() {
    let world = World::new().await;
    let long = format!("GET /healthz HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let text = raw(world.running.public_addr, long.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    let many = format!("GET /healthz HTTP/1.1\r\nHost: test\r\n{}\r\n", "X: x\r\n".repeat(200));
    let text = raw(world.running.public_addr, many.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
}

#[tokio::test]
async fn slow_headers_and_idle_connections_are_closed() {
    let world = World::with(|http| (http.header_timeout_ms, http.idle_timeout_ms) = (50, 50)).await;
    let slow = raw(world.running.public_addr, b"GET /healthz HTTP/1.1\r\nHost:").await;
    assert_eq!(slow, "");
    let idle = raw(world.running.public_addr, b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert!(idle.starts_with("HTTP/1.1 200 "), "{idle}");
}

/// Load balancers keep connections for 60 s. One that we close first may have a request on its way: an idle connection used to be
/// closed within the time that a head may take, 30 s.
#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_a_head_and_a_head_that_has_begun_does_not() {
    assert!(local().idle_timeout_ms > 60_000, "longer than any usual balancer's");
    let world = World::with(|http| http.header_timeout_ms = 100).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    let mut buffer = [0; 4096];
    for _ in 0..2 {
        stream.write_all(request).await.unwrap();
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200 "));
        // Three times as long as a head may take, nothing comes and nothing ends.
        let idle = timeout(Duration::from_millis(300), stream.read(&mut buffer)).await;
        assert!(idle.is_err(), "it was closed: {idle:?}");
    }
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
    let ended = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("it is closed");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    // Who connects and says nothing at all has no longer.
    assert_eq!(raw(world.running.public_addr, b"").await, "");
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let world = World::with(|http| http.body_timeout_ms = 50).await;
    let begun = head("Content-Length: 100\r\n") + "{";
    let text = raw(world.running.public_addr, begun.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("request_timeout"), "{text}");

    let world = World::new().await;
    let begun = head("Content-Length: 100\r\nRf-Timeout-Ms: 50\r\n") + "{";
    let text = raw(world.running.public_addr, begun.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(world.door.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn all_bodies_together_have_a_limit() {
    let world = World::with(|http| http.bodies_max_bytes = 1000).await;
    let mut first = TcpStream::connect(world.running.public_addr).await.unwrap();
    first.write_all((head("Content-Length: 901\r\n") + &" ".repeat(900)).as_bytes()).await.unwrap();
    let second = head("Content-Length: 200\r\nConnection: close\r\n") + &" ".repeat(200);
    until("there is no room", async || {
        raw(world.running.public_addr, second.as_bytes()).await.starts_with("HTTP/1.1 503 ")
    })
    .await;
    drop(first);
    until("there is room", async || world.place("c-1", &[]).await.status == 200).await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let world = World::with(|http| http.write_timeout_ms = 100).await;
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    stream.write_all(b"GET /v1/tenants/flood/events HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    stream.read_u8().await.unwrap();
    until("cut off", async || world.counts.streams_open() == 0).await;
    until("closed", async || world.counts.connections_open() == 0).await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_and_closed() {
    let world = World::with(|http| http.connections_max = 1).await;
    let address = world.running.public_addr;
    let mut first = Client::connect(address).await;
    assert_eq!(first.call("GET", "/healthz", &[], b"").await.status, 200);
    let text = raw(address, b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: 1"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["code"], "overloaded");
    assert_eq!(world.counts.connections_refused(), 1);
    // Operators still get in.
    assert_eq!(world.admin("GET", "/healthz", &[], b"").await.status, 200);
    drop(first);
    let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    until("its place is free", async || raw(address, request).await.starts_with("HTTP/1.1 200 ")).await;
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_a_row() {
    let world = World::new().await;
    let body = format!("Content-Length: {}\r\n", PLACE.len());
    let one = head(&body) + PLACE;
    let last = head(&(body.clone() + "Connection: close\r\n")) + PLACE;
    let text = raw(world.running.public_addr, (one.repeat(9) + &last).as_bytes()).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 10, "{text}");
}

#[tokio::test]
async fn what_is_no_request_ends_the_connection() {
    let world = World::new().await;
    let text = raw(world.running.public_addr, b"\x16\x03\x01 not HTTP\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    stream.write_all(head("Content-Length: 100\r\n").as_bytes()).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    stream.shutdown().await.unwrap();
    timeout(PATIENCE, rest(&mut stream)).await.expect("an end");
    assert!(world.door.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn other_addresses_than_loopback_must_be_meant() {
    for key in ["http.listen", "http.admin_listen"] {
        let begin = async |insecure: bool| {
            let mut config = local();
            let open = "0.0.0.0:0".parse().unwrap();
            if key == "http.listen" {
                config.listen = open
            } else {
                config.admin_listen = open
            }
            let Behind { edge, .. } = behind().await;
            Server::start(config, edge, Options { insecure })
        };
        let error = begin(false).await.err().expect("refused");
        assert!(matches!(error, StartError::NotLoopback { .. }), "{error}");
        assert!(error.to_string().contains(key) && error.to_string().contains("--insecure"), "{error}");
        assert!(begin(true).await.is_ok());
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let world = World::new().await;
    let mut config = local();
    config.listen = world.running.public_addr;
    let Behind { edge, .. } = behind().await;
    let error = Server::start(config, edge, Options::default()).err().expect("refused");
    assert!(error.to_string().starts_with("http.listen = 127.0.0.1:"), "{error}");
}

/// DNS rebinding: a browser on this machine that a stranger's page leads to a loopback address names the stranger's host.
#[tokio::test]
async fn an_address_of_this_machine_answers_to_no_strange_name() {
    let world = World::new().await;
    for address in [world.running.public_addr, world.running.admin_addr] {
        for path in ["/healthz", "/v1/tenants/shop/orders", "/v1/admin/parked", "/nothing"] {
            let asked = format!("GET {path} HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n");
            let text = raw(address, asked.as_bytes()).await;
            assert!(text.starts_with("HTTP/1.1 403 ") && text.contains("http.host_names"), "{text}");
        }
        for host in ["Host: 127.0.0.1:8080", "Host: localhost", "Host: TEST:80", "X: y"] {
            let version = if host.starts_with('X') { "1.0" } else { "1.1" };
            let asked = format!("GET /healthz HTTP/{version}\r\n{host}\r\nConnection: close\r\n\r\n");
            let text = raw(address, asked.as_bytes()).await;
            assert!(text.contains(" 200 OK\r\n"), "{host}: {text}");
        }
    }
    assert_eq!(world.door.asked.lock().unwrap().len(), 0);
}

/// A read whose caller has gone goes on, and counts as long as it does: else short deadlines would let in any number.
#[tokio::test]
async fn reads_without_callers_keep_their_room() {
    let world = World::with(|http| http.reads_max = 2).await;
    let short = [("rf-timeout-ms", "20")];
    for _ in 0..2 {
        world.call("GET", "/v1/tenants/shop/orders/slow", &short, b"").await.refused(503, "unavailable");
    }
    world.call("GET", "/v1/tenants/shop/orders/o-1", &short, b"").await.refused(503, "overloaded");
    world.call("GET", "/v1/tenants/shop/orders", &short, b"").await.refused(503, "overloaded");
}

/// A connection closed on a client that is still sending is reset, and the answer lost with it.
#[tokio::test]
async fn a_client_that_sends_a_body_in_vain_reads_why() {
    let world = World::new().await;
    let body = vec![b' '; 900_000];
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);
    let cases: [Case<'_>; 4] = [
        ("/v1/tenants/shop/orders/o-1/comands", &[JSON, TYPE], 404),
        ("/v1/tenants/shop/orders/o-1/history", &[JSON, TYPE], 405),
        ("/v1/tenants/SHOP/orders/o-1/commands", &[JSON, TYPE], 400),
        (COMMANDS, &[("content-type", "text/plain")], 415),
    ];
    for (path, headers, status) in cases {
        for _ in 0..10 {
            // This client sends all before it reads, as simple ones do.
            let mut head =
                format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n", body.len());
            headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
            let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
            stream.write_all((head + "Connection: close\r\n\r\n").as_bytes()).await.unwrap();
            stream.write_all(&body).await.expect("it is taken in to its end");
            let text = timeout(PATIENCE, rest(&mut stream)).await.unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {text}");
        }
    }
}
