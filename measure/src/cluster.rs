//! Load on a node whose log is on NATS, and what the same servers can do without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::raw_limit::{RawGroup, raw_batches};
use anyhow::Context as _;
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use retailflow_actors::{Intake, NodeHandle};
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{EventLog, LogPosition, LoggedEntry};
use retailflow_engine::wire::{CommandEvent, Status, decode_command};
use retailflow_nats::{
    AskClient, CommandPublisher, InboxOptions, NatsInbox, PublishOutcome, PublisherOptions, Topology,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::load::command_json;
use super::report::Measured;
use retailflow_server::app::SystemClock;
use retailflow_server::serve::cluster::cluster_deps::ClusterDeps;

/// For one outcome.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Connections that callers share.
const CONNECTIONS: usize = 4;

fn command(number: u64) -> anyhow::Result<CommandEvent> {
    Ok(decode_command(command_json(number, number).as_bytes())?)
}

/// Asks for `orders` new orders through the ask door, so many at a time.
pub async fn ask(
    deps: &ClusterDeps,
    name: &str,
    in_flight: u64,
    from: u64,
    orders: u64,
) -> anyhow::Result<Measured> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let edge = deps.direct("bench").await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        clients.push(AskClient::new(edge));
    }
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let callers = (0..in_flight.min(orders)).map(|caller| {
        let (client, next) = (clients[caller as usize % CONNECTIONS].clone(), next.clone());
        tokio::spawn(async move {
            let mut latency_us = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= orders {
                    return anyhow::Ok(latency_us);
                }
                let command = command(from + number)?;
                let asked = Instant::now();
                loop {
                    let outcome = client.ask(&command, ANSWER_MAX).await?;
                    if !outcome.code.retry_helps() {
                        anyhow::ensure!(outcome.status == Status::Applied, "not applied: {outcome:?}");
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(outcome.retry_after_ms.unwrap_or(1))).await;
                }
                latency_us.saturating_record(asked.elapsed().as_micros() as u64);
            }
        })
    });
    let mut all = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
    for latency_us in try_join_all(callers).await? {
        all.add(latency_us?)?;
    }
    Ok(Measured::new(name, orders, begun.elapsed(), &all))
}

/// Publishes `orders` new orders, and waits until all are acknowledged.
pub async fn publish(deps: &ClusterDeps, name: &str, from: u64, orders: u64) -> anyhow::Result<Measured> {
    let edge = deps.direct("bench").await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let publisher = Arc::new(CommandPublisher::new(&edge, &PublisherOptions::default()));
    let begun = Instant::now();
    let mut waiting = JoinSet::new();
    let mut latency_us = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
    let take = |sent: (PublishOutcome, u64), latency_us: &mut Histogram<u64>| {
        anyhow::ensure!(matches!(sent.0, PublishOutcome::Stored { .. }), "not taken: {:?}", sent.0);
        latency_us.saturating_record(sent.1);
        Ok(())
    };
    for number in 0..orders {
        let command = command(from + number)?;
        let since = Instant::now();
        let receipt = publisher.publish((&command).into()).await;
        waiting.spawn(async move { (receipt.sent().await, since.elapsed().as_micros() as u64) });
        while waiting.len() > 1_024
            && let Some(sent) = waiting.join_next().await
        {
            take(sent?, &mut latency_us)?;
        }
    }
    while let Some(sent) = waiting.join_next().await {
        take(sent?, &mut latency_us)?;
    }
    let measured = Measured::new(name, orders, begun.elapsed(), &latency_us);
    publisher.close(ANSWER_MAX).await;
    Ok(measured)
}

/// Reads what is published into a node; counts what was decided.
pub struct Reading {
    tasks: JoinSet<()>,
    /// How many are decided.
    pub decided: watch::Receiver<u64>,
}

