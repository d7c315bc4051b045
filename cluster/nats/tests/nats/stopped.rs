//! A stream of commands that was stopped, deleted, made anew.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::codec::fence::IntakeFloor;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::ports::{CommandInbox, EventLog};
use retailflow_nats::{
    CommandRecovery, CommandsState, Connections, DoorStreams, EdgeConnection, FaultyStream, InboxFault,
    InboxOptions, NatsDeadLetters, NatsInbox, NatsLog, NatsOptions, RecoverError, StreamFault, StreamWatch,
    Topology, subjects,
};
use retailflow_testkit::author::{Writer, orders_in};
use serde_json::json;

use crate::doors::{Doors, Fixed, command};
use crate::nats::{Server, server_or_skip};
use crate::raw::Raw;
use crate::world::{identity, log_options, until};

const PARTITIONS: u16 = 2;

struct Three {
    servers: Vec<Server>,
    options: NatsOptions,
    connections: Connections,
    edge: EdgeConnection,
    streams: DoorStreams,
    log: Arc<NatsLog>,
    caller: async_nats::Client,
}

impl Three {
    async fn new(binary: &std::path::Path) -> Self {
        let servers = Server::cluster(binary, 3);
        let options = NatsOptions {
            servers: servers.iter().map(Server::url).collect(),
            request_timeout_ms: 2_000,
            ..NatsOptions::default()
        };
        let connections = Connections::open(&options).await.unwrap();
        let edge = EdgeConnection::open(&options, "intake").await.unwrap();
        let streams = DoorStreams { partitions: PARTITIONS, replicas: 3, commands_max_bytes: None };
        let topology = Topology { partitions: PARTITIONS, shards: 1, replicas: 3 };
        until("the streams are made", async || {
            topology.provision(&connections).await.ok()?;
            streams.provision(&connections).await.ok()
        })
        .await;
        let log = NatsLog::open(&connections, &identity(PARTITIONS, 1), &log_options()).await.unwrap();
        let caller = async_nats::connect(options.servers.clone()).await.unwrap();
        Self { servers, options, connections, edge, streams, log, caller }
    }

    async fn publish(&self, order: &OrderRef, id: &str) -> Option<u64> {
        let asked = self.caller.request(subjects::command(order), command(order, id).to_json().into());
        let answer = tokio::time::timeout(Duration::from_secs(2), asked).await.ok()?.ok()?;
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        answer["seq"].as_u64().filter(|seq| *seq > 0)
    }

    async fn placed(&self, order: &OrderRef, id: &str) -> u64 {
        until("a command is taken", async || self.publish(order, id).await).await
    }

    async fn stop(&self) {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Expected-Last-Msg-Id", "nobody's");
        let subject = "rf.v1.cmd.shop.bad".to_owned();
        self.caller.publish_with_headers(subject, headers, "x".into()).await.unwrap();
        self.caller.flush().await.unwrap();
    }

    async fn inbox(&self, partition: PartitionId) -> NatsInbox {
        until("an inbox opens", async || {
            let floors =
                self.log.head(partition).await.ok()?.fence.map(|fence| fence.intake).unwrap_or_default();
            let letters = Arc::new(NatsDeadLetters::new(&self.connections));
            let options = InboxOptions { partitions: PARTITIONS, idle_ms: 100, ..InboxOptions::default() };
            let (connections, edge) = (&self.connections, &self.edge);
            NatsInbox::resume(connections, edge, partition, &floors, letters, Arc::new(Fixed), options)
                .await
                .ok()
        })
        .await
    }

    /// Reads on until so many commands were given; over whatever does not answer.
    async fn read(&self, partition: PartitionId, count: usize) -> (NatsInbox, Vec<u64>) {
        let mut inbox = self.inbox(partition).await;
        let mut given = Vec::new();
        until("commands are given", async || {
            match inbox.read(10).await {
                Ok(some) => given.extend(some.iter().map(|delivery| delivery.position)),
                Err(InboxFault::Unavailable(_)) => {}
                Err(fault) => panic!("{fault}"),
            }
            (given.len() >= count).then_some(())
        })
        .await;
        (inbox, given)
    }

    /// As a node does that has decided all up to there.
    async fn decided(&self, inbox: &NatsInbox, partition: PartitionId, up_to: u64) {
        let head = self.log.head(partition).await.unwrap();
        let epoch = head.fence.map_or(1, |fence| fence.epoch + 1);
        let owner = Writer::open(&*self.log, partition, epoch).await;
        let mut group = owner.group(vec![], vec![]);
        group.fence.intake = vec![IntakeFloor { inbox: inbox.id(), position: up_to }];
        self.log.commit(group).await.unwrap();
    }

    async fn trouble(&self, watch: &StreamWatch, is: impl Fn(&FaultyStream) -> bool) -> FaultyStream {
        until("the trouble is named", async || watch.faulty().into_iter().find(&is)).await
    }
}

