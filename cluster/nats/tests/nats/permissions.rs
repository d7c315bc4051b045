//! The accounts and permissions of `deploy/nats/accounts.conf`, as they are shipped: the engine can do its work, and nobody else
//! can do it for him, neither by publishing nor by naming a reply.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use futures_util::StreamExt;
use parking_lot::Mutex;
use retailflow_engine::ids::{PartitionId, TenantId, TimestampMs};
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{DeadLetter, DeadLetters, EventRelay, ReadFrom, TenantStatus, Tenants};
use retailflow_engine::wire::{Code, Durability, Outcome};
use retailflow_nats::{
    AskDoor, AskOptions, Connections, Cursors, DoorStreams, EdgeConnection, EventOptions, EventPublisher,
    ForwardClient, ForwardOptions, ForwardServer, InboxOptions, NatsDeadLetters, NatsInbox, NatsLog,
    NatsOptions, NatsRelay, NatsTenants, RelayOptions, TenantsOptions, Topology, inbox_ids, subjects, trim,
};
use retailflow_testkit::author::{Author, Writer, order};
use retailflow_testkit::event_relay::read;
use retailflow_testkit::tenants::setting;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::ask::Fake;
use crate::doors::{Fixed, WITHIN, command};
use crate::events::events;
use crate::nats::{Server, server_or_skip};
use crate::poll::wait_for;
use crate::world::{identity, log_options, options};

const ACCOUNTS: &str = include_str!("../../../../deploy/nats/accounts.conf");
const HOME: PartitionId = PartitionId(0);
const STREAMS: [&str; 5] = ["RF_LOG_0", "RF_CMD", "RF_EVT", "RF_DLQ", "RF_META"];

/// The passwords that a configuration wants of its environment.
fn wanted(text: &str) -> impl Iterator<Item = &str> {
    let name = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    text.split('$').skip(1).map(move |rest| &rest[..name(rest)]).filter(|name| name.ends_with("_PASSWORD"))
}

/// A server with the shipped accounts; every password is `secret`.
fn server(binary: &Path) -> Server {
    with_accounts(binary, ACCOUNTS)
}

fn with_accounts(binary: &Path, accounts: &str) -> Server {
    let secrets: String = wanted(accounts).map(|name| format!("{name}: secret\n")).collect();
    let streams = "max_payload: 8MB\njetstream { store_dir: \"FOLDER/js\", sync_interval: always }\n";
    Server::start(binary, &format!("{streams}{secrets}{accounts}"))
}

fn as_user(server: &Server, user: &str) -> NatsOptions {
    NatsOptions { servers: vec![format!("nats://{user}:secret@{}", server.address())], ..options(server) }
}

/// The replier has its user and password from a file; the address says somebody else.
fn as_replier(server: &Server) -> NatsOptions {
    let file = server.folder().join("replier");
    std::fs::write(&file, "replier:secret\n").unwrap();
    NatsOptions { credentials: Some(file), ..as_user(server, "engine") }
}

/// All that a node does: none of it is forbidden.
struct Engine {
    connections: Connections,
    log: Arc<NatsLog>,
    edge: EdgeConnection,
    replier: EdgeConnection,
    door: AskDoor,
}

impl Engine {
    async fn start(server: &Server) -> Self {
        let connections = Connections::open(&as_user(server, "engine")).await.unwrap();
        let log = Topology { partitions: 1, shards: 1, replicas: 1 };
        assert_eq!(log.provision(&connections).await.unwrap(), []);
        let doors = DoorStreams { partitions: 1, replicas: 1, commands_max_bytes: None };
        assert_eq!(doors.provision(&connections).await.unwrap(), []);
        let log = NatsLog::open(&connections, &identity(1, 1), &log_options()).await.unwrap();
        let edge = EdgeConnection::open(&as_user(server, "engine"), "intake").await.unwrap();
        let connect = || async { EdgeConnection::open(&as_replier(server), "ask").await.unwrap() };
        let door = AskDoor::open(connect().await, Fake::new(), AskOptions::default(), TimestampMs(1)).await;
        Self { connections, log, edge, replier: connect().await, door: door.unwrap() }
    }

    async fn inbox(&self) -> NatsInbox {
        let letters = Arc::new(NatsDeadLetters::new(&self.connections));
        let options = InboxOptions { partitions: 1, idle_ms: 60_000, ..InboxOptions::default() };
        let clock = Arc::new(Fixed);
        NatsInbox::open(&self.connections, &self.edge, HOME, 0, letters, clock, options).await.unwrap()
    }

