//! What an order keeps: a snapshot of its committed state, so that a long one is not folded from its first record each time.

use retailflow_engine::order::Aggregate;

use crate::world::Ports;

/// Saves a snapshot if `every` decisions or more were folded since the last one, which was of revision `snapshot_at`. A hint: an order whose
/// snapshot is lost is rebuilt from the log.
pub(crate) fn save_snapshot_if_due(ports: &Ports, every: u64, aggregate: &Aggregate, snapshot_at: &mut u64) {
    if aggregate.revision - *snapshot_at < every {
        return;
    }
    *snapshot_at = aggregate.revision;
    if let Ok(bytes) = aggregate.to_snapshot(ports.log.identity().log_id) {
        ports.snapshots.save(&aggregate.reference, bytes);
    }
}
