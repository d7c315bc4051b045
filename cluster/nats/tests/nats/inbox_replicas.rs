//! Intake where three servers keep the commands, and the one that leads goes away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{Body, CommandInbox};
use retailflow_engine::wire::decode_command;
use retailflow_nats::{
    Connections, DoorStreams, EdgeConnection, InboxFault, InboxOptions, NatsDeadLetters, NatsInbox,
    NatsOptions, subjects,
};
use retailflow_testkit::author::order;
use serde_json::{Value, json};

use crate::doors::{Fixed, command};
use crate::nats::{Server, server_or_skip};

const BOUND: Duration = Duration::from_secs(60);

async fn open(connections: &Connections, edge: &EdgeConnection, floor: u64) -> NatsInbox {
    let begun = Instant::now();
    loop {
        let letters = Arc::new(NatsDeadLetters::new(connections));
        let options = InboxOptions { partitions: 1, ..InboxOptions::default() };
        let home = PartitionId(0);
        match NatsInbox::open(connections, edge, home, floor, letters, Arc::new(Fixed), options).await {
            Ok(inbox) => return inbox,
            Err(InboxFault::Unavailable(why)) => assert!(begun.elapsed() < BOUND, "{why}"),
            Err(fault) => panic!("{fault}"),
        }
    }
}

/// Commands come in order and all of them, over step-downs and a server that is killed; the inbox stays the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_come_in_order_over_changes_of_leaders() {
    let Some(binary) = server_or_skip("commands_come_in_order_over_changes_of_leaders") else { return };
    let mut servers = Server::cluster(&binary, 3);
    let options = NatsOptions {
        servers: servers.iter().map(Server::url).collect(),
        request_timeout_ms: 2_000,
        ..NatsOptions::default()
    };
    let connections = Connections::open(&options).await.unwrap();
    let edge = EdgeConnection::open(&options, "intake").await.unwrap();
    let streams = DoorStreams { partitions: 1, replicas: 3, commands_max_bytes: None };
    let begun = Instant::now();
    loop {
        match streams.provision(&connections).await {
            Ok(drift) => break assert_eq!(drift, []),
            Err(error) => assert!(begun.elapsed() < BOUND, "{error}"),
        }
    }
    let caller = async_nats::connect(options.servers.clone()).await.unwrap();
    let mut inbox = open(&connections, &edge, 0).await;
    let id = inbox.id();
    let reading = tokio::spawn(async move {
        let (mut read, mut last) = (Vec::<String>::new(), 0);
        while read.last().is_none_or(|id| id != "end") {
            match inbox.read(50).await {
                Ok(given) => {
                    for delivery in given {
                        assert!(delivery.position > last);
                        last = delivery.position;
                        let Body::Bytes(bytes) = delivery.body else { panic!("too long") };
                        let id = decode_command(&bytes).unwrap().key.id.to_string();
                        // Published again where its acknowledgement was lost, it stands there twice.
                        if read.last() != Some(&id) {
                            read.push(id);
                        }
                    }
                }
                Err(InboxFault::Unavailable(_)) => tokio::task::yield_now().await,
                Err(fault) => panic!("{fault}"),
            }
        }
        read
    });
    let (order, mut wanted) = (order("shop", "o-1"), Vec::new());
    let subject = subjects::command(&order);
    for number in 0..=120 {
        let id = if number == 120 { "end".to_owned() } else { format!("c-{number}") };
        let body = command(&order, &id).to_json();
        let begun = Instant::now();
        loop {
            let asked = caller.request(subject.clone(), body.clone().into());
            if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(2), asked).await {
                let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
                if answer["error"].is_null() {
                    break;
                }
            }
            assert!(begun.elapsed() < BOUND, "{id} is not taken");
        }
        wanted.push(id);
        match number {
            30 | 60 => {
                let what = format!("$JS.API.STREAM.LEADER.STEPDOWN.{}", subjects::COMMANDS);
                drop(caller.request(what, json!({}).to_string().into()).await);
            }
            90 => servers[number % 3].kill(),
            _ => {}
        }
    }
    assert_eq!(tokio::time::timeout(BOUND, reading).await.unwrap().unwrap(), wanted);
    assert_eq!(open(&connections, &edge, 0).await.id(), id, "the same inbox, whoever leads");
}
