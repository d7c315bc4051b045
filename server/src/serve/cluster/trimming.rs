//! The job that drops published commands with which all partitions have dealt: once at a time, whichever node it is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use retailflow_engine::ids::{NodeId, PartitionId};
use retailflow_engine::ports::{Clock as _, EventLog as _};
use retailflow_nats::{TrimReport, inbox_ids, trim};
use tokio_util::sync::CancellationToken;

use super::ground::Ground;
use super::options;
use crate::app::SystemClock;

/// The lock's time; the job is over long before, or has failed.
const LOCK_MAX: Duration = Duration::from_secs(60);

/// Looks until `end`.
pub(super) async fn run(ground: Arc<Ground>, node: NodeId, end: CancellationToken) {
    loop {
        let pause = options::trim_pause(&ground.config, fastrand::u64(..));
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let looked = tokio::time::timeout(LOCK_MAX, once(&ground));
        let looked = tokio::select! {
            () = end.cancelled() => return,
            looked = looked => looked,
        };
        match looked {
            Ok(Ok(Some(done))) if done.messages > 0 => {
                tracing::info!(%node, messages = done.messages, first = done.first, "commands were trimmed");
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!("commands were not trimmed: {error:#}"),
            Err(_) => tracing::warn!("commands were not trimmed in time"),
        }
    }
}

/// `None` when somebody else is at it.
async fn once(ground: &Ground) -> anyhow::Result<Option<TrimReport>> {
    let lock = ground.locks.take("trim", LOCK_MAX, SystemClock.now()).await?;
    let Some(lock) = lock else { return Ok(None) };
    let done = drop_what_is_done(ground).await;
    lock.release().await;
    done.map(Some)
}

async fn drop_what_is_done(ground: &Ground) -> anyhow::Result<TrimReport> {
    let partitions = ground.log.identity().partitions;
    let (created, inboxes) = inbox_ids(&ground.connections, partitions).await?;
    let mut floors = Vec::with_capacity(inboxes.len());
    for (partition, inbox) in (0..partitions).map(PartitionId).zip(inboxes) {
        let head = ground.log.head(partition).await;
        let head = head.with_context(|| format!("the floor of partition {partition} cannot be read"))?;
        let fence = head.fence.iter().flat_map(|fence| &fence.intake);
        floors
            .push(fence.filter(|floor| floor.inbox == inbox).map(|floor| floor.position).next().unwrap_or(0));
    }
    Ok(trim(&ground.connections, &created, partitions, &floors).await?)
}
