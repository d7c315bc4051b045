//! What stands before a body: requests that are none, framing that could be read in two ways, and what every answer says.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retailflow_gateway::{Numbers, Options, Server};
use serde_json::Value;

use crate::world::{Behind, COMMANDS, Client, JSON, PLACE, TYPE, World, behind, local, raw};

/// Asserts that an answer, as it came over the wire, is a problem with this code.
#[track_caller]
fn problem(text: &str, status: u16, code: &str) {
    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{code}: {text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    for wanted in [
        "content-type: application/problem+json",
        "connection: close",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        &format!("content-length: {}", body.len()),
    ] {
        assert!(head.contains(wanted), "{wanted}: {text}");
    }
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()));
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_a_problem() {
    let world = World::new().await;
    let long = "x".repeat(70_000);
    for address in [world.running.public_addr, world.running.admin_addr] {
        for (request, status, code) in [
            ("\x16\x03\x01 not HTTP\r\n\r\n".to_owned(), 400, "malformed_request"),
            ("GET /healthz HTTP/1.1\r\nno header\r\n\r\n".into(), 400, "malformed_request"),
            ("GET /healthz HTTP/1.1\r\nHost: test\r\n folded: x\r\n\r\n".into(), 400, "malformed_request"),
            ("GET /heal thz HTTP/1.1\r\nHost: test\r\n\r\n".into(), 400, "malformed_request"),
            ("GET /healthz HTTP/9.1\r\nHost: test\r\n\r\n".into(), 400, "malformed_request"),
            ("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n".into(), 400, "malformed_request"),
            (
                "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".into(),
                400,
                "malformed_request",
            ),
            (format!("GET /healthz HTTP/1.1\r\nHost: test\r\nX: {long}\r\n\r\n"), 431, "headers_too_large"),
            (
                format!("GET /healthz HTTP/1.1\r\nHost: test\r\n{}\r\n", "X: x\r\n".repeat(200)),
                431,
                "headers_too_large",
            ),
        ] {
            problem(&raw(address, request.as_bytes()).await, status, code);
        }
    }
    // After requests that were answered, too.
    let good = "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
    let text = raw(world.running.public_addr, format!("{good}{good}nonsense\r\n\r\n").as_bytes()).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    problem(&text[text.find("HTTP/1.1 400").expect("told")..], 400, "malformed_request");
}

#[tokio::test]
async fn a_request_has_one_host() {
    let world = World::new().await;
    let public = world.running.public_addr;
    for address in [public, world.running.admin_addr] {
        let none = "GET /healthz HTTP/1.1\r\n\r\n";
        problem(&raw(address, none.as_bytes()).await, 400, "malformed_request");
        let two = "GET /healthz HTTP/1.1\r\nHost: test\r\nHost: localhost\r\n\r\n";
        problem(&raw(address, two.as_bytes()).await, 400, "malformed_request");
    }
    // The target's own host counts where it has one.
    let strange = "GET http://evil.example/healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    assert!(raw(public, strange.as_bytes()).await.starts_with("HTTP/1.1 403 "));
    let old = raw(public, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(old.contains(" 200 OK\r\n"), "{old}");
}

#[tokio::test]
async fn a_body_is_chunked_and_nothing_else() {
    let world = World::new().await;
    let chunks = format!("{:x}\r\n{PLACE}\r\n0\r\n\r\n", PLACE.len());
    let ask = async |framing: &str| {
        let head = format!(
            "POST {COMMANDS} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Ce-Type: retailflow.order.place.v1\r\nIdempotency-Key: c-1\r\n{framing}\r\n"
        );
        raw(world.running.public_addr, (head + &chunks).as_bytes()).await
    };
    for framing in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip,chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked;q=1, chunked\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
    ] {
        let text = ask(framing).await;
        problem(&text, 400, "malformed_request");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{framing}: {text}");
    }
    // hyper drops the length where it stands beside an encoding, and takes a line feed alone for a line's end.
    let two_ways = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nX: y\n",
    ];
    for framing in two_ways {
        let text = ask(framing).await;
        problem(&text, 400, "malformed_request");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{framing}: {text}");
    }
    assert!(world.door.asked.lock().unwrap().is_empty(), "nothing of it is a command");
    for framing in ["Transfer-Encoding: chunked\r\n", "Transfer-Encoding: Chunked\r\n"] {
        assert!(ask(framing).await.starts_with("HTTP/1.1 200 "), "{framing}");
    }
}

