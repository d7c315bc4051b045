//! What callers may send to hurt others, beside what `ask.rs` and `inbox.rs` try. docs/trust.md tells what cannot be prevented.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::wire::{Code, Outcome};
use retailflow_nats::{AskDoor, AskOptions, EdgeConnection, subjects};
use retailflow_testkit::author::order;
use serde_json::json;

use crate::ask::Fake;
use crate::doors::{Doors, WITHIN, command};
use crate::nats::{Server, server_or_skip};
use crate::raw::Raw;
use crate::world::options;

/// For a cluster of servers to be there.
const BOUND: Duration = Duration::from_secs(60);
/// For one publish to a stream that is stopped.
const STOPPED: Duration = Duration::from_secs(3);

/// The server knows message ids by stream, not by tenant. Whoever is hidden behind another one's is told so, and is stored when it
/// comes without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_message_id_hides_a_command_and_says_so() {
    let Some(binary) = server_or_skip("a_foreign_message_id_hides_a_command_and_says_so") else { return };
    let doors = Doors::new(&binary, 1).await;
    let begun = Instant::now();
    // They have to meet within the time for which the server remembers ids: 100 ms.
    let hidden = loop {
        let mut last = None;
        for tenant in ["shop", "market"] {
            let order = order(tenant, "o-1");
            let (subject, body) = (subjects::command(&order), command(&order, "c-1").to_json());
            last = Some(doors.publish(&subject, &[("Nats-Msg-Id", "0001")], &body).await);
        }
        let last = last.unwrap();
        if last["duplicate"] == true {
            break last;
        }
        assert!(begun.elapsed() < BOUND, "{last}");
    };
    let raw = Raw::connect(&doors.server).await;
    assert_eq!(raw.state("RF_CMD").await["last_seq"], hidden["seq"], "nothing of it was stored");
    let theirs = order("market", "o-1");
    assert_eq!(doors.place(&theirs, "c-1").await, hidden["seq"].as_u64().unwrap() + 1);
}

/// Headers for a stream mean nothing where there is none, and what a request claims of an answer is not in the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_at_the_ask_door_say_nothing() {
    let Some(binary) = server_or_skip("headers_at_the_ask_door_say_nothing") else { return };
    let doors = Doors::new(&binary, 1).await;
    let edge = EdgeConnection::open(&options(&doors.server), "ask").await.unwrap();
    let door = AskDoor::open(edge, Fake::new(), AskOptions::default(), TimestampMs(1)).await.unwrap();
    let asked = order("shop", "o-1");
    let mut headers = HeaderMap::new();
    for name in [
        "Nats-Rollup",
        "Nats-Schedule",
        "Nats-TTL",
        "Nats-Msg-Id",
        "Nats-Batch-Id",
        "Nats-Batch-Commit",
        "Nats-Expected-Last-Msg-Id",
        "Nats-Expected-Last-Sequence",
        "Nats-Service-Error",
        "Nats-Service-Error-Code",
        "Rf-Reply-To",
    ] {
        headers.append(name, "rf.log.0.fence");
    }
    for number in 0..3_000 {
        headers.append(format!("h-{number}").as_str(), "x");
    }
    let body = command(&asked, "c-1").to_json();
    let answer =
        doors.caller.request_with_headers(subjects::ask(&asked), headers, body.into()).await.unwrap();
    let outcome: Outcome = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(outcome.code, Code::Applied);
    let names: Vec<String> = answer.headers.unwrap().iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["Content-Type"]);
    assert!(door.close(WITHIN).await);
}

/// One header of one publisher stops a replicated stream: seen on 2.15.1, and the reason why the publish door is for those only
/// who are trusted. Fails when the server has become safer; docs/trust.md may say so then. Long: `RETAILFLOW_LONG=1`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_header_stops_a_replicated_stream() {
    if std::env::var("RETAILFLOW_LONG").is_ok_and(|long| long == "1") {
        let Some(binary) = server_or_skip("one_header_stops_a_replicated_stream") else { return };
        let servers = Server::cluster(&binary, 3);
        let raw = Raw::connect(&servers[0]).await;
        let client = async_nats::connect(servers[0].url()).await.unwrap();
        let config = json!({ "name": "RF_CMD", "subjects": ["rf.v1.cmd.*.*"], "num_replicas": 3 });
        let begun = Instant::now();
        while !raw.try_api("STREAM.CREATE.RF_CMD", &config).await.is_ok_and(|made| made["error"].is_null()) {
            assert!(begun.elapsed() < BOUND);
        }
        raw.store("rf.v1.cmd.shop.o-1", b"x".to_vec()).await;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Msg-Id", "nobody");
        let asked = client.request_with_headers("rf.v1.cmd.shop.o-1", headers, "x".into());
        drop(tokio::time::timeout(STOPPED, asked).await);
        for _ in 0..5 {
            let asked = client.request("rf.v1.cmd.market.o-1", "x".into());
            let answer = tokio::time::timeout(STOPPED, asked).await;
            assert!(!matches!(answer, Ok(Ok(_))), "the stream goes on: {answer:?}");
        }
    }
}
