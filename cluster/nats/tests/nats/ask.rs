//! The ask door, as callers of all kinds find it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message};
use futures_util::StreamExt;
use retailflow_engine::ids::{OrderRef, TenantId, TimestampMs};
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{CommandDoor, EndParkingError, PortFuture};
use retailflow_engine::wire::admin::ReleaseReport;
use retailflow_engine::wire::{Code, CommandEvent, Durability, Outcome};
use retailflow_nats::{AskClient, AskDoor, AskOptions, EdgeConnection, NatsLog, Topology, subjects};
use retailflow_testkit::author::order;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::doors::{Doors, WITHIN, command};
use crate::nats::server_or_skip;
use crate::poll::wait_for;
use crate::raw::Raw;
use crate::world::{identity, log_options, options, subscribed};

/// Applies everything; what is called `slow` only when there is a permit.
pub(crate) struct Fake {
    permits: Semaphore,
    begun: AtomicUsize,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { permits: Semaphore::new(0), begun: AtomicUsize::new(0) })
    }
}

impl CommandDoor for Fake {
    fn refuses(&self, tenant: &TenantId) -> Option<Outcome> {
        (tenant.as_str() == "closed").then(|| Outcome::unaddressed(Code::TenantDisabled, "closed"))
    }

    fn ask(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        assert_eq!(actor, Actor::Tenant);
        Box::pin(async move {
            self.begun.fetch_add(1, Ordering::SeqCst);
            if command.key.id.as_str().starts_with("slow") {
                self.permits.acquire().await.unwrap().forget();
            }
            Outcome::recorded(&command.order, &command.key, Code::Applied, 1, Durability::MEMORY)
                .with_message(format!("{deadline:?}"))
        })
    }

    fn dry_run(&self, command: CommandEvent, actor: Actor, deadline: Duration) -> PortFuture<'_, Outcome> {
        assert_eq!(actor, Actor::Tenant);
        let outcome = Outcome::refused(&command.order, &command.key, Code::Applied, format!("{deadline:?}"));
        Box::pin(async move { outcome.of_dry_run() })
    }

    fn end_parking<'a>(
        &'a self,
        _: &'a OrderRef,
        _: &'a str,
        _: bool,
    ) -> PortFuture<'a, Result<ReleaseReport, EndParkingError>> {
        Box::pin(async { Err(EndParkingError::NotParked) })
    }
}

async fn open(doors: &Doors, fake: &Arc<Fake>, in_flight_max: usize) -> AskDoor {
    let edge = EdgeConnection::open(&options(&doors.server), "ask").await.unwrap();
    let options = AskOptions { in_flight_max, ..AskOptions::default() };
    AskDoor::open(edge, fake.clone(), options, TimestampMs(1)).await.unwrap()
}

fn outcome(message: &Message) -> Outcome {
    serde_json::from_slice(&message.payload).unwrap()
}

fn header<'a>(message: &'a Message, name: &'static str) -> Option<&'a str> {
    message.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
}

async fn ask(doors: &Doors, subject: &str, headers: &[(&str, &str)], body: &[u8]) -> Message {
    let mut all = HeaderMap::new();
    headers.iter().for_each(|(name, value)| all.append(*name, *value));
    doors.caller.request_with_headers(subject.to_owned(), all, body.to_vec().into()).await.unwrap()
}

