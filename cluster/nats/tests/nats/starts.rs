//! Many nodes that start at once on servers that hold nothing yet.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use retailflow_engine::ids::{TenantId, TimestampMs};
use retailflow_engine::ports::{DeadLetter, DeadLetters, EventLog, StoreError, TenantSetting, Tenants};
use retailflow_nats::{
    ApiFailure, Connections, DoorStreams, IdentityError, NatsDeadLetters, NatsLog, NatsOptions, NatsTenants,
    OpenError, SecretError, TenantsOptions, Topology, fits_log, token_secret,
};

use crate::nats::{Server, server_or_skip};
use crate::world::{identity, log_options};

const NODES: usize = 8;
const BOUND: Duration = Duration::from_secs(60);

fn letter() -> DeadLetter {
    DeadLetter {
        key: [7; 16],
        tenant: Some("shop".into()),
        origin: "a test".into(),
        code: "malformed".into(),
        reason: "it is none".into(),
        body: b"{}".to_vec(),
        length_bytes: 2,
        at: TimestampMs(1),
    }
}

async fn done<T, E: std::fmt::Display>(
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    may_pass: impl Fn(&E) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(begun.elapsed() < BOUND && may_pass(&error), "{error}"),
        }
    }
}

/// What one node makes, or finds, when it starts.
async fn start(servers: Vec<String>, replicas: u8) -> ([u8; 16], Vec<u8>) {
    let options = NatsOptions { servers, request_timeout_ms: 5_000, ..NatsOptions::default() };
    let connections = Connections::open(&options).await.unwrap();
    let topology = Topology { partitions: 4, shards: 2, replicas };
    let doors = DoorStreams { partitions: 4, replicas, commands_max_bytes: None };
    let begun = Instant::now();
    loop {
        // Servers that have just come up have no leader yet.
        let made = async {
            topology.provision(&connections).await?;
            doors.provision(&connections).await?;
            Ok::<_, retailflow_nats::TopologyError>(())
        };
        match made.await {
            Ok(()) => break,
            Err(error) => assert!(begun.elapsed() < BOUND && error.may_pass(), "{error}"),
        }
    }
    // Nothing but silence is waited out: whoever was faster is found out.
    let wanted = identity(4, 2);
    done(async || fits_log(&connections, &wanted).await, IdentityError::may_pass).await;
    let log =
        done(async || NatsLog::open(&connections, &wanted, &log_options()).await, OpenError::may_pass).await;
    let secret = done(async || token_secret(&connections).await, SecretError::may_pass).await;
    let options = TenantsOptions::default();
    let tenants = done(async || NatsTenants::open(&connections, &options).await, ApiFailure::may_pass).await;
    let tenant = TenantId::parse("shop").unwrap();
    // Once in a while the server does not answer in time; what it says is final.
    let silent = |error: &StoreError| !error.to_string().contains("10164");
    let setting = TenantSetting::new(tenant);
    done(async || tenants.put(setting.clone()).await, silent).await;
    let letters = NatsDeadLetters::new(&connections);
    done(async || letters.put(letter()).await, silent).await;
    (log.identity().log_id, secret.to_vec())
}

async fn all_at_once(servers: Vec<String>, replicas: u8) {
    let nodes = (0..NODES).map(|_| start(servers.clone(), replicas));
    let all: BTreeSet<_> = join_all(nodes).await.into_iter().collect();
    assert_eq!(all.len(), 1, "all have the same log and the same secret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_an_empty_server_make_one_log() {
    let Some(binary) = server_or_skip("nodes_that_start_at_once_on_an_empty_server") else { return };
    for _ in 0..3 {
        let server = Server::with_streams(&binary);
        all_at_once(vec![server.url()], 1).await;
    }
}

/// On copies, another one's message that is on its way is said as 10164, not as 10071.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_empty_servers_make_one_log() {
    let Some(binary) = server_or_skip("nodes_that_start_at_once_on_empty_servers") else { return };
    for _ in 0..2 {
        let servers = Server::cluster(&binary, 3);
        all_at_once(servers.iter().map(Server::url).collect(), 3).await;
    }
}

/// It waited for streams whose subjects can never be had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_of_other_shards_is_refused_by_name() {
    let Some(binary) = server_or_skip("a_configuration_of_other_shards_is_refused_by_name") else { return };
    let server = Server::with_streams(&binary);
    start(vec![server.url()], 1).await;
    let options = NatsOptions { servers: vec![server.url()], ..NatsOptions::default() };
    let connections = Connections::open(&options).await.unwrap();
    for (partitions, shards, named) in [
        (4, 3, "set cluster.shards = 2"),
        (4, 1, "set cluster.shards = 2"),
        (8, 2, "set cluster.partitions = 4"),
    ] {
        let refused = fits_log(&connections, &identity(partitions, shards)).await.unwrap_err().to_string();
        assert!(refused.contains(named), "{refused}");
    }
    let error = Topology { partitions: 4, shards: 3, replicas: 1 }.provision(&connections).await.unwrap_err();
    assert!(!error.may_pass(), "{error}");
}
