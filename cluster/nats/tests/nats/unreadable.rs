//! Messages that no NATS client can read: whoever sends them is refused, and nobody else feels it.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::wire::{Code, Outcome};
use retailflow_nats::{AskClient, AskDoor, AskOptions, EdgeConnection, NatsInbox, NatsOptions, subjects};
use retailflow_testkit::author::{order, orders_in};

use crate::ask::Fake;
use crate::doors::{Doors, WITHIN, command};
use crate::nats::server_or_skip;
use crate::world::{options, subscribed};

/// What the client gives its connection up for.
const HEADERS: [&[u8]; 4] = [
    b"NATS/1.0\r\nno colon\r\n\r\n",
    b"NATS/1.0\r\nx: \xff\xfe\r\n\r\n",
    b"NATS/1.0 xyz\r\nx: y\r\n\r\n",
    b"NATS/1.0\r\n\x01 bad: x\r\n\r\n",
];
/// No caller of others waits longer for an answer.
const PROMPTLY: Duration = Duration::from_secs(2);

/// A stranger with a socket of its own, who sends `messages` without an end, `pause` after each.
fn stranger(
    doors: &Doors,
    messages: Vec<Vec<u8>>,
    pause: Duration,
) -> (Arc<AtomicBool>, std::thread::JoinHandle<u64>) {
    let mut socket = TcpStream::connect(doors.server.address()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let sending = std::thread::spawn(move || {
        socket.write_all(b"CONNECT {\"headers\":true,\"verbose\":false,\"no_responders\":true}\r\n").unwrap();
        let mut sent = 0;
        for message in messages.iter().cycle() {
            if stopped.load(Ordering::Acquire) {
                break;
            }
            socket.write_all(message).unwrap();
            sent += 1;
            std::thread::park_timeout(pause);
        }
        sent
    });
    (stop, sending)
}

fn message(subject: &[u8], reply: &[u8], headers: &[u8], body: &[u8]) -> Vec<u8> {
    let sizes = format!(" {} {}\r\n", headers.len(), headers.len() + body.len());
    [b"HPUB ", subject, b" ", reply, sizes.as_bytes(), headers, body, b"\r\n"].concat()
}

/// Headers and subjects of all kinds, as bytes of the protocol.
fn unreadable(subject: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        HEADERS.iter().map(|headers| message(subject.as_bytes(), b"_INBOX.x", headers, b"{}")).collect();
    // The client splits a line at any white space, and wants UTF-8.
    for tail in ["\u{3000}x".as_bytes(), b"\x0bx", b"\xff"] {
        let subject = [subject.as_bytes(), tail].concat();
        all.push(message(&subject, b"_INBOX.x", b"NATS/1.0\r\n\r\n", b"{}"));
        all.push([b"PUB ", &subject[..], b" _INBOX.x 2\r\n{}\r\n"].concat());
    }
    all.push(message(subject.as_bytes(), b"_INBOX.\xff", b"NATS/1.0\r\n\r\n", b"{}"));
    all
}

async fn others_are_answered(doors: &Doors, asks: usize) {
    for number in 0..asks {
        let order = order("calm", &format!("o-{number}"));
        let body = command(&order, "c-1").to_json();
        let asked = doors.caller.request(subjects::ask(&order), body.into());
        let answer = tokio::time::timeout(PROMPTLY, asked).await;
        let answer =
            answer.unwrap_or_else(|_| panic!("ask {number} of {asks} has no answer within {PROMPTLY:?}"));
        let outcome: Outcome = serde_json::from_slice(&answer.unwrap().payload).unwrap();
        assert_eq!(outcome.code, Code::Applied);
    }
}

/// Twenty a second, and as many as one connection sends: with the connection that was cut went the others' requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_no_client_reads_cost_other_tenants_no_answer() {
    let name = "requests_that_no_client_reads_cost_other_tenants_no_answer";
    let Some(binary) = server_or_skip(name) else { return };
    let doors = Doors::new(&binary, 1).await;
    let edge = EdgeConnection::open(&options(&doors.server), "ask").await.unwrap();
    let door = AskDoor::open(edge.clone(), Fake::new(), AskOptions::default(), TimestampMs(1)).await.unwrap();
    for (pause, asks) in [(Duration::from_millis(50), 40), (Duration::ZERO, 200)] {
        let (stop, sending) = stranger(&doors, unreadable("rf.v1.ask.noisy.o-1"), pause);
        others_are_answered(&doors, asks).await;
        stop.store(true, Ordering::Release);
        assert!(sending.join().unwrap() > 0);
    }
    assert_eq!(edge.times_lost(), 0, "the connection was cut");
    // Whoever can be answered is told what is wrong.
    let mut answers = doors.caller.subscribe("_INBOX.noisy").await.unwrap();
    subscribed(&doors.caller).await;
    for headers in HEADERS {
        doors.publish_bytes(
            "rf.v1.ask.noisy.o-1",
            "_INBOX.noisy",
            headers,
            &command(&order("noisy", "o-1"), "c").to_json(),
        );
        let answer = futures_util::StreamExt::next(&mut answers);
        let answer = tokio::time::timeout(WITHIN, answer).await.unwrap().unwrap();
        let outcome: Outcome = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!((outcome.code, outcome.tenant.unwrap().as_str()), (Code::InvalidField, "noisy"));
    }
    assert!(door.close(WITHIN).await);
}

