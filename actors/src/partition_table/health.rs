//! What is not as it should be with a partition that is run here, and for how long.

use std::time::Duration;

use retailflow_engine::ids::PartitionId;

use super::{Held, Standing};

impl Held {
    /// For how long its log has owed an answer, beyond what it should.
    pub(crate) fn late_for(&self, partition: PartitionId) -> Option<Duration> {
        self.slot(partition)?.lock().late_since.map(|since| since.elapsed())
    }

    /// For how long it has been taken over and lets nothing in yet.
    pub(crate) fn arriving_for(&self, partition: PartitionId) -> Option<Duration> {
        let slot = self.slot(partition)?.lock();
        let arriving = slot.standing == Standing::Arriving;
        slot.taken.filter(|_| arriving).map(|taken| taken.elapsed())
    }
}
