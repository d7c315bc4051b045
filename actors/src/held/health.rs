//! What is not as it should be with a partition that is run here, and for how long.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ids::PartitionId;
use tokio::time::Instant;

use super::{Held, Standing};

/// What keeps a partition's log from taking records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogTrouble {
    /// It owes an answer.
    Silent,
    /// It takes no more, and says so.
    Refuses(Arc<str>),
}

impl Held {
    /// Its log takes no more records for now.
    pub(crate) fn refuses(&self, partition: PartitionId, why: &str) {
        let Some(slot) = self.slot(partition) else { return };
        slot.lock().refused_since.get_or_insert_with(|| (Instant::now(), why.into()));
    }

    /// Its log takes records again.
    pub(crate) fn takes_again(&self, partition: PartitionId) {
        let Some(slot) = self.slot(partition) else { return };
        slot.lock().refused_since = None;
    }

    /// What keeps its log from taking records, and for how long.
    pub(crate) fn log_trouble(&self, partition: PartitionId) -> Option<(LogTrouble, Duration)> {
        let slot = self.slot(partition)?.lock();
        let silent = slot.late_since.map(|since| (LogTrouble::Silent, since.elapsed()));
        let refuses = || {
            let (since, why) = slot.refused_since.as_ref()?;
            Some((LogTrouble::Refuses(why.clone()), since.elapsed()))
        };
        silent.or_else(refuses)
    }

    /// For how long it has been taken over and lets nothing in yet.
    pub(crate) fn arriving_for(&self, partition: PartitionId) -> Option<Duration> {
        let slot = self.slot(partition)?.lock();
        let arriving = slot.standing == Standing::Arriving;
        slot.taken.filter(|_| arriving).map(|taken| taken.elapsed())
    }
}
