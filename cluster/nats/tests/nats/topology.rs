//! Streams and identities: agreed on, compared, never changed.

use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::ports::{DeadlineChange, EventLog, LogIdentity};
use retailflow_nats::{ConnectError, Connections, IdentityError, NatsLog, NatsOptions, OpenError, Topology};
use retailflow_testkit::author::{Author, Writer, orders_in};
use serde_json::json;

use crate::nats::{Server, server_or_skip};
use crate::raw::Raw;
use crate::world::{World, identity, log_options, options};

/// Many may begin a log at once: one identity comes out of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_first_begins_the_log() {
    let Some(binary) = server_or_skip("whoever_comes_first_begins_the_log") else { return };
    let server = Server::with_streams(&binary);
    let begin = || {
        let options = options(&server);
        tokio::spawn(async move {
            let connections = Connections::open(&options).await.unwrap();
            let topology = Topology { partitions: 8, shards: 3, replicas: 1 };
            assert_eq!(topology.provision(&connections).await.unwrap(), []);
            NatsLog::open(&connections, &identity(8, 3), &log_options()).await.unwrap().identity()
        })
    };
    let begun: Vec<_> = (0..6).map(|_| begin()).collect();
    let mut identities = Vec::new();
    for begun in begun {
        identities.push(begun.await.unwrap());
    }
    assert!(identities.iter().all(|identity| *identity == identities[0]), "{identities:?}");
}

/// A node that differs from what the log says of itself refuses, and says in what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_differs_refuses_to_run() {
    let Some(binary) = server_or_skip("a_node_that_differs_refuses_to_run") else { return };
    let world = World::new(&binary, 8, 2).await;
    let log = world.open().await;
    let connections = Connections::open(&options(&world.server)).await.unwrap();
    let same = LogIdentity { created: TimestampMs(9), log_id: [1; 16], ..log.identity() };
    let cases = [
        ("cluster", LogIdentity { cluster: "other".into(), ..same.clone() }),
        ("partitions", LogIdentity { partitions: 9, ..same.clone() }),
        ("shards", LogIdentity { shards: 1, ..same.clone() }),
    ];
    for (field, wanted) in cases {
        let refused = NatsLog::open(&connections, &wanted, &log_options()).await.err().expect(field);
        let OpenError::Identity(IdentityError::Differs { field: found, .. }) = refused else {
            panic!("{field}: {refused}")
        };
        assert_eq!(found, field);
    }
    let opened = NatsLog::open(&connections, &same, &log_options()).await.unwrap();
    assert_eq!(opened.identity(), log.identity(), "id and age are the log's own");
}

/// A stream that was emptied or lost is not begun anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_lost_its_identity_is_refused() {
    let Some(binary) = server_or_skip("a_stream_that_lost_its_identity_is_refused") else { return };
    let world = World::new(&binary, 8, 2).await;
    let log = world.open().await;
    let raw = Raw::connect(&world.server).await;
    let connections = Connections::open(&options(&world.server)).await.unwrap();
    raw.must("STREAM.PURGE.RF_LOG_1", &json!({})).await;
    assert_lost(&connections, &log.identity()).await;
    // Deleted and made again it looks like a new one, but the log has begun.
    raw.must("STREAM.DELETE.RF_LOG_1", &json!({})).await;
    world.topology().provision(&connections).await.unwrap();
    assert_lost(&connections, &log.identity()).await;
}

async fn assert_lost(connections: &Connections, identity: &LogIdentity) {
    let refused = NatsLog::open(connections, identity, &log_options()).await.err().unwrap();
    let OpenError::Identity(IdentityError::Missing { stream }) = refused else { panic!("{refused}") };
    assert_eq!(stream, "RF_LOG_1");
}

/// What differs from what is wanted is told, field by field, and left as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_reported_and_left_alone() {
    let Some(binary) = server_or_skip("drift_is_reported_and_left_alone") else { return };
    let world = World::new(&binary, 4, 2).await;
    let raw = Raw::connect(&world.server).await;
    let connections = Connections::open(&options(&world.server)).await.unwrap();
    raw.change("RF_LOG_0", "max_age", json!(86_400_000_000_000_u64)).await;
    raw.change("RF_LOG_1", "discard", json!("old")).await;
    raw.change("RF_LOG_1", "subjects", json!(["rf.log.1.>", "rf.log.identity.1"])).await;
    for _ in 0..2 {
        let drift = world.topology().provision(&connections).await.unwrap();
        let told: Vec<String> = drift.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "RF_LOG_0: max_age is 86400000000000, wanted 0",
                "RF_LOG_1: discard is \"old\", wanted \"new\"",
                "RF_LOG_1: subjects is [\"rf.log.1.>\",\"rf.log.identity.1\"], \
                 wanted [\"rf.log.1.>\",\"rf.log.3.>\",\"rf.log.identity.1\"]",
            ]
        );
    }
}

/// Of an order's deadlines only the newest stays in the stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn superseded_deadlines_do_not_pile_up() {
    let Some(binary) = server_or_skip("superseded_deadlines_do_not_pile_up") else { return };
    let world = World::new(&binary, 1, 1).await;
    let (log, raw) = (world.open().await, Raw::connect(&world.server).await);
    let order = orders_in(PartitionId(0), 1, 1).remove(0);
    let mut author = Author::new(&order);
    let mut owner = Writer::open(&*log, PartitionId(0), 1).await;
    for at in 0..9 {
        let record = author.write_deadline(DeadlineChange::Set(TimestampMs(at)));
        owner.append(&*log, vec![record], vec![]).await;
    }
    owner.append(&*log, vec![author.write_deadline(DeadlineChange::Clear)], vec![]).await;
    let state = raw.state("RF_LOG_0").await;
    let subjects = &state["subjects"];
    assert_eq!(subjects["rf.log.0.fence"], 10);
    let messages: Vec<(&String, &serde_json::Value)> = subjects.as_object().unwrap().iter().collect();
    let of =
        |kind: &str| messages.iter().find(|(name, _)| name.contains(kind)).map(|(_, count)| (*count).clone());
    assert_eq!((of(".o."), of(".d.")), (Some(json!(10)), Some(json!(1))));
}

/// Nobody there, and nonsense, are told apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_is_said_so() {
    let Some(binary) = server_or_skip("no_server_is_said_so") else { return };
    let mut server = Server::with_streams(&binary);
    server.kill();
    let gone = NatsOptions { connect_timeout_ms: 500, ..options(&server) };
    assert!(matches!(Connections::open(&gone).await, Err(ConnectError::Unreachable(_))));
    let nonsense = NatsOptions { servers: vec!["nats://:::".into()], ..gone };
    assert!(matches!(Connections::open(&nonsense).await, Err(ConnectError::Address { .. })));
}