/// One message stops the stream; nobody said so, and what people did about it was decided by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_stream_of_commands_is_named_and_recovered_when_all_is_decided() {
    let Some(binary) = server_or_skip("a_stopped_stream_of_commands_is_named_and_recovered") else { return };
    let three = Three::new(&binary).await;
    let watch = StreamWatch::start(&three.connections, 1, Duration::from_millis(200), |_| {});
    let homes = [PartitionId(0), PartitionId(1)].map(|home| (home, orders_in(home, PARTITIONS, 1).remove(0)));
    for id in ["c-1", "c-2", "c-3"] {
        for (_, order) in &homes {
            three.placed(order, id).await;
        }
    }
    until("all is well", async || watch.faulty().is_empty().then_some(())).await;
    let mut before = three.inbox(PartitionId(0)).await;
    three.stop().await;
    let stopped = |trouble: &FaultyStream| trouble.fault == StreamFault::Leaderless { alone: true };
    let trouble = three.trouble(&watch, stopped).await;
    assert_eq!(trouble.stream, "RF_CMD");
    assert!(trouble.remedy().contains("recover-commands"), "{}", trouble.remedy());
    assert_eq!(three.publish(&homes[0].1, "c-4").await, None, "nothing is acknowledged any more");

    let recovery = CommandRecovery::open(&three.options, three.log.identity()).await.unwrap();
    assert_eq!(recovery.state().await, Ok(CommandsState::Stopped));
    assert_eq!(recovery.undecided().await.unwrap().len(), 2);
    let refused = recovery.replace(&three.streams).await;
    assert!(matches!(refused, Err(RecoverError::Not(_))), "{refused:?}");
    for (home, _) in &homes {
        // A copy without a leader is still read.
        let (inbox, given) = three.read(*home, 3).await;
        assert_eq!(given.len(), 3);
        three.decided(&inbox, *home, given[2]).await;
    }
    assert_eq!(recovery.undecided().await, Ok(vec![]));
    recovery.replace(&three.streams).await.unwrap();
    assert!(matches!(recovery.state().await, Ok(CommandsState::Well { last: 0 })));
    until("all is well again", async || watch.faulty().is_empty().then_some(())).await;
    // Whoever had it open is told, and opens another one; whoever opens it reads it from its beginning.
    let fault = until("the old inbox hears of it", async || match before.read(10).await {
        Ok(_) | Err(InboxFault::Unavailable(_)) => None,
        Err(fault) => Some(fault),
    })
    .await;
    assert!(matches!(fault, InboxFault::MadeAnew(_)), "{fault}");
    for (home, order) in &homes {
        let position = three.placed(order, "c-5").await;
        assert_eq!(three.read(*home, 1).await.1, [position]);
    }
    let again = recovery.replace(&three.streams).await;
    assert!(matches!(again, Err(RecoverError::Not(_))), "a stream that is led is let be: {again:?}");
    watch.close().await;
    recovery.close(Duration::from_secs(5)).await;
}

/// Servers that are away are no reason to delete anything; nor is one that nobody has asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_servers_are_away_nothing_is_recovered_and_the_reason_is_named() {
    let Some(binary) = server_or_skip("while_servers_are_away_nothing_is_recovered") else { return };
    let mut three = Three::new(&binary).await;
    let watch = StreamWatch::start(&three.connections, 1, Duration::from_millis(200), |_| {});
    until("all is well", async || watch.faulty().is_empty().then_some(())).await;
    three.servers[1].kill();
    three.servers[2].kill();
    let trouble = three.trouble(&watch, |trouble| trouble.stream == "RF_LOG_0").await;
    assert!(!trouble.remedy().contains("recover-commands"), "{trouble}: {}", trouble.remedy());
    let away = CommandRecovery::open(&three.options, three.log.identity()).await;
    assert!(matches!(away, Err(RecoverError::Away { .. })), "{:?}", away.err());
    three.servers[1].run();
    three.servers[2].run();
    until("all is well again", async || watch.faulty().is_empty().then_some(())).await;
    watch.close().await;
}

/// The repair that suggests itself, so that positions go on: it was taken for a stream that has lost its beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_made_to_begin_later_is_read_from_its_beginning() {
    let Some(binary) = server_or_skip("a_stream_that_was_made_to_begin_later") else { return };
    let doors = Doors::new(&binary, 1).await;
    let order = orders_in(PartitionId(0), 1, 1).remove(0);
    for id in ["c-1", "c-2", "c-3"] {
        doors.place(&order, id).await;
    }
    let raw = Raw::connect(&doors.server).await;
    let mut config = raw.must("STREAM.INFO.RF_CMD", &json!({})).await["config"].take();
    raw.must("STREAM.DELETE.RF_CMD", &json!({})).await;
    config["first_seq"] = json!(4);
    raw.must("STREAM.CREATE.RF_CMD", &config).await;
    for at in [4, 5] {
        assert_eq!(doors.place(&order, &format!("c-{at}")).await, at);
    }
    let mut inbox = doors.inbox(0, 0, false).await;
    let given: Vec<u64> = inbox.read(10).await.unwrap().iter().map(|given| given.position).collect();
    assert_eq!(given, [4, 5]);
    assert_eq!(inbox.read(10).await.unwrap().len(), 0);
    // What goes from there is missed as ever.
    raw.must("STREAM.PURGE.RF_CMD", &json!({ "seq": 5 })).await;
    let Err(fault) = doors.try_inbox(0, 0, doors.inbox_options(false)).await else { panic!("a gap") };
    assert!(matches!(fault, InboxFault::Gap { after: 3, .. }), "{fault}");
}