#[tokio::test]
async fn no_answer_is_kept_or_guessed_at() {
    let world = World::new().await;
    let (public, admin) = (world.running.public_addr, world.running.admin_addr);
    let place = [TYPE, JSON, ("idempotency-key", "c-1")];
    type Case<'a> = (std::net::SocketAddr, &'a str, &'a str, &'a [(&'a str, &'a str)]);
    let cases: &[Case<'_>] = &[
        (public, "GET", "/healthz", &[]),
        (public, "GET", "/readyz", &[]),
        (public, "GET", "/metrics", &[]),
        (public, "GET", "/openapi.json", &[]),
        (public, "GET", "/nothing", &[]),
        (public, "OPTIONS", "/healthz", &[]),
        (public, "DELETE", "/v1/tenants/shop/orders/o-1", &[]),
        (public, "HEAD", "/v1/tenants/shop/orders/o-1", &[]),
        (public, "GET", "/v1/tenants/shop/orders/o-1", &[]),
        (public, "GET", "/v1/tenants/shop/orders/none", &[]),
        (public, "GET", "/v1/tenants/shop/orders", &[]),
        (public, "GET", "/v1/tenants/shop/events", &[]),
        (public, "GET", "/healthz", &[("host", "evil.example")]),
        (public, "POST", COMMANDS, &place),
        (admin, "GET", "/v1/admin/parked", &[]),
        (admin, "GET", "/v1/admin/backup", &[]),
        (admin, "GET", "/v1/admin/backup/bytes?part=payments.book&until=10", &[]),
        (admin, "GET", "/console", &[]),
        (admin, "GET", "/console/style.css", &[]),
        (admin, "GET", "/console/nothing", &[]),
        (admin, "GET", "/metrics", &[]),
    ];
    for (address, method, path, headers) in cases {
        let body = if *method == "POST" { PLACE.as_bytes() } else { b"" };
        let answer = Client::connect(*address).await.begin(method, path, headers, body).await;
        let said = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(said("cache-control"), Some("no-store"), "{method} {path}: {}", answer.status());
        assert_eq!(said("x-content-type-options"), Some("nosniff"), "{method} {path}: {}", answer.status());
    }
}

/// One thread: what is made on it holds up everything else. It is let go only once the other request was answered.
#[tokio::test]
async fn metrics_and_the_console_are_made_beside_the_requests() {
    for path in ["/metrics", "/console"] {
        let Behind { mut edge, .. } = behind().await;
        let (let_go, gate) = mpsc::channel::<()>();
        let (begun, mut making) = tokio::sync::mpsc::unbounded_channel();
        let gate = Mutex::new(gate);
        let make = Arc::new(move || {
            let _ = begun.send(());
            gate.lock().unwrap().recv_timeout(Duration::from_secs(5)).is_ok()
        });
        let also = Arc::clone(&make);
        edge.metrics = Arc::new(move || format!("answered {}\n", u8::from(also())));
        edge.numbers = Arc::new(move || {
            make();
            Numbers::default()
        });
        let running = Server::start(local(), edge, Options::default()).unwrap();
        let address = running.admin_addr;
        let made =
            tokio::spawn(async move { Client::connect(address).await.call("GET", path, &[], b"").await });
        making.recv().await.expect("it is being made");
        let other = Client::connect(address).await.call("GET", "/healthz", &[], b"").await;
        assert_eq!(other.status, 200);
        assert!(let_go.send(()).is_ok(), "{path}: others waited until it was made");
        let made = made.await.unwrap();
        assert_eq!(made.status, 200);
        if path == "/metrics" {
            assert_eq!(made.text(), "answered 1\n");
        }
    }
}
