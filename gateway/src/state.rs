//! An order's state for readers: a snapshot that the log agrees with, and what came after it, a piece at a time: however long
//! an order is, reading it holds one piece in memory, and ends soon after its caller has gone.

use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::chain_hash;
use retailflow_engine::order::{Aggregate, FoldError, history};
use retailflow_engine::ports::{EventLog, Snapshots, StoredRecord};
use retailflow_engine::wire::Status;

use crate::answer::Refusal;
use crate::orders::{damaged, of_log};
use crate::reading::Gone;

/// Decisions that are folded without a snapshot; after more of them, one is offered for the next reader.
const UNAIDED_MAX: u64 = 1_000;
/// Ids that such a snapshot keeps whole, as many as an order has in memory by default.
const RECENT_MAX: usize = 1_000;
/// Folding more than this takes long enough to hold up other requests of the same thread.
const FOLD_INLINE_MAX_BYTES: usize = 128 * 1024;
/// Decisions that are read and folded at once. Most orders never have so many.
const PIECE: u64 = 512;

/// The state of an order, of which nothing may be recorded.
pub(crate) async fn read(
    log: &dyn EventLog,
    snapshots: Option<&dyn Snapshots>,
    order: &OrderRef,
    gone: &Gone,
) -> Result<Aggregate, Refusal> {
    let from_snapshot = match snapshots {
        Some(snapshots) => known(log, snapshots, order).await?,
        None => None,
    };
    let mut aggregate = from_snapshot.unwrap_or_else(|| Aggregate::new(order.clone()));
    let begun = aggregate.revision;
    loop {
        gone.check()?;
        let after = aggregate.revision;
        let records = log.read_some(order, after, PIECE).await.map_err(of_log)?;
        if records.is_empty() {
            break;
        }
        aggregate = folded(aggregate, records).await?;
        if aggregate.revision < after.saturating_add(PIECE) {
            break;
        }
    }
    if aggregate.revision - begun > UNAIDED_MAX
        && begun == 0
        && let Some(snapshots) = snapshots
        && let Ok(bytes) = aggregate.to_snapshot(log.identity().log_id)
    {
        snapshots.save(order, bytes);
    }
    Ok(aggregate)
}

/// The state in a snapshot, if there is one and the log agrees.
async fn known(
    log: &dyn EventLog,
    snapshots: &dyn Snapshots,
    order: &OrderRef,
) -> Result<Option<Aggregate>, Refusal> {
    let log_id = log.identity().log_id;
    let Some(bytes) = snapshots.load(order).await else { return Ok(None) };
    let wanted = order.clone();
    let read = move || Aggregate::to_look_at(&wanted, log_id, &bytes);
    let Ok(aggregate) = tokio::task::spawn_blocking(read).await.map_err(|_| Refusal::internal())? else {
        return Ok(None);
    };
    let after = aggregate.revision.saturating_sub(1);
    let records = log.read_some(order, after, 1).await.map_err(of_log)?;
    let agrees = records.first().is_some_and(|last| chain_hash(&last.bytes) == aggregate.chain);
    Ok(agrees.then_some(aggregate))
}

/// Whether anything was ever applied to an order, which its place command is the first to be. Reads no further than to that.
pub(crate) async fn is_placed(log: &dyn EventLog, order: &OrderRef, gone: &Gone) -> Result<bool, Refusal> {
    let mut after = 0;
    loop {
        gone.check()?;
        let records = log.read_some(order, after, PIECE).await.map_err(of_log)?;
        let bytes: Vec<Vec<u8>> = records.into_iter().map(|record| record.bytes).collect();
        let decode = move || history(&bytes, after, PIECE);
        let entries = tokio::task::spawn_blocking(decode).await.map_err(|_| Refusal::internal())?;
        let entries = entries.map_err(|_| damaged())?;
        if entries.iter().any(|entry| entry.status == Status::Applied) {
            return Ok(true);
        }
        let Some(last) = entries.last() else { return Ok(false) };
        if last.decision < after.saturating_add(PIECE) {
            return Ok(false);
        }
        after = last.decision;
    }
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