    async fn states(&self, server: &Server) -> Vec<(String, Value)> {
        // The archiver may look, too; that shows that it can.
        let client = Known::connect(server, "archiver").await.client;
        let mut states = Vec::new();
        for stream in STREAMS {
            let asked = client.request(format!("$JS.API.STREAM.INFO.{stream}"), "".into()).await.unwrap();
            let mut answer: Value = serde_json::from_slice(&asked.payload).unwrap();
            states.push((stream.to_owned(), answer["state"]["last_seq"].take()));
        }
        states
    }
}

/// A client whose refusals are kept.
struct Known {
    client: Client,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Known {
    async fn connect(server: &Server, user: &str) -> Self {
        let refused = Arc::<Mutex<Vec<String>>>::default();
        let told = refused.clone();
        let options = ConnectOptions::with_user_and_password(user.into(), "secret".into()).event_callback(
            move |event| {
                if let Event::ServerError(error) = event {
                    told.lock().push(error.to_string().to_lowercase());
                }
                std::future::ready(())
            },
        );
        Self { client: options.connect(server.url()).await.unwrap(), refused }
    }

    /// Waits until the server has refused this.
    fn assert_refused(&self, what: &str, subject: &str) {
        let told = || {
            let (what, subject) =
                (format!("violation for {what}"), format!("\"{}\"", subject.to_lowercase()));
            self.refused
                .lock()
                .iter()
                .any(|said| said.contains(&what) && said.contains(&subject))
                .then_some(())
        };
        tokio::task::block_in_place(|| wait_for(&format!("{what} {subject} is refused"), WITHIN, told));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_and_its_callers_can_do_all_that_they_need() {
    let Some(binary) = server_or_skip("the_engine_and_its_callers_can_do_all_that_they_need") else { return };
    let server = server(&binary);
    let engine = Engine::start(&server).await;
    let connections = &engine.connections;
    let (mut owner, ours) = (Writer::open(&*engine.log, HOME, 1).await, order("shop", "o-1"));
    owner.append(&*engine.log, vec![Author::new(&ours).write(1)], vec![]).await;
    let tenants = NatsTenants::open(connections, &TenantsOptions::default()).await.unwrap();
    tenants.put(setting("shop", TenantStatus::Active, None)).await.unwrap();
    Cursors::new(connections, [1; 16]).write("events", HOME, 1).await.unwrap();
    let letters = NatsDeadLetters::new(connections);
    let letter = DeadLetter {
        key: [7; 16],
        tenant: Some("shop".into()),
        origin: "here".into(),
        code: "x".into(),
        reason: "x".into(),
        body: vec![],
        length_bytes: 0,
        at: TimestampMs(1),
    };
    letters.put(letter).await.unwrap();
    assert_eq!(letters.list(0, 10).await.unwrap().len(), 1);

    // Published, read after a wake, answered over the replier's connection into the tenant's account.
    let shop = Known::connect(&server, "shop-publisher").await;
    let mut told = shop.client.subscribe("rf.v1.reply.shop.>").await.unwrap();
    let mut heard = shop.client.subscribe("rf.v1.evt.shop.*").await.unwrap();
    shop.client.flush().await.unwrap();
    let mut inbox = engine.inbox().await;
    let replies = inbox.replies();
    let reading = tokio::spawn(async move { inbox.read(10).await.unwrap() });
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Rf-Reply-To", "rf.v1.reply.shop.7");
    let event = command(&ours, "c-1");
    let sent = shop.client.request_with_headers("rf.v1.cmd.shop.o-1", headers, event.to_json().into());
    let stored: Value = serde_json::from_slice(&sent.await.unwrap().payload).unwrap();
    assert_eq!(stored["seq"], 1, "{stored}");
    assert_eq!(tokio::time::timeout(WITHIN, reading).await.unwrap().unwrap().len(), 1);
    let outcome = Outcome::recorded(&ours, &event.key, Code::Applied, 1, Durability::MEMORY);
    replies.send(&engine.replier, 1, &outcome).await;
    let told = tokio::time::timeout(WITHIN, told.next()).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Outcome>(&told.payload).unwrap(), outcome);
    let (created, _) = inbox_ids(connections, 1).await.unwrap();
    trim(connections, &created, 1, &[1]).await.unwrap();

    // Public events reach their tenant, and readers over HTTP.
    EventPublisher::new(connections, &EventOptions::default()).publish(events(1, 1)).await.unwrap();
    tokio::time::timeout(WITHIN, heard.next()).await.unwrap().unwrap();
    let edge = EdgeConnection::open(&as_user(&server, "engine"), "events").await.unwrap();
    let relay = NatsRelay::open(connections, edge, RelayOptions::default());
    let tenant = TenantId::parse("shop").unwrap();
    let mut reader = relay.open(&tenant, ReadFrom::Beginning).await.unwrap();
    assert_eq!(read(&mut reader, 2).await.len(), 2);

    // Between nodes.
    let (end, post) = (
        CancellationToken::new(),
        ForwardServer::new(engine.edge.clone(), Fake::new(), ForwardOptions::default()),
    );
    let answering = {
        let end = end.clone();
        tokio::spawn(async move { post.answer_for(HOME, end).await })
    };
    let caller = ForwardClient::new(engine.edge.clone());
    let called = async {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            if let Ok(outcome) = caller.ask(HOME, &event, &Actor::Tenant, WITHIN, WITHIN).await {
                break outcome;
            }
        }
    };
    assert_eq!(tokio::time::timeout(WITHIN, called).await.unwrap().code, Code::Applied);
    end.cancel();
    answering.await.unwrap().unwrap();

    // Asked, from another account.
    let market = Known::connect(&server, "market-asker").await;
    let asked = command(&order("market", "o-1"), "c-1").to_json();
    let answer = market.client.request("rf.v1.ask.market.o-1", asked.into()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Outcome>(&answer.payload).unwrap().code, Code::Applied);
    assert!(engine.door.close(WITHIN).await);
    let log = std::fs::read_to_string(server.folder().join("log")).unwrap();
    assert!(!log.contains("Violation"), "{log}");
}

/// Who may not publish what, one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_publishes_or_hears_what_is_not_his() {
    let Some(binary) = server_or_skip("nobody_publishes_or_hears_what_is_not_his") else { return };
    let server = server(&binary);
    let engine = Engine::start(&server).await;
    let before = engine.states(&server).await;
    let never = [
        "rf.log.0.fence",
        "rf.log.0.o.shop.o-1",
        "rf.cmd.0.shop.o-1",
        "rf.node.v1.0",
        "rf.meta.tenant.shop",
        "rf.dlq.shop.x",
        "rf.wake.cmd.0",
        "$JS.API.STREAM.DELETE.RF_LOG_0",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.CONSUMER.CREATE.RF_LOG_0",
        "rf.v1.evt.shop.o-1",
    ];
    let tenants = ["rf.sim.v1.payments", "rf.v1.reply.shop.x", "_INBOX.x", "$JS.API.INFO", "$SRV.PING"];
    let closed: [(&str, &[&str]); 6] = [
        ("shop-publisher", &["rf.v1.cmd.market.o-1", "rf.v1.ask.market.o-1", "rf.v1.ask.shop.o-1"]),
        ("market-asker", &["rf.v1.cmd.market.o-1", "rf.v1.cmd.shop.o-1", "rf.v1.ask.shop.o-1"]),
        ("replier", &["rf.v1.cmd.shop.o-1", "rf.v1.ask.shop.o-1", "rf.sim.v1.payments", "$JS.API.INFO"]),
        ("participants", &["rf.v1.cmd.shop.o-1", "$JS.API.INFO"]),
        ("archiver", &["rf.v1.cmd.shop.o-1", "$JS.API.STREAM.PURGE.RF_CMD"]),
        ("operator", &["rf.v1.cmd.shop.o-1", "rf.v1.ask.shop.o-1", "$JS.API.STREAM.PURGE.RF_LOG_0"]),
    ];
    for (user, more) in closed {
        let known = Known::connect(&server, user).await;
        let tenants = if user.contains('-') { &tenants[..] } else { &[] };
        for subject in never.iter().chain(more).chain(tenants) {
            known.client.publish(*subject, "x".into()).await.unwrap();
            known.assert_refused("publish", subject);
        }
    }
    let deaf: [(&str, &[&str]); 4] = [
        ("shop-publisher", &[">", "rf.v1.evt.market.*", "rf.v1.evt.*.*", "rf.v1.reply.market.>", "rf.log.>"]),
        ("market-asker", &[">", "rf.v1.evt.shop.*", "rf.v1.reply.>", "rf.v1.ask.*.*", "rf.cmd.>"]),
        ("replier", &[">", "_INBOX.>", "rf.log.>", "rf.cmd.>", "rf.node.v1.*"]),
        ("participants", &["rf.v1.ask.*.*", "rf.node.v1.*", "rf.log.>"]),
    ];
    for (user, subjects) in deaf {
        let known = Known::connect(&server, user).await;
        for subject in subjects {
            let _kept = known.client.subscribe(*subject).await.unwrap();
            known.assert_refused("subscription", subject);
        }
    }
    assert_eq!(engine.states(&server).await, before);
    let anonymous = async_nats::connect(server.url()).await;
    assert!(anonymous.is_err(), "nobody is let in without a name");
}

