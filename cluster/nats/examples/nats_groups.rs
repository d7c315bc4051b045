//! How many records a second the log on JetStream takes, in groups of several sizes, beside raw batches of the same shape.
//!
//! `cargo run --release -p retailflow-nats --example nats_groups`: on a server of its own, one replica, each write
//! synced. It prints, and judges nothing.

#[path = "../../../tests/support/nats.rs"]
mod nats;
#[path = "../../../tests/support/poll.rs"]
mod poll;
#[path = "../../../tests/support/ports.rs"]
mod ports;
#[path = "../../../tests/support/skipped.rs"]
mod skipped;

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::ports::{DeadlineChange, LogIdentity, OrderEntry};
use retailflow_nats::{Connections, NatsLog, NatsLogOptions, NatsOptions, Topology};
use retailflow_testkit::author::{Author, Writer, orders_in};

const RUNS_FOR: Duration = Duration::from_secs(3);
const HOME: PartitionId = PartitionId(0);

#[tokio::main]
async fn main() {
    let Some(binary) = nats::server_or_skip("nats_groups") else { return };
    println!(
        "A group of 0 records is a lone fence, and counted as one.\nrecords in a group | deadlines | partitions / streams | records/s | ms a group (p50, p99)"
    );
    for (size, deadlines) in [(0, false), (1, false), (100, false), (400, false), (400, true)] {
        for (partitions, shards) in [(1, 1), (4, 1), (4, 4)] {
            let (took, records) = engine(&binary, size, deadlines, partitions, shards).await;
            let deadlines = if deadlines { "set" } else { "kept" };
            tell(&size.to_string(), deadlines, (partitions, shards), &took, records);
        }
    }
    for size in [1, 100, 400] {
        let (took, records) = raw(&binary, size).await;
        tell(&format!("{size} (raw)"), "none", (1, 1), &took, records);
    }
}

fn tell(size: &str, deadlines: &str, (partitions, shards): (u16, u16), took: &[Duration], records: usize) {
    let mut took = took.to_vec();
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    let second = records as f64 / RUNS_FOR.as_secs_f64();
    println!(
        "{size:>10} | {deadlines} | {partitions} / {shards} | {second:.0} | {:.1}, {:.1}",
        at(50),
        at(99)
    );
}

async fn engine(
    binary: &std::path::Path,
    size: usize,
    deadlines: bool,
    partitions: u16,
    shards: u16,
) -> (Vec<Duration>, usize) {
    let server = nats::Server::with_streams(binary);
    let options = NatsOptions { servers: vec![server.url()], ..NatsOptions::default() };
    let connections = Connections::open(&options).await.unwrap();
    Topology { partitions, shards, replicas: 1 }.provision(&connections).await.unwrap();
    let identity = LogIdentity {
        log_id: [1; 16],
        cluster: "measure".into(),
        partitions,
        shards,
        created: TimestampMs(1),
    };
    let log = NatsLog::open(&connections, &identity, &NatsLogOptions::default()).await.unwrap();
    let writers = (0..partitions).map(|partition| {
        let log = log.clone();
        tokio::spawn(async move {
            let partition = PartitionId(partition);
            let mut authors: Vec<Author> =
                orders_in(partition, partitions, size).iter().map(Author::new).collect();
            let mut owner = Writer::open(&*log, partition, 1).await;
            let change = if deadlines { DeadlineChange::Set(TimestampMs(1)) } else { DeadlineChange::Keep };
            let (mut took, mut records, mut spent) = (Vec::new(), 0, Duration::ZERO);
            while spent < RUNS_FOR {
                // Deciding and encoding is not what is measured.
                let group: Vec<OrderEntry> =
                    authors.iter_mut().map(|author| author.write_deadline(change)).collect();
                records += group.len().max(1);
                let begun = Instant::now();
                owner.append(&*log, group, vec![]).await;
                took.push(begun.elapsed());
                spent += begun.elapsed();
            }
            (took, records)
        })
    });
    let writers: Vec<_> = writers.collect();
    let (mut took, mut records) = (Vec::new(), 0);
    for writer in writers {
        let (times, count) = writer.await.unwrap();
        took.extend(times);
        records += count;
    }
    log.close(Duration::from_secs(5)).await;
    (took, records)
}

/// Batches of a fence and records of 300 bytes, each with its condition, and nothing else.
async fn raw(binary: &std::path::Path, size: usize) -> (Vec<Duration>, usize) {
    let server = nats::Server::with_streams(binary);
    let options = NatsOptions { servers: vec![server.url()], ..NatsOptions::default() };
    let connections = Connections::open(&options).await.unwrap();
    Topology { partitions: 1, shards: 1, replicas: 1 }.provision(&connections).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let subjects: Vec<String> = std::iter::once("rf.log.0.fence".to_owned())
        .chain(
            orders_in(HOME, 1, size)
                .iter()
                .map(|order| format!("rf.log.0.o.{}.{}", order.tenant, order.order)),
        )
        .collect();
    let mut last = vec![0; subjects.len()];
    let (mut took, mut records, mut spent) = (Vec::new(), 0, Duration::ZERO);
    for batch in 0.. {
        if spent >= RUNS_FOR {
            break;
        }
        let begun = Instant::now();
        let mut answer = None;
        for (number, subject) in subjects.iter().enumerate() {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("b{batch}"));
            headers.insert("Nats-Batch-Sequence", (number + 1).to_string());
            headers.insert("Nats-Expected-Last-Subject-Sequence", last[number].to_string());
            if number + 1 == subjects.len() {
                headers.insert("Nats-Batch-Commit", "1");
                answer =
                    Some(client.request_with_headers(subject.clone(), headers, vec![7; 300].into()).await);
            } else {
                client.publish_with_headers(subject.clone(), headers, vec![7; 300].into()).await.unwrap();
            }
        }
        let answer: serde_json::Value = serde_json::from_slice(&answer.unwrap().unwrap().payload).unwrap();
        let end = answer["seq"].as_u64().unwrap_or_else(|| panic!("{answer}"));
        for (number, last) in last.iter_mut().enumerate() {
            *last = end + 1 + number as u64 - subjects.len() as u64;
        }
        took.push(begun.elapsed());
        spent += begun.elapsed();
        records += size;
    }
    (took, records)
}
