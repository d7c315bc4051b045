//! An order's state for readers: a snapshot that the log agrees with, and what came after it, a piece at a time: however long
//! an order is, reading it holds one piece in memory, and ends soon after its caller has gone.

use std::sync::Arc;

use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::chain_hash;
use retailflow_engine::order::{Aggregate, FoldError, history};
use retailflow_engine::ports::{EventLog, Snapshots, StoredRecord};
use retailflow_engine::wire::Status;

use crate::answer::Refusal;
use crate::limits::FOLD_INLINE_MAX_BYTES;
use crate::order_cache::OrderCache;
use crate::read_failure::{damaged, from_log};
use crate::reads::CallerGone;

/// Decisions that are folded without a snapshot; after more of them, one is offered for the next reader.
const UNAIDED_MAX: u64 = 1_000;
/// Ids that such a snapshot keeps whole, as many as an order has in memory by default.
const RECENT_MAX: usize = 1_000;
/// Decisions that are read and folded at once. Most orders never have so many.
const PIECE: u64 = 512;

/// The state of an order, of which nothing may be recorded.
pub(crate) async fn read(
    log: &dyn EventLog,
    snapshots: Option<&dyn Snapshots>,
    cache: &OrderCache,
    order: &OrderRef,
    gone: &CallerGone,
) -> Result<Arc<Aggregate>, Refusal> {
    let from_memory = match cache.at(order) {
        Some(seen) => agreed(log, seen).await?,
        None => None,
    };
    let mut has_ids = from_memory.is_none();
    let known = match (from_memory, snapshots) {
        (Some(known), _) => Some(known),
        (None, Some(snapshots)) => {
            cache.drop(order);
            match in_snapshot(log, snapshots, order).await? {
                Some(aggregate) => agreed(log, Arc::new(aggregate)).await?,
                None => None,
            }
        }
        (None, None) => None,
    };
    let (mut aggregate, mut records) = known.unwrap_or_else(|| (Aggregate::new(order.clone()).into(), None));
    let begun = aggregate.revision;
    loop {
        gone.check()?;
        // What was read to see whether the log agrees begins with the last decision known.
        let (after, read) = match records.take() {
            Some(records) => (aggregate.revision - 1, records),
            None => {
                let after = aggregate.revision;
                (after, log.read_some(order, after, PIECE).await.map_err(from_log)?)
            }
        };
        if !read.is_empty() {
            has_ids = true;
            aggregate = folded(Arc::unwrap_or_clone(aggregate), read).await?.into();
        }
        if aggregate.revision < after.saturating_add(PIECE) {
            break;
        }
    }
    if begun == 0
        && aggregate.revision > UNAIDED_MAX
        && let Some(snapshots) = snapshots
        && let Ok(bytes) = aggregate.to_snapshot(log.identity().log_id)
    {
        snapshots.save(order, bytes);
    }
    if aggregate.revision > UNAIDED_MAX && has_ids {
        let mut seen = Arc::unwrap_or_clone(aggregate);
        seen.forget_ids();
        aggregate = Arc::new(seen);
    }
    if aggregate.revision > UNAIDED_MAX {
        cache.keep(&aggregate);
    }
    Ok(aggregate)
}

/// An earlier state, and what the log has after it.
type Known = (Arc<Aggregate>, Option<Vec<StoredRecord>>);

/// A state, if the log agrees that it was one, and the first of what came after it.
async fn agreed(log: &dyn EventLog, seen: Arc<Aggregate>) -> Result<Option<Known>, Refusal> {
    let after = seen.revision.saturating_sub(1);
    let mut records = log.read_some(&seen.reference, after, PIECE).await.map_err(from_log)?;
    let agrees = records.first().is_some_and(|last| chain_hash(&last.bytes) == seen.chain);
    if !agrees {
        return Ok(None);
    }
    records.remove(0);
    Ok(Some((seen, Some(records))))
}

/// The state in a snapshot, if there is one. Whether the log agrees is another question.
async fn in_snapshot(
    log: &dyn EventLog,
    snapshots: &dyn Snapshots,
    order: &OrderRef,
) -> Result<Option<Aggregate>, Refusal> {
    let log_id = log.identity().log_id;
    let Some(bytes) = snapshots.load(order).await else { return Ok(None) };
    let wanted = order.clone();
    let read = move || Aggregate::to_look_at(&wanted, log_id, &bytes);
    let read = tokio::task::spawn_blocking(read).await.map_err(|_| Refusal::internal())?;
    Ok(read.ok())
}

/// Whether anything was ever applied to an order, which its place command is the first to be. Reads no further than to that.
pub(crate) async fn is_placed(
    log: &dyn EventLog,
    order: &OrderRef,
    gone: &CallerGone,
) -> Result<bool, Refusal> {
    let mut after = 0;
    loop {
        gone.check()?;
        let records = log.read_some(order, after, PIECE).await.map_err(from_log)?;
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