/// The server acknowledges a publish to wherever its reply says, and an answer goes there, too. From another account that is
/// never a place of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_reaches_a_stream() {
    let Some(binary) = server_or_skip("no_reply_reaches_a_stream") else { return };
    let server = server(&binary);
    let engine = Engine::start(&server).await;
    let shop = Known::connect(&server, "shop-publisher").await.client;
    let market = Known::connect(&server, "market-asker").await.client;
    let (ours, theirs) = (order("shop", "o-1"), order("market", "o-1"));
    let replies = [
        "rf.log.0.fence",
        "rf.log.0.o.shop.o-1",
        "rf.dlq.shop.x",
        "rf.meta.tenant.shop",
        "rf.v1.evt.shop.o-1",
        "rf.v1.evt.market.o-1",
        "rf.cmd.0.shop.o-1",
        "rf.v1.cmd.market.o-1",
        "rf.node.v1.0",
        "$JS.API.STREAM.PURGE.RF_LOG_0",
        "_R_.SnIWUW.wDabV9",
    ];
    let before = engine.states(&server).await;
    for reply in replies {
        let place = command(&ours, reply).to_json();
        shop.publish_with_reply(subjects::command(&ours), reply, place.into()).await.unwrap();
        let ask = command(&theirs, "c-1").to_json();
        market.publish_with_reply(subjects::ask(&theirs), reply, ask.into()).await.unwrap();
    }
    // Behind them, so all of them were seen.
    let last = shop.request(subjects::command(&ours), command(&ours, "last").to_json().into()).await.unwrap();
    let last: Value = serde_json::from_slice(&last.payload).unwrap();
    let asked =
        market.request(subjects::ask(&theirs), command(&theirs, "last").to_json().into()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Outcome>(&asked.payload).unwrap().code, Code::Applied);
    let after = engine.states(&server).await;
    let commands = |(stream, _): &&(String, Value)| stream == "RF_CMD";
    assert_eq!(after.iter().find(commands).unwrap().1, last["seq"], "commands, and nothing else");
    let others =
        |states: &[(String, Value)]| states.iter().filter(|s| !commands(s)).cloned().collect::<Vec<_>>();
    assert_eq!(others(&after), others(&before));
    assert!(last["seq"].as_u64().unwrap() <= replies.len() as u64 + 1, "{last}");
    assert!(engine.door.close(WITHIN).await);
}

