//! An order's state for readers: a snapshot that the log agrees with, and what came after it.

use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::chain_hash;
use retailflow_engine::order::{Aggregate, FoldError};
use retailflow_engine::ports::{EventLog, Snapshots, StoredRecord};

use crate::answer::Refusal;
use crate::orders::{damaged, of_log};

/// Records that are folded without a snapshot; after more of them, one is offered for the next reader.
const UNAIDED_MAX: usize = 1_000;
/// Ids that such a snapshot keeps whole, as many as an order has in memory by default.
const RECENT_MAX: usize = 1_000;
/// Folding more than this takes long enough to hold up other requests of the same thread.
const FOLD_INLINE_MAX_BYTES: usize = 128 * 1024;

/// The state of an order, of which nothing may be recorded.
pub(crate) async fn read(
    log: &dyn EventLog,
    snapshots: Option<&dyn Snapshots>,
    order: &OrderRef,
) -> Result<Aggregate, Refusal> {
    let log_id = log.identity().log_id;
    let snapshot = match snapshots {
        Some(snapshots) => snapshots.load(order).await,
        None => None,
    };
    if let Some(bytes) = snapshot {
        let wanted = order.clone();
        let read = move || Aggregate::to_look_at(&wanted, log_id, &bytes);
        if let Ok(aggregate) = tokio::task::spawn_blocking(read).await.map_err(|_| Refusal::internal())? {
            let after = aggregate.revision.saturating_sub(1);
            let mut records = log.read_order(order, after).await.map_err(of_log)?;
            let known = records.first().is_some_and(|last| chain_hash(&last.bytes) == aggregate.chain);
            if known {
                records.remove(0);
                return folded(aggregate, records).await;
            }
        }
    }
    let records = log.read_order(order, 0).await.map_err(of_log)?;
    let long = records.len() > UNAIDED_MAX;
    let aggregate = folded(Aggregate::new(order.clone()), records).await?;
    if long
        && let Some(snapshots) = snapshots
        && let Ok(bytes) = aggregate.to_snapshot(log_id)
    {
        snapshots.save(order, bytes);
    }
    Ok(aggregate)
}

async fn folded(mut aggregate: Aggregate, records: Vec<StoredRecord>) -> Result<Aggregate, Refusal> {
    let inline = records.iter().map(|record| record.bytes.len()).sum::<usize>() <= FOLD_INLINE_MAX_BYTES;
    let fold = move || -> Result<Aggregate, FoldError> {
        for record in &records {
            aggregate.fold(&record.bytes, RECENT_MAX)?;
        }
        Ok(aggregate)
    };
    let done = match inline {
        true => fold(),
        false => tokio::task::spawn_blocking(fold).await.map_err(|_| Refusal::internal())?,
    };
    done.map_err(|_| damaged())
}
