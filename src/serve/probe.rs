//! The engine's own probe: an order through each partition every few seconds. How long that takes, from the door to the
//! durable outcome, is the service-level indicator.
//!
//! One order a day and partition: the first command of the day places it, the others are decided against, which takes
//! the same way and leaves no second order.

use std::time::{Duration, Instant};

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
/// A probe without an outcome in this time has failed: one partition that hangs must not hide the others.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const DAY_MS: i64 = 86_400_000;
/// Names tried until one falls into the partition; the chance to need more than these is nil.
const NAMES_MAX: u32 = 100_000;

struct Series {
    partition: PartitionId,
    seconds: Histogram,
    failures: Counter,
}

/// Probes until `end`.
pub(super) async fn run(node: NodeHandle, partitions: u16, config: Probe, end: CancellationToken) {
    let series: Vec<Series> = (0..partitions)
        .map(|partition| Series {
            partition: PartitionId(partition),
            seconds: histogram!(metric::PROBE_SECONDS.name, "partition" => partition.to_string()),
            failures: counter!(metric::PROBE_FAILURES.name, "partition" => partition.to_string()),
        })
        .collect();
    let pause = Duration::from_millis(config.interval_ms) / u32::from(partitions.max(1));
    loop {
        for of in &series {
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let Some(command) = command(of.partition, partitions) else { continue };
            // Another node's are probed there.
            if !node.holds(&command.order) {
                continue;
            }
            let begun = Instant::now();
            let asked = node.probe(command, ANSWER_MAX);
            let outcome = tokio::select! {
                () = end.cancelled() => return,
                outcome = asked => outcome,
            };
            match outcome.code {
                Code::Applied | Code::OrderExists => of.seconds.record(begun.elapsed()),
                code => {
                    of.failures.increment(1);
                    tracing::warn!(partition = %of.partition, %code, "the probe was not carried out");
                }
            }
        }
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