/// Each request has an outcome, and an error says so in headers too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_has_an_outcome() {
    let Some(binary) = server_or_skip("every_request_has_an_outcome") else { return };
    let doors = Doors::new(&binary, 1).await;
    let fake = Fake::new();
    let door = open(&doors, &fake, 8).await;
    let order = order("shop", "o-1");
    let (subject, event) = ("rf.v1.ask.shop.o-1", command(&order, "c-1"));
    let applied = ask(&doors, subject, &[("Rf-Timeout-Ms", "1500")], &event.to_json()).await;
    let told = outcome(&applied);
    assert_eq!(
        (told.code, told.message.as_str(), told.order),
        (Code::Applied, "1.5s", Some(order.order.clone()))
    );
    assert_eq!(header(&applied, "Content-Type"), Some("application/json"));
    assert_eq!(header(&applied, "Nats-Service-Error"), None);
    let data = serde_json::to_value(&event).unwrap()["data"].to_string();
    let binary_mode = [
        ("ce-specversion", "1.0"),
        ("ce-type", "retailflow.order.place.v1"),
        ("ce-source", "/shop"),
        ("ce-id", "c-2"),
    ];
    assert_eq!(outcome(&ask(&doors, subject, &binary_mode, data.as_bytes()).await).code, Code::Applied);
    let operators = json!({
        "specversion": "1.0", "id": "c-3", "source": "/shop", "type": "retailflow.order.resume.v1",
        "tenant": "shop", "subject": "o-1", "data": {},
    });
    let (whole, operators, long) = (event.to_json(), operators.to_string(), vec![b' '; (1 << 20) + 1]);
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], Code, &'a str);
    let cases: [Case<'_>; 7] = [
        (subject, &[], b"{", Code::MalformedJson, "400"),
        ("rf.v1.ask.shop.o-2", &[], &whole, Code::MismatchedAddress, "400"),
        ("rf.v1.ask.SHOP.o-1", &[], &whole, Code::InvalidId, "400"),
        ("rf.v1.ask.closed.o-1", &[], &whole, Code::TenantDisabled, "403"),
        (subject, &[("Rf-Timeout-Ms", "0")], &whole, Code::InvalidField, "400"),
        (subject, &[], operators.as_bytes(), Code::OperatorOnly, "403"),
        (subject, &[], &long, Code::TooLarge, "413"),
    ];
    for (subject, headers, body, code, number) in cases {
        let refused = ask(&doors, subject, headers, body).await;
        assert_eq!(outcome(&refused).code, code, "{subject}");
        assert_eq!(header(&refused, "Nats-Service-Error"), Some(code.as_str()));
        assert_eq!(header(&refused, "Nats-Service-Error-Code"), Some(number));
    }
    assert_eq!(fake.begun.load(Ordering::SeqCst), 2);
    assert!(door.close(WITHIN).await);
}

/// A request that asks for a dry run is one, and another word begins nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_may_ask_for_a_dry_run() {
    let Some(binary) = server_or_skip("a_request_may_ask_for_a_dry_run") else { return };
    let doors = Doors::new(&binary, 1).await;
    let fake = Fake::new();
    let door = open(&doors, &fake, 8).await;
    let (subject, body) = ("rf.v1.ask.shop.o-1", command(&order("shop", "o-1"), "c-1").to_json());
    let told = ask(&doors, subject, &[("Rf-Dry-Run", "true"), ("Rf-Timeout-Ms", "1500")], &body).await;
    assert_eq!(header(&told, "Nats-Service-Error"), None);
    let told = outcome(&told);
    assert_eq!((told.code, told.message.as_str(), told.dry_run), (Code::Applied, "1.5s", true));
    for word in ["", "1", "True", "yes"] {
        let refused = outcome(&ask(&doors, subject, &[("Rf-Dry-Run", word)], &body).await);
        assert_eq!(
            (refused.code, refused.path.as_deref()),
            (Code::InvalidField, Some("rf-dry-run")),
            "{word}"
        );
    }
    let both = [("Rf-Dry-Run", "true"), ("rf-dry-run", "false")];
    assert_eq!(outcome(&ask(&doors, subject, &both, &body).await).code, Code::DuplicateField);
    let unreadable = outcome(&ask(&doors, subject, &both[..1], b"{").await);
    assert_eq!((unreadable.code, unreadable.dry_run), (Code::MalformedJson, true));
    assert_eq!(fake.begun.load(Ordering::SeqCst), 0, "no command was begun");
    let real = outcome(&ask(&doors, subject, &both[1..], &body).await);
    assert_eq!((real.code, real.dry_run, fake.begun.load(Ordering::SeqCst)), (Code::Applied, false, 1));
    assert!(door.close(WITHIN).await);
}

