//! The engine's own probe: an order through each partition every few seconds. How long that takes, from the door to the
//! durable outcome, is the service-level indicator; and what is silent shows while nobody asks.
//!
//! Nothing of it is recorded, and no tenant's series counts it: it is decided, and the log is asked to write what leaves nothing.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use metrics::{Counter, Histogram, counter, histogram};
use retailflow_actors::NodeHandle;
use retailflow_config::Probe;
use retailflow_engine::ids::{
    CommandId, CommandKey, OrderId, OrderRef, PROBE_TENANT, PartitionId, Source, TenantId,
};
use retailflow_engine::keys::partition_of;
use retailflow_engine::metric;
use retailflow_engine::ports::Clock;
use retailflow_engine::wire::{Code, CommandData, CommandEvent, CommandType, decode_data};
use tokio_util::sync::CancellationToken;

use crate::app::SystemClock;

const SOURCE: &str = "/retailflow/probe";
/// Free of charge, so that nobody's payment is asked for.
const ORDER: &str = r#"{"customer":"probe","currency":"USD","lines":[{"line_id":"1","sku":"probe","quantity":1,"amount_minor":0}]}"#;
/// A probe without an outcome in this time has failed.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const DAY_MS: i64 = 86_400_000;
/// Names tried until one falls into the partition; the chance to need more than these is nil.
const NAMES_MAX: u32 = 100_000;

struct Series {
    partition: PartitionId,
    seconds: Histogram,
    failures: Counter,
    is_failing: bool,
}

impl Series {
    fn of(partition: u16) -> Self {
        Self {
            partition: PartitionId(partition),
            seconds: histogram!(metric::PROBE_SECONDS.name, "partition" => partition.to_string()),
            failures: counter!(metric::PROBE_FAILURES.name, "partition" => partition.to_string()),
            is_failing: false,
        }
    }

    async fn probe(&mut self, node: &NodeHandle, partitions: u16) {
        let Some(command) = command(self.partition, partitions) else { return };
        // Another node's are probed there.
        if !node.accepts(&command.order) {
            return;
        }
        let begun = Instant::now();
        match node.probe(command, ANSWER_MAX).await.code {
            Code::Applied => {
                self.seconds.record(begun.elapsed());
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!(event = "probe_carried_out", partition = %self.partition, "the probe is carried out again");
                }
            }
            code => {
                self.failures.increment(1);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(event = "probe_failed", partition = %self.partition, %code, "the probe was not carried out");
                }
            }
        }
    }
}

/// Probes until `end`: each partition by itself, so that one that hangs keeps none of the others from being seen.
pub(super) async fn run(node: NodeHandle, partitions: u16, config: Probe, end: CancellationToken) {
    let every = Duration::from_millis(config.interval_ms);
    let probes = (0..partitions).map(async |partition| {
        let mut series = Series::of(partition);
        // Not all at once.
        let mut next = every * u32::from(partition) / u32::from(partitions.max(1));
        loop {
            tokio::time::sleep(next).await;
            series.probe(&node, partitions).await;
            next = every;
        }
    });
    let probes = join_all(probes.collect::<Vec<_>>());
    tokio::select! {
        () = end.cancelled() => {}
        _ = probes => {}
    }
}

fn command(partition: PartitionId, partitions: u16) -> Option<CommandEvent> {
    let now = SystemClock.now().0;
    let tenant = TenantId::parse(PROBE_TENANT).ok()?;
    let name = |number: u32| {
        let order = OrderId::parse(&format!("{}-{}-{number}", now / DAY_MS, partition.0)).ok()?;
        Some(OrderRef { tenant: tenant.clone(), order })
    };
    let order = (0..NAMES_MAX).filter_map(name).find(|order| partition_of(order, partitions) == partition)?;
    let key = CommandKey {
        source: Source::parse(SOURCE).ok()?,
        id: CommandId::parse(&format!("probe-{now}")).ok()?,
    };
    let data: CommandData = decode_data(CommandType::Place, ORDER.as_bytes()).ok()?;
    Some(CommandEvent::new(order, key, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_order_for_each_partition() {
        for partition in 0..128 {
            let command = command(PartitionId(partition), 128).unwrap();
            assert_eq!(partition_of(&command.order, 128), PartitionId(partition));
        }
    }
}
