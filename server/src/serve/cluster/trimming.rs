//! The job that drops published commands with which all partitions have dealt: once at a time, whichever node it is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use retailflow_engine::ids::{NodeId, PartitionId};
use retailflow_engine::ports::{Clock as _, EventLog as _};
use retailflow_nats::{TrimReport, inbox_ids, trim};
use tokio_util::sync::CancellationToken;

use super::cluster_deps::ClusterDeps;
use super::options;
use crate::app::SystemClock;

/// The lock's time; the job is over long before, or has failed.
const LOCK_MAX: Duration = Duration::from_secs(60);

/// Looks until `end`.
pub(super) async fn run(deps: Arc<ClusterDeps>, node: NodeId, end: CancellationToken) {
    loop {
        let pause = options::trim_pause(&deps.config, fastrand::u64(..));
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let looked = tokio::time::timeout(LOCK_MAX, once(&deps));
        let looked = tokio::select! {
            () = end.cancelled() => return,
            looked = looked => looked,
        };
        match looked {
            Ok(Ok(Some(done))) if done.messages > 0 => {
                tracing::info!(%node, messages = done.messages, first = done.first, "commands were trimmed");
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(event = "commands_not_trimmed", "commands were not trimmed: {error:#}")
            }
            Err(_) => tracing::warn!(event = "commands_not_trimmed", "commands were not trimmed in time"),
        }
    }
}

/// `None` when somebody else is at it.
async fn once(deps: &ClusterDeps) -> anyhow::Result<Option<TrimReport>> {
    let lock = deps.locks.take("trim", LOCK_MAX, SystemClock.now()).await?;
    let Some(lock) = lock else { return Ok(None) };
    let done = drop_what_is_done(deps).await;
    lock.release().await;
    done.map(Some)
}

async fn drop_what_is_done(deps: &ClusterDeps) -> anyhow::Result<TrimReport> {
    let partitions = deps.log.identity().partitions;
    let (created, inboxes) = inbox_ids(&deps.connections, partitions).await?;
    let mut floors = Vec::with_capacity(inboxes.len());
    for (partition, inbox) in (0..partitions).map(PartitionId).zip(inboxes) {
        let head = deps.log.head(partition).await;
        let head = head.with_context(|| format!("the floor of partition {partition} cannot be read"))?;
        let fence = head.fence.iter().flat_map(|fence| &fence.intake);
        floors
            .push(fence.filter(|floor| floor.inbox == inbox).map(|floor| floor.position).next().unwrap_or(0));
    }
    Ok(trim(&deps.connections, &created, partitions, &floors).await?)
}