/// Nothing of ours is ever written where a caller points to, but into an inbox or the tenant's own subjects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_never_written_into_the_log() {
    let Some(binary) = server_or_skip("answers_are_never_written_into_the_log") else { return };
    let doors = Doors::new(&binary, 1).await;
    let log = Topology { partitions: 1, shards: 1, replicas: 1 };
    assert_eq!(log.provision(&doors.connections).await.unwrap(), []);
    NatsLog::open(&doors.connections, &identity(1, 1), &log_options()).await.unwrap();
    let raw = Raw::connect(&doors.server).await;
    let fake = Fake::new();
    let door = open(&doors, &fake, 8).await;
    let order = order("shop", "o-1");
    let (subject, body) = ("rf.v1.ask.shop.o-1", command(&order, "c-1").to_json());
    let before = (raw.state("RF_LOG_0").await, raw.state("RF_CMD").await);
    let elsewhere = [
        "rf.log.0.fence",
        "rf.log.0.o.shop.o-1",
        "rf.v1.cmd.shop.o-1",
        "rf.dlq.shop.x",
        "rf.v1.ask.shop.o-2",
        "rf.v1.reply.other.x",
        "$JS.API.STREAM.PURGE.RF_LOG_0",
    ];
    for reply in elsewhere {
        doors.caller.publish_with_reply(subject, reply, body.clone().into()).await.unwrap();
    }
    doors.caller.publish(subject, body.clone().into()).await.unwrap();
    // Its own subjects are the tenant's to choose.
    let mut own = doors.caller.subscribe("rf.v1.reply.shop.>").await.unwrap();
    doors.caller.publish_with_reply(subject, "rf.v1.reply.shop.till.7", body.into()).await.unwrap();
    let answer = tokio::time::timeout(WITHIN, own.next()).await.unwrap().unwrap();
    assert_eq!(outcome(&answer).code, Code::Applied);
    assert_eq!((door.counts().dropped, door.counts().answered), (8, 1));
    assert_eq!(fake.begun.load(Ordering::SeqCst), 1, "what cannot be answered is not begun");
    assert_eq!((raw.state("RF_LOG_0").await, raw.state("RF_CMD").await), before);
    assert!(door.close(WITHIN).await);
}

/// What is too much is told so at once; closing takes nothing more, and answers what was begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_is_refused_at_once_and_closing_answers_what_was_begun() {
    let name = "too_much_is_refused_at_once_and_closing_answers_what_was_begun";
    let Some(binary) = server_or_skip(name) else { return };
    let doors = Arc::new(Doors::new(&binary, 1).await);
    let fake = Fake::new();
    let door = open(&doors, &fake, 3).await;
    let asking_of = |tenant: &'static str, id: &'static str| {
        let doors = doors.clone();
        let body = command(&order(tenant, "o-1"), id).to_json();
        tokio::spawn(
            async move { outcome(&ask(&doors, &format!("rf.v1.ask.{tenant}.o-1"), &[], &body).await) },
        )
    };
    let asking = |id: &'static str| asking_of("shop", id);
    let slow = [asking("slow-1"), asking("slow-2")];
    let begun = || (fake.begun.load(Ordering::SeqCst) == 2).then_some(());
    tokio::task::block_in_place(|| wait_for("both are begun", WITHIN, begun));
    let since = Instant::now();
    let refused = asking("c-1").await.unwrap();
    assert_eq!((refused.code, refused.retry_after_ms), (Code::Throttled, Some(250)));
    // Who asks too much leaves room for others.
    assert_eq!(asking_of("till", "c-1").await.unwrap().code, Code::Applied);
    let also_slow = asking_of("till", "slow-3");
    let begun = || (fake.begun.load(Ordering::SeqCst) == 4).then_some(());
    tokio::task::block_in_place(|| wait_for("all places are taken", WITHIN, begun));
    assert_eq!(asking_of("market", "c-1").await.unwrap().code, Code::Overloaded);
    assert_eq!((refused.tenant.unwrap().as_str(), refused.order.unwrap().as_str()), ("shop", "o-1"));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(door.counts().overloaded, 1);
    let closing = tokio::spawn(door.close(WITHIN));
    // From some moment on nobody is there.
    let gone = async {
        loop {
            let body = command(&order("shop", "o-1"), "late").to_json();
            let asked = doors.caller.request("rf.v1.ask.shop.o-1", body.into()).await;
            match asked {
                Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => break,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(WITHIN, gone).await.unwrap();
    fake.permits.add_permits(3);
    for slow in slow.into_iter().chain([also_slow]) {
        assert_eq!(slow.await.unwrap().code, Code::Applied);
    }
    assert!(closing.await.unwrap());
}

/// A door that does not get done in time is closed all the same, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_has_an_end() {
    let Some(binary) = server_or_skip("closing_has_an_end") else { return };
    let doors = Doors::new(&binary, 1).await;
    let fake = Fake::new();
    let door = open(&doors, &fake, 2).await;
    let body = command(&order("shop", "o-1"), "slow").to_json();
    doors.caller.publish_with_reply("rf.v1.ask.shop.o-1", "_INBOX.x", body.into()).await.unwrap();
    let begun = || (fake.begun.load(Ordering::SeqCst) == 1).then_some(());
    tokio::task::block_in_place(|| wait_for("it is begun", WITHIN, begun));
    assert!(!door.close(Duration::from_millis(200)).await);
    assert_eq!(Arc::strong_count(&fake), 1, "nothing is left running");
}

/// Headers that the client cannot read cost it its connection, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_headers_do_not_stop_the_door() {
    let Some(binary) = server_or_skip("broken_headers_do_not_stop_the_door") else { return };
    let doors = Doors::new(&binary, 1).await;
    let fake = Fake::new();
    let door = open(&doors, &fake, 8).await;
    let body = command(&order("shop", "o-1"), "c-1").to_json();
    for _ in 0..3 {
        doors.publish_bytes("rf.v1.ask.shop.o-1", "_INBOX.x", b"NATS/1.0\r\nno colon\r\n\r\n", &body);
        let answered = async {
            loop {
                let asked = doors.caller.request("rf.v1.ask.shop.o-1", body.clone().into());
                if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(1), asked).await {
                    break outcome(&answer);
                }
            }
        };
        assert_eq!(tokio::time::timeout(WITHIN, answered).await.unwrap().code, Code::Applied);
    }
    assert!(door.close(WITHIN).await);
}

