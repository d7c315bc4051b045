//! What is counted by looking, every few seconds: the rest counts itself.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use retailflow_actors::NodeHandle;
use retailflow_cluster::disk::event_log::DiskLog;
use retailflow_cluster::disk::projection::Projection;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::metric;
use retailflow_engine::ports::{EventLog, Views};
use retailflow_engine::wire::order::{Attention, OrderStatus};
use retailflow_gateway::Counts;
use tokio_util::sync::CancellationToken;

use crate::sight::{Sight, set, set_of};

/// Classes of statuses, and their names.
const CLASSES: [(usize, &str); 4] = [(2, "2xx"), (3, "3xx"), (4, "4xx"), (5, "5xx")];
/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Looks until `end`.
pub(super) async fn run(
    sight: Sight,
    node: NodeHandle,
    log: Arc<DiskLog>,
    views: Arc<Projection>,
    edge: Arc<Counts>,
    end: CancellationToken,
) {
    loop {
        look(&node, &log, &views, &edge).await;
        sight.upkeep();
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn look(node: &NodeHandle, log: &DiskLog, views: &Projection, edge: &Counts) {
    node.show();
    let (mut orders, mut commands) = (0_u64, 0_u64);
    for partition in 0..log.identity().partitions {
        // What cannot be read now is looked at again soon.
        for parked in log.parked(PartitionId(partition)).await.unwrap_or_default() {
            orders += 1;
            commands += parked.queued;
        }
    }
    set(&metric::PARKED, orders as f64);
    set(&metric::PARKED_COMMANDS, commands as f64);
    if let Ok(counts) = views.counts(None) {
        for (status, count) in OrderStatus::ALL.iter().zip(counts.by_status) {
            set_of(&metric::ORDERS, status.as_str(), count as f64);
        }
        for (attention, count) in Attention::ALL.iter().zip(counts.by_attention) {
            set_of(&metric::ATTENTION, attention.as_str(), count as f64);
        }
    }
    set(&metric::LOG_FAILED, f64::from(u8::from(log.failed().borrow().is_some())));
    set(&metric::HTTP_CONNECTIONS, edge.connections_open() as f64);
    set(&metric::HTTP_STREAMS, edge.streams_open() as f64);
    for (class, name) in CLASSES {
        counter!(metric::HTTP_RESPONSES.name, "class" => name).absolute(edge.responses(class));
    }
    counter!(metric::HTTP_REFUSED.name).absolute(edge.connections_refused());
    counter!(metric::HTTP_PANICS.name).absolute(edge.panics());
    if let Some(bytes) = crate::bench::machine::resident_bytes() {
        set(&metric::MEMORY, bytes as f64);
    }
}