impl Reading {
    /// Begins, for all partitions.
    pub async fn begin(deps: &Arc<ClusterDeps>, node: &NodeHandle) -> anyhow::Result<Self> {
        let (counter, decided) = watch::channel(0);
        let edge = deps.edge("intake").await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let partitions = deps.log.identity().partitions;
        let mut tasks = JoinSet::new();
        for partition in (0..partitions).map(PartitionId) {
            let options = InboxOptions { partitions, ..InboxOptions::default() };
            let (letters, clock) = (deps.letters.clone(), Arc::new(SystemClock));
            let floors = deps.log.head(partition).await?.fence.map(|fence| fence.intake).unwrap_or_default();
            let mut inbox =
                NatsInbox::resume(&deps.connections, &edge, partition, &floors, letters, clock, options)
                    .await?;
            let (node, counter) = (node.clone(), counter.clone());
            tasks.spawn(async move {
                let (_stop, never) = watch::channel(false);
                let intake = Intake::of_partition(&node, &inbox, "bench", partition, Duration::from_secs(1));
                let count = |_| counter.send_modify(|count| *count += 1);
                drop(intake.run(&mut inbox, never, count).await);
            });
        }
        Ok(Self { tasks, decided })
    }

    /// Waits until so many were decided.
    pub async fn reached(&mut self, count: u64) -> anyhow::Result<()> {
        tokio::time::timeout(Duration::from_secs(600), self.decided.wait_for(|decided| *decided >= count))
            .await
            .context("published commands are not decided")??;
        Ok(())
    }

    /// Ends it; what is open is not lost.
    pub async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

/// How many groups each partition has.
pub async fn heads(log: &dyn EventLog) -> anyhow::Result<BTreeMap<PartitionId, u64>> {
    let mut heads = BTreeMap::new();
    for partition in (0..log.identity().partitions).map(PartitionId) {
        let fence = log.head(partition).await?.fence;
        heads.insert(partition, fence.map_or(0, |fence| fence.group));
    }
    Ok(heads)
}

/// The groups of a log that hold records and came after `heads`, with their sizes.
pub async fn groups(log: &dyn EventLog, heads: &BTreeMap<PartitionId, u64>) -> anyhow::Result<Vec<RawGroup>> {
    let (mut all, mut after) = (Vec::new(), LogPosition(0));
    loop {
        let read = log.scan(after, 8 << 20).await?;
        let Some(last) = read.last() else { return Ok(all) };
        after = last.position;
        for group in &read {
            let entry = |entry: &LoggedEntry| match entry {
                LoggedEntry::Record(bytes) | LoggedEntry::Control(bytes) => bytes.len(),
            };
            let fence = Fence::decode(&group.fence)?;
            if !group.entries.is_empty() && heads.get(&fence.partition).is_none_or(|head| fence.group > *head)
            {
                let sizes = std::iter::once(group.fence.len()).chain(group.entries.iter().map(entry));
                all.push((fence.partition.0, sizes.collect()));
            }
        }
    }
}

/// The same groups without an engine; with `deadlines`, as many messages as the log makes of them: one more a record.
pub async fn raw(
    deps: &ClusterDeps,
    name: &str,
    groups: &[RawGroup],
    deadlines: bool,
) -> anyhow::Result<Measured> {
    const DEADLINE_BYTES: usize = 24;
    let config = &deps.config;
    let (partitions, shards, replicas) =
        (config.cluster.partitions, config.cluster.shards, config.nats.replicas);
    let sized = |(partition, sizes): &RawGroup| {
        let more = if deadlines { sizes.len() - 1 } else { 0 };
        let sizes = sizes.iter().copied().chain(std::iter::repeat_n(DEADLINE_BYTES, more));
        (*partition, sizes.collect())
    };
    let sized: Vec<RawGroup> = groups.iter().map(sized).collect();
    let topology = Topology { partitions, shards, replicas };
    let raw = raw_batches(&deps.connections, &topology, &sized).await?;
    let mut latency_us = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
    raw.latencies_us.iter().for_each(|us| latency_us.saturating_record(*us));
    let records = groups.iter().map(|group| group.1.len() as u64 - 1).sum();
    Ok(Measured::new(name, records, raw.took, &latency_us))
}