/// Whoever lists services finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_found_as_a_service() {
    let Some(binary) = server_or_skip("it_is_found_as_a_service") else { return };
    let doors = Doors::new(&binary, 1).await;
    let door = open(&doors, &Fake::new(), 8).await;
    ask(&doors, "rf.v1.ask.shop.o-1", &[], b"{").await;
    let found = |subject: String| async {
        let answer = doors.caller.request(subject, "".into()).await.unwrap();
        serde_json::from_slice::<Value>(&answer.payload).unwrap()
    };
    let ping = found("$SRV.PING".into()).await;
    assert_eq!(
        (&ping["type"], &ping["name"]),
        (&json!("io.nats.micro.v1.ping_response"), &json!("retailflow-ask"))
    );
    let info = found("$SRV.INFO.retailflow-ask".into()).await;
    assert_eq!(info["endpoints"][0]["subject"], subjects::ASKED);
    let stats = found(format!("$SRV.STATS.retailflow-ask.{}", ping["id"].as_str().unwrap())).await;
    let endpoint = &stats["endpoints"][0];
    assert_eq!((&endpoint["num_requests"], &endpoint["num_errors"]), (&json!(1), &json!(1)));
    assert!(door.close(WITHIN).await);
}

/// A node that has just closed its door gets a command that another server still sent it, and nobody says so: asked for once more, it has
/// its outcome long before its time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_went_to_a_closed_door_is_asked_for_again() {
    let Some(binary) = server_or_skip("a_command_that_went_to_a_closed_door_is_asked_for_again") else {
        return;
    };
    let doors = Doors::new(&binary, 1).await;
    let mut heard = doors.caller.subscribe("rf.v1.ask.>").await.unwrap();
    subscribed(&doors.caller).await;
    let event = command(&order("shop", "o-1"), "p");
    let asking = tokio::spawn({
        let (client, event) = (AskClient::new(doors.edge.clone()), event.clone());
        async move { client.ask(&event, WITHIN).await }
    });
    let swallowed = tokio::time::timeout(WITHIN, heard.next()).await.expect("it is asked for").unwrap();
    let again = tokio::time::timeout(WITHIN, heard.next()).await.expect("it is asked for again").unwrap();
    assert_eq!(swallowed.payload, again.payload, "the same command, under the same id");
    let outcome = Outcome::refused(&event.order, &event.key, Code::OrderExists, "so it is");
    let answer = serde_json::to_vec(&outcome).unwrap();
    doors.caller.publish(again.reply.unwrap(), answer.into()).await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap().code, Code::OrderExists);
}
