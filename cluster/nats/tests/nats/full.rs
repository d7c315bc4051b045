//! Stores that are full: said by name, and well again when there is room.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{CommitError, EventLog, Group};
use retailflow_nats::{Connections, Fill, FillLevel, NatsLog, NatsOptions, StreamWatch, Topology};
use retailflow_testkit::author::{Author, Writer, orders_in};
use serde_json::{Value, json};

use crate::nats::{Server, server_or_skip};
use crate::world::{World, identity, log_options, options, until};

const HOME: PartitionId = PartitionId(0);
const PIECE_BYTES: usize = 64 << 10;

/// Whoever else stores in the same account.
struct Other {
    client: async_nats::Client,
}

impl Other {
    async fn new(servers: &[String], replicas: u8) -> Self {
        let login = servers[0].split_once('@').is_some();
        let options = async_nats::ConnectOptions::new();
        let options = if login { options.user_and_password("u".into(), "p".into()) } else { options };
        let client = options.connect(servers.to_vec()).await.unwrap();
        let other = Self { client };
        let config = json!({
            "name": "OTHER", "subjects": ["other"], "storage": "file", "num_replicas": replicas, "discard": "new",
        });
        until("the other stream is made", async || other.ask("STREAM.CREATE.OTHER", &config).await).await;
        other
    }

    async fn ask(&self, what: &str, body: &Value) -> Option<Value> {
        let asked = self.client.request(format!("$JS.API.{what}"), body.to_string().into());
        let answer = tokio::time::timeout(Duration::from_secs(5), asked).await.ok()?.ok()?;
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        answer["error"].is_null().then_some(answer)
    }

    /// Stores until there is no room; what the server says then.
    async fn fill(&self) -> String {
        until("there is no room", async || {
            for _ in 0..20 {
                let asked = self.client.request("other", vec![b'x'; PIECE_BYTES].into());
                let answer = tokio::time::timeout(Duration::from_secs(5), asked).await.ok()?.ok()?;
                let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
                if !answer["error"].is_null() {
                    return Some(answer["error"].to_string());
                }
            }
            None
        })
        .await
    }

    async fn purge(&self) {
        until("it is purged", async || self.ask("STREAM.PURGE.OTHER", &Value::Null).await).await;
    }
}

/// What finds no room is refused by that name, for as long as there is none, and taken as soon as there is. `guarded`: records, which are
/// refused a little before the limit; else fences, which alone are tried at it, because one message is never stored in part.
async fn refused_and_taken(name: &str, servers: Vec<String>, replicas: u8, guarded: bool) {
    let options =
        NatsOptions { servers: servers.clone(), request_timeout_ms: 5_000, ..NatsOptions::default() };
    let connections = Connections::open(&options).await.unwrap();
    let topology = Topology { partitions: 1, shards: 1, replicas };
    until("the streams are made", async || topology.provision(&connections).await.ok()).await;
    let log = NatsLog::open(&connections, &identity(1, 1), &log_options()).await.unwrap();
    let told = log.clone();
    let watch =
        StreamWatch::start(&connections, 1, Duration::from_millis(100), move |why| told.refuse_for_room(why));
    let mut author = Author::new(&orders_in(HOME, 1, 1)[0]);
    let mut owner = Writer::open(&*log, HOME, 1).await;
    owner.append(&*log, vec![author.write(1)], vec![]).await;
    assert_eq!(log.write_outage(HOME), None);
    let other = Other::new(&servers, replicas).await;
    for round in 0..2 {
        println!("{name}, round {round}: {}", other.fill().await);
        if guarded {
            let why = until("the limit is seen", async || watch.no_room()).await;
            assert!(why.starts_with("the account is ") && why.contains(" % full"), "{why}");
        }
        // What is left over after the other's last piece is taken, too.
        let group = loop {
            let records = if guarded { vec![author.write(1)] } else { vec![] };
            let group: Group = owner.group(records, vec![]);
            match log.commit(group.clone()).await {
                Ok(_) => owner.acknowledged(&group),
                Err(_) => break group,
            }
        };
        let full = until("it is refused for want of room", async || refusal(&log, &group).await).await;
        println!("{name}: {full}");
        let write_outage = log.write_outage(HOME).expect("it is told");
        assert!(write_outage.is_full && write_outage.why == full, "{write_outage:?}");
        other.purge().await;
        until("it is taken", async || log.commit(group.clone()).await.ok()).await;
        owner.acknowledged(&group);
        assert_eq!(log.write_outage(HOME), None, "it heals by itself");
    }
    watch.close().await;
}