async fn read(inbox: &mut NatsInbox, count: usize) -> usize {
    let reading = async {
        let mut given = 0;
        while given < count {
            given += inbox.read(256).await.unwrap().len();
        }
        given
    };
    tokio::time::timeout(WITHIN, reading).await.expect("the commands are read")
}

/// All partitions of a node read over one connection: one partition's unreadable commands are put away, and neither its own nor the
/// others' wait for more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_no_client_reads_cut_no_partition_off() {
    let Some(binary) = server_or_skip("commands_that_no_client_reads_cut_no_partition_off") else { return };
    let doors = Doors::new(&binary, 2).await;
    let mut noisy = doors.inbox(0, 0, true).await;
    let mut calm = doors.inbox(1, 0, true).await;
    let sick = orders_in(PartitionId(0), 2, 1).remove(0);
    let well = orders_in(PartitionId(1), 2, 1).remove(0);
    let mut sent = 0;
    for round in 0..10 {
        for headers in HEADERS {
            doors.publish_bytes(&subjects::command(&sick), "", headers, b"{}");
            sent += 1;
        }
        doors.place(&sick, &format!("c-{round}")).await;
        for number in 0..20 {
            doors.place(&well, &format!("c-{round}-{number}")).await;
        }
        assert_eq!(read(&mut calm, 20).await, 20);
    }
    // A status that is none does not keep a message from being a command: what is wrong is its body.
    assert!(read(&mut noisy, 10).await >= 10);
    assert_eq!(doors.edge.times_lost(), 0, "the connection was cut");
    assert!(doors.letters().await.len() <= sent);
}

/// What stands in a subject that no client reads belongs to no order: it is put away, and its partition reads on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_under_subjects_that_no_client_reads_are_put_away() {
    let name = "commands_under_subjects_that_no_client_reads_are_put_away";
    let Some(binary) = server_or_skip(name) else { return };
    let doors = Doors::new(&binary, 1).await;
    let order = order("shop", "o-1");
    for tail in ["\u{3000}x".as_bytes(), b"\x0bx", b"\xff"] {
        let subject = [b"rf.v1.cmd.shop.o-1".as_slice(), tail].concat();
        doors.write(&message(&subject, b"_INBOX.x", b"NATS/1.0\r\n\r\n", b"{}"));
        doors.publish_bytes("rf.v1.cmd.shop.o-1", "", b"NATS/1.0\r\n\r\n", &command(&order, "c").to_json());
    }
    doors.place(&order, "last").await;
    let mut inbox = doors.inbox(0, 0, true).await;
    assert_eq!(read(&mut inbox, 4).await, 4);
    assert_eq!(doors.edge.times_lost(), 0, "the connection was cut");
    assert_eq!(doors.letters().await.len(), 3, "{:?}", doors.letters().await);
}

/// The filter speaks to servers that want encryption, and believes only whom it was told to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_server_is_reached_through_the_filter() {
    let name = "an_encrypted_server_is_reached_through_the_filter";
    let Some(binary) = server_or_skip(name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nats"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(file("key.pem"))
        .arg("-out")
        .arg(file("cert.pem"))
        .output();
    match made {
        Ok(made) => assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr)),
        Err(error) => return crate::skipped::skipped(name, "openssl", &error.to_string()),
    }
    let (key, cert) = (file("key.pem"), file("cert.pem"));
    let settings = format!("tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n", cert.display(), key.display());
    let server = crate::nats::Server::start(&binary, &settings);
    let trusting = NatsOptions { ca: Some(cert), ..options(&server) };
    let edge = EdgeConnection::open(&trusting, "ask").await.unwrap();
    let door = AskDoor::open(edge, Fake::new(), AskOptions::default(), TimestampMs(1)).await.unwrap();
    for connection in
        [EdgeConnection::open(&trusting, "caller").await, EdgeConnection::direct(&trusting, "caller").await]
    {
        let asked =
            AskClient::new(connection.unwrap()).ask(&command(&order("shop", "o-1"), "c"), WITHIN).await;
        assert_eq!(asked.unwrap().code, Code::Applied);
    }
    assert!(door.close(WITHIN).await);
    let strangers = NatsOptions { connect_timeout_ms: 1_000, ..options(&server) };
    assert!(EdgeConnection::open(&strangers, "ask").await.is_err(), "nobody vouches for this server");
}