/// Why tenants have accounts of their own: in the engine's, permissions alone do not keep a publisher from the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_account_an_acknowledgement_goes_wherever_a_publisher_says() {
    let name = "in_one_account_an_acknowledgement_goes_wherever_a_publisher_says";
    let Some(binary) = server_or_skip(name) else { return };
    let user = "{ user: shop, password: secret, permissions: { publish: \"rf.v1.cmd.shop.*\" } }\n      {";
    let accounts =
        ACCOUNTS.replacen('{', "{\n", 1).replacen("users: [\n      {", &format!("users: [\n      {user}"), 1);
    assert!(accounts.contains(user));
    let server = with_accounts(&binary, &accounts);
    let engine = Engine::start(&server).await;
    let before = engine.states(&server).await;
    let shop = Known::connect(&server, "shop").await.client;
    shop.publish_with_reply("rf.v1.cmd.shop.o-1", "rf.log.0.fence", "x".into()).await.unwrap();
    shop.flush().await.unwrap();
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let written = async {
        while engine.states(&server).await[0] == before[0] {
            again.tick().await;
        }
    };
    tokio::time::timeout(WITHIN, written)
        .await
        .expect("the server has become safer: docs/trust.md may say so");
    drop(engine);
}

/// The server's own file is one that the server takes.
#[test]
fn the_shipped_configuration_is_valid() {
    let Some(binary) = server_or_skip("the_shipped_configuration_is_valid") else { return };
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/nats/nats.conf");
    let mut command = Command::new(binary);
    command.args(["-t", "-c", file]).env("RF_SERVER_NAME", "nats-1");
    command.envs(wanted(ACCOUNTS).map(|name| (name, "secret")));
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}