async fn refusal(log: &Arc<NatsLog>, group: &Group) -> Option<String> {
    match log.commit(group.clone()).await {
        Err(CommitError::Unavailable(why)) => Some(why),
        Err(error) => {
            println!("not yet: {error}");
            None
        }
        Ok(_) => panic!("it was taken"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_is_named_and_heals() {
    let Some(binary) = server_or_skip("a_server_without_room_is_named_and_heals") else { return };
    let server = Server::start(
        &binary,
        "max_payload: 8MB\njetstream { store_dir: \"FOLDER/js\", sync_interval: always, max_file_store: 4MB }\n",
    );
    refused_and_taken("a server", vec![server.url()], 1, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_room_is_named_and_heals() {
    let Some(binary) = server_or_skip("an_account_without_room_is_named_and_heals") else { return };
    let server = Server::start(
        &binary,
        "max_payload: 8MB\njetstream { store_dir: \"FOLDER/js\", sync_interval: always }\n\
         accounts { SHOP { jetstream { max_file: 4MB }, users: [ { user: u, password: p } ] } }\n",
    );
    let url = format!("nats://u:p@{}", server.address());
    refused_and_taken("an account", vec![url.clone()], 1, true).await;
    // Before it is full it is told.
    let options = NatsOptions { servers: vec![url.clone()], ..NatsOptions::default() };
    let connections = Connections::open(&options).await.unwrap();
    let watch = StreamWatch::start(&connections, 1, Duration::from_millis(100), |_| {});
    Other::new(&[url], 1).await.fill().await;
    let nearly_full = |fill: &Fill| fill.of == "the account" && fill.level() >= FillLevel::NearlyFull;
    until("it is told", async || watch.filling().into_iter().find(nearly_full)).await;
    watch.close().await;
}

/// Where copies are kept the account's limit is the one to run into: at the server's own, NATS gives up all leaders (ADR 35).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_room_on_three_servers_is_named_and_heals() {
    let Some(binary) = server_or_skip("an_account_without_room_on_three_servers") else { return };
    let servers = Server::cluster_with(
        &binary,
        3,
        "accounts { SHOP { jetstream { max_file: 12MB }, users: [ { user: u, password: p } ] } }",
    );
    let urls = servers.iter().map(|server| format!("nats://u:p@{}", server.address())).collect();
    refused_and_taken("an account on three servers", urls, 3, true).await;
}

/// Before a server's store reaches its limit nothing but fences is written, so that its leaders stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_refused_by_name_while_a_servers_store_is_all_but_full() {
    let name = "records_are_refused_by_name_while_a_servers_store_is_all_but_full";
    let Some(binary) = server_or_skip(name) else { return };
    let world = World::new(&binary, 1, 1).await;
    let log = world.open().await;
    let connections = Connections::open(&options(&world.server)).await.unwrap();
    let told = log.clone();
    let watch =
        StreamWatch::start(&connections, 1, Duration::from_millis(100), move |why| told.refuse_for_room(why));
    let mut author = Author::new(&orders_in(HOME, 1, 1)[0]);
    let mut owner = Writer::open(&*log, HOME, 1).await;
    let fill = |used_bytes| Fill { of: "the store of server n1".into(), used_bytes, max_bytes: 100 };
    watch.servers(vec![fill(96)]);
    assert_eq!(watch.no_room(), None);
    watch.servers(vec![fill(50), fill(97)]);
    let why = watch.no_room().expect("there is no room");
    assert!(why.contains("server n1 is 97 % full"), "{why}");
    let group = owner.group(vec![author.write(1)], vec![]);
    assert_eq!(log.commit(group.clone()).await, Err(CommitError::Unavailable(why)));
    assert!(log.write_outage(HOME).is_some_and(|write_outage| write_outage.is_full));
    watch.servers(vec![fill(90)]);
    log.commit(group.clone()).await.unwrap();
    owner.acknowledged(&group);
    watch.servers(vec![fill(100)]);
    owner.append(&*log, vec![], vec![]).await;
    watch.close().await;
}

/// What the limits above are kept away from, as NATS 2.15.1 does it: one publish that finds no room, and no stream has a leader any more,
/// room or not, until the servers are started again with a higher limit. Should a later NATS do better, this test says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_at_its_limit_gives_up_all_leaders_and_a_restart_with_a_higher_one_brings_them_back() {
    let Some(binary) = server_or_skip("a_server_at_its_limit_gives_up_all_leaders") else { return };
    let mut servers = Server::cluster(&binary, 3);
    let mut restarted = |from: &str, to: &str| {
        servers.iter_mut().for_each(Server::kill);
        servers.iter_mut().for_each(|server| server.change(from, to));
        servers.iter_mut().for_each(Server::run);
        servers.iter().map(Server::url).collect::<Vec<_>>()
    };
    let urls = restarted("sync_interval: always }", "sync_interval: always, max_file_store: 4MB }");
    let options = NatsOptions { servers: urls.clone(), request_timeout_ms: 2_000, ..NatsOptions::default() };
    let connections = Connections::open(&options).await.unwrap();
    let topology = Topology { partitions: 1, shards: 1, replicas: 3 };
    until("the streams are made", async || topology.provision(&connections).await.ok()).await;
    let watch = StreamWatch::start(&connections, 1, Duration::from_millis(200), |_| {});
    let log_of =
        |watch: &StreamWatch| watch.faulty().into_iter().find(|trouble| trouble.stream == "RF_LOG_0");
    until("the log is well", async || log_of(&watch).is_none().then_some(())).await;
    let said = Other::new(&urls, 3).await.fill().await;
    assert!(said.contains("10023"), "{said}");
    // Whichever stream a message comes to next loses its leader.
    let log = NatsLog::open(&connections, &identity(1, 1), &log_options()).await;
    println!("opened: {}", log.is_ok());
    let trouble = until("it is named", async || log_of(&watch)).await;
    assert!(trouble.remedy().contains("max_file_store"), "{trouble}: {}", trouble.remedy());
    restarted("max_file_store: 4MB", "max_file_store: 400MB");
    until("the log is well again", async || log_of(&watch).is_none().then_some(())).await;
    let log = until("the log opens", async || {
        NatsLog::open(&connections, &identity(1, 1), &log_options()).await.ok()
    })
    .await;
    let mut owner = Writer::open(&*log, HOME, 1).await;
    owner.append(&*log, vec![Author::new(&orders_in(HOME, 1, 1)[0]).write(1)], vec![]).await;
    watch.close().await;
}
