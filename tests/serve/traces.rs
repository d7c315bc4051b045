//! Spans of commands reach a collector, as parts of their callers' traces, and carry nothing of an order.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PLACE: &str = r#"{"customer":"marker-customer","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":1177}]}"#;

/// A collector that takes everything: the path and body of each request.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let (sender, taken) = mpsc::channel();
    // It ends with the process; the exporter keeps its connection.
    thread::spawn(move || {
        for stream in socket.incoming() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(request) = request(&mut stream) {
                    drop(sender.send(request));
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
                    stream.get_mut().write_all(answer).unwrap();
                }
            });
        }
    });
    (url, taken)
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn spans_of_commands_reach_a_collector_within_their_callers_trace() {
    let (url, taken) = collector();
    let world = World::new();
    let setting = format!("telemetry.otlp_endpoint={url}");
    let server = Server::of(world.on_data(&["serve", "--set", &setting]));
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [
        ("Content-Type", "application/json"),
        ("Ce-Type", "retailflow.order.place.v1"),
        ("Idempotency-Key", "c-1"),
        ("traceparent", &*traceparent),
    ];
    let reply = server.client().post("/v1/tenants/shop/orders/o1/commands", &headers, PLACE).unwrap();
    assert_eq!(reply.status, 200);
    // What waits is sent when the process ends.
    server.stop();
    let trace: Vec<u8> =
        (0..TRACE.len()).step_by(2).map(|at| u8::from_str_radix(&TRACE[at..at + 2], 16).unwrap()).collect();
    loop {
        let (path, body) = taken.recv_timeout(BOUND).expect("no span of this trace came");
        assert_eq!(path, "/v1/traces");
        assert!(!contains(&body, b"marker-customer"), "a span carries a customer");
        if contains(&body, &trace) {
            for part in ["retailflow", "command", "tenant", "shop", "place", "applied"] {
                assert!(contains(&body, part.as_bytes()), "{part} is not in the span");
            }
            return;
        }
    }
}

/// A collector that is not there costs spans, and nothing else.
#[test]
fn without_a_collector_everything_goes_on() {
    let free = crate::support::ports::free(1)[0];
    let world = World::new();
    let setting = format!("telemetry.otlp_endpoint=http://127.0.0.1:{free}");
    let server = Server::of(world.on_data(&["serve", "--set", &setting]));
    let headers = [
        ("Content-Type", "application/json"),
        ("Ce-Type", "retailflow.order.place.v1"),
        ("Idempotency-Key", "c-1"),
    ];
    let reply = server.client().post("/v1/tenants/shop/orders/o1/commands", &headers, PLACE).unwrap();
    assert_eq!(reply.status, 200);
    server.stop();
}

/// Of traces that begin here, as many are sent as is set; what a caller began is sent all the same.
#[test]
fn as_many_traces_that_begin_here_are_sent_as_is_set() {
    for (permille, wanted) in [(0, false), (1_000, true)] {
        let (url, taken) = collector();
        let world = World::new();
        let settings =
            [format!("telemetry.otlp_endpoint={url}"), format!("telemetry.otlp_sample_permille={permille}")];
        let call =
            settings.iter().fold(world.on_data(&["serve"]), |call, setting| call.arg("--set").arg(setting));
        let server = Server::of(call);
        let headers = [
            ("Content-Type", "application/json"),
            ("Ce-Type", "retailflow.order.place.v1"),
            ("Idempotency-Key", "c-1"),
        ];
        let reply = server.client().post("/v1/tenants/shop/orders/o1/commands", &headers, PLACE).unwrap();
        assert_eq!(reply.status, 200);
        server.stop();
        // What waited was sent when the process ended.
        assert_eq!(taken.try_iter().count() > 0, wanted, "{permille}");
    }
}
