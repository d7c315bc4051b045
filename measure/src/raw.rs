//! The raw limits: the same bytes in the same groups without actors, and the index without a log.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use retailflow_disk::log::{FrameKind, FramePayload, LogOptions, LogWriter, NewLog, Opening};
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::ports::{EventLog, LogPosition, LoggedEntry};
use retailflow_index::{Cursor, Index, IndexOptions, OrderPlace, OrderUpdate};
use tokio::time::Instant;

use super::report::Measured;
use retailflow_server::app;

/// Of each group in a log: its partition, its records, its bytes.
pub struct Groups {
    groups: Vec<(u16, usize)>,
    /// Records in all of them.
    pub records: u64,
    /// Bytes of those records.
    pub record_bytes: u64,
}

impl Groups {
    /// Reads the sizes of all groups of a log that hold records.
    pub async fn of(log: &dyn EventLog) -> anyhow::Result<Self> {
        let mut all = Self { groups: Vec::new(), records: 0, record_bytes: 0 };
        let mut after = LogPosition(0);
        loop {
            let read = log.scan(after, 8 << 20).await?;
            let Some(last) = read.last() else { return Ok(all) };
            after = last.position;
            for group in &read {
                let mut bytes = group.fence.len();
                let mut records = 0;
                for entry in &group.entries {
                    let (LoggedEntry::Record(entry) | LoggedEntry::Control(entry)) = entry;
                    bytes += entry.len();
                    all.record_bytes += entry.len() as u64;
                    records += 1;
                }
                if records > 0 {
                    all.records += records;
                    all.groups.push((Fence::decode(&group.fence)?.partition.0, bytes));
                }
            }
        }
    }

    /// Those of this log that an earlier look did not have.
    pub fn since(mut self, before: &Self) -> Self {
        self.groups.drain(..before.groups.len().min(self.groups.len()));
        self.records -= before.records.min(self.records);
        self.record_bytes -= before.record_bytes.min(self.record_bytes);
        self
    }

    /// How many groups there are.
    pub fn count(&self) -> u64 {
        self.groups.len() as u64
    }
}

/// Appends groups of the same sizes to a new log, one in flight a partition, as the committers do.
pub async fn log(folder: &Path, options: LogOptions, groups: &Groups) -> anyhow::Result<Measured> {
    let new = || NewLog { log_id: [1; 16], secret: [2; 16], identity: vec![1; 64] };
    let opening = Opening::begin(app::files(), folder, options, new)?;
    let opened = opening.finish(None, &mut |_| Ok(()))?;
    let writer = Arc::new(LogWriter::start(opened.appender, 1024)?);
    let partitions = groups.groups.iter().map(|(partition, _)| *partition).max().map_or(0, |last| last + 1);
    let begun = Instant::now();
    let tasks = (0..partitions).map(|partition| {
        let sizes: Vec<usize> =
            groups.groups.iter().filter(|group| group.0 == partition).map(|group| group.1).collect();
        let writer = writer.clone();
        tokio::spawn(async move {
            let mut latency_us = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
            for bytes in sizes {
                let since = Instant::now();
                let frame = FramePayload { kind: FrameKind::Group, bytes: vec![7; bytes] };
                writer.append(vec![frame])?.await.context("the raw log gave no answer")??;
                latency_us.saturating_record(since.elapsed().as_micros() as u64);
            }
            anyhow::Ok(latency_us)
        })
    });
    let mut all = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
    for latency_us in try_join_all(tasks).await? {
        all.add(latency_us?)?;
    }
    let took = begun.elapsed();
    let mut measured =
        Measured::new("raw log: same bytes, same groups, no actors", groups.records, took, &all);
    measured.name.push_str(" (latency of a group)");
    drop(writer);
    drop(opened.lock);
    Ok(measured)
}

/// Puts as many new orders into an index as the log has records, and flushes it.
pub fn index(folder: &Path, options: IndexOptions, orders: u64) -> anyhow::Result<Measured> {
    let (index, _) = Index::open(folder, options, [1; 16])?;
    let mut latency_us = Histogram::<u64>::new_with_bounds(1, 600_000_000, 2)?;
    let begun = Instant::now();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut position = 1;
    while position <= orders {
        let updates: Vec<OrderUpdate> = (0..512.min(orders + 1 - position))
            .map(|step| {
                let mut key = [0; 16];
                rng.fill(&mut key);
                let place = OrderPlace { position: position + step, revision: 1, deadline_ms: Some(1) };
                OrderUpdate { key, place }
            })
            .collect();
        position += updates.len() as u64;
        let since = Instant::now();
        index.wait_for_room()?;
        index.apply(&updates, Cursor { position, frame_hash: [1; 32] }, None)?;
        latency_us.saturating_record(since.elapsed().as_micros() as u64);
    }
    index.flush_blocking()?;
    let measured = Measured::new("raw index in sled (latency of 512)", orders, begun.elapsed(), &latency_us);
    index.close()?;
    Ok(measured)
}
