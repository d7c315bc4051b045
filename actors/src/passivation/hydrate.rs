//! Rebuilding an order from snapshot and log.

use std::collections::HashMap;

use retailflow_engine::ids::{CommandKey, OrderRef};
use retailflow_engine::keys::chain_hash;
use retailflow_engine::order::{Aggregate, FoldError, RecordedOutcome};
use retailflow_engine::ports::{ReadError, StoredRecord};

use crate::world::Ports;

/// Why an order could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HydrateError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Fold(#[from] FoldError),
}

/// The committed state of an order that may have records, as the log has it now, and how many decisions were folded that no snapshot held.
pub(crate) async fn hydrate(
    ports: &Ports,
    order: &OrderRef,
    recent_max: usize,
) -> Result<(Aggregate, u64), HydrateError> {
    if let Some(snapshot) = ports.snapshots.load(order).await
        && let Some(aggregate) = from_snapshot(ports, order, &snapshot, recent_max).await?
    {
        return Ok(aggregate);
    }
    let records = ports.log.read_order(order, 0).await?;
    let aggregate = fold(Aggregate::new(order.clone()), &records, recent_max)?;
    let revision = aggregate.revision;
    Ok((aggregate, revision))
}

/// A snapshot is believed only if the log has the record that it ends with; if the log disagrees, it goes.
async fn from_snapshot(
    ports: &Ports,
    order: &OrderRef,
    bytes: &[u8],
    recent_max: usize,
) -> Result<Option<(Aggregate, u64)>, HydrateError> {
    let Ok(aggregate) = Aggregate::from_snapshot(order, ports.log.identity().log_id, bytes) else {
        return Ok(None);
    };
    let records = ports.log.read_order(order, aggregate.revision.saturating_sub(1)).await?;
    let Some((last_folded, newer)) = records.split_first() else { return Ok(None) };
    if chain_hash(&last_folded.bytes) != aggregate.chain {
        tracing::warn!(event = "snapshot_rejected", %order, "a snapshot disagrees with the log and is left aside");
        return Ok(None);
    }
    let before = aggregate.revision;
    let aggregate = fold(aggregate, newer, recent_max)?;
    let unaided = aggregate.revision - before;
    Ok(Some((aggregate, unaided)))
}

fn fold(
    mut aggregate: Aggregate,
    records: &[StoredRecord],
    recent_max: usize,
) -> Result<Aggregate, HydrateError> {
    for record in records {
        aggregate.fold(&record.bytes, recent_max)?;
    }
    Ok(aggregate)
}

/// What the log knows of a command without all of the order's records.
pub(crate) enum LogLookup {
    /// Its outcome; `None` when it was never decided.
    Known(Option<RecordedOutcome>),
    /// Only all records tell.
    NotIndexed,
}

/// Looks for a command that has left the order's memory.
pub(crate) async fn find(
    ports: &Ports,
    order: &OrderRef,
    command: &CommandKey,
) -> Result<LogLookup, HydrateError> {
    let Some(records) = ports.log.find_decision(order, command).await? else {
        return Ok(LogLookup::NotIndexed);
    };
    for record in records {
        let mut outcomes = Aggregate::outcomes_in(&record.bytes)?.into_iter();
        if let Some(outcome) = outcomes.find(|outcome| outcome.key == *command) {
            return Ok(LogLookup::Known(Some(outcome)));
        }
    }
    Ok(LogLookup::Known(None))
}

/// Every outcome in an order's log, for commands that have left its memory. At most `decisions_max` of them.
pub(crate) async fn recall(
    ports: &Ports,
    order: &OrderRef,
) -> Result<HashMap<CommandKey, RecordedOutcome>, HydrateError> {
    let mut outcomes = HashMap::new();
    for record in ports.log.read_order(order, 0).await? {
        for outcome in Aggregate::outcomes_in(&record.bytes)? {
            outcomes.insert(outcome.key.clone(), outcome);
        }
    }
    Ok(outcomes)
}
