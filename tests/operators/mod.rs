//! The program as one of many: what operators do with a cluster, on a real NATS server and a real etcd.

mod broken;
mod broken_alone;
mod cluster;
mod letters;
mod lost;
mod publish;
mod roles;
mod stop;

use std::time::Duration;

use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::LogIdentity;
use retailflow_nats::{
    Connections, DoorStreams, NatsLog, NatsLogOptions, NatsOptions, ReplicaStatus, Topology, replica_status,
};

use crate::support::cli::{Call, retailflow};
use crate::support::nats::Server;

const PARTITIONS: u16 = 4;
const SHARDS: u16 = 2;
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

async fn connections(nats: &Server) -> Connections {
    let options = NatsOptions { servers: vec![nats.url()], ..NatsOptions::default() };
    Connections::open(&options).await.unwrap()
}

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Makes the streams that a node would make, and begins the log.
fn provision(nats: &Server) {
    now(async {
        let connections = connections(nats).await;
        let log = Topology { partitions: PARTITIONS, shards: SHARDS, replicas: 1 };
        let doors = DoorStreams { partitions: PARTITIONS, replicas: 1, commands_max_bytes: None };
        assert_eq!(log.provision(&connections).await.unwrap(), []);
        assert_eq!(doors.provision(&connections).await.unwrap(), []);
        let identity = LogIdentity {
            log_id: [7; 16],
            cluster: "retailflow".into(),
            partitions: PARTITIONS,
            shards: SHARDS,
            created: TimestampMs(1),
        };
        let opened = NatsLog::open(&connections, &identity, &NatsLogOptions::default()).await.unwrap();
        assert!(opened.close(CLOSES_WITHIN).await);
        connections.close(CLOSES_WITHIN).await;
    });
}

/// The stream of this name as it is.
fn stream(nats: &Server, name: &str) -> ReplicaStatus {
    now(async {
        let connections = connections(nats).await;
        let all = replica_status(&connections, SHARDS).await.unwrap();
        connections.close(CLOSES_WITHIN).await;
        all.into_iter().find(|copies| copies.stream == name).unwrap()
    })
}

/// A call at this server.
fn at(nats: &Server, words: &[&str]) -> Call {
    retailflow(words).arg("--nats").arg(nats.url())
}
