//! What a node knows of a partition's log beyond the life of the actors that write it.

use parking_lot::Mutex;
use retailflow_engine::keys::Hash;

/// The last group of a partition that the log acknowledged, and the epoch in which this node owned it. It outlives the committer and its
/// supervisor: a partition that restarts after a quarantine must still find what was acknowledged before.
#[derive(Default)]
pub(crate) struct LastCommitted {
    last: Mutex<Option<(u64, Hash)>>,
    epoch: Mutex<Option<u64>>,
}

impl LastCommitted {
    /// The last epoch in which this node owned the partition, since it was assigned.
    pub(crate) fn epoch(&self) -> Option<u64> {
        *self.epoch.lock()
    }

    /// This node owns the partition in this epoch; `None`: it is to take it over from any owner.
    pub(crate) fn set_epoch(&self, epoch: Option<u64>) {
        *self.epoch.lock() = epoch;
    }

    pub(crate) fn set(&self, group: u64, hash: Hash) {
        *self.last.lock() = Some((group, hash));
    }

    /// The log may have gone on under another owner; it may not have gone back, or another way.
    pub(crate) fn check(&self, group: u64, hash: Hash) -> Result<(), String> {
        let Some((last, last_hash)) = *self.last.lock() else { return Ok(()) };
        if group < last || (group == last && hash != last_hash) {
            return Err(format!("group {last} was acknowledged, and the log ends with group {group}"));
        }
        Ok(())
    }
}
