//! Faults of the partitions that a node runs, for its readiness.

use std::time::Duration;

use retailflow_engine::ids::PartitionId;
use retailflow_engine::wire::Code;

use crate::node::NodeHandle;

/// What is wrong with a partition that is run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionFault {
    /// Its log lost what it had acknowledged: everything is refused until people have looked.
    Stopped,
    /// Its log owes an answer.
    LogSilent,
    /// Its log takes nothing for now; how commands are refused meanwhile. It is tried once a second.
    LogRefuses(Code),
    /// It is assigned to this node, and cannot be taken over: its commands are not decided.
    NotTakenOver,
}

impl NodeHandle {
    /// Each partition that is run here and is not well, and for how long it has not been: the worst of each. A partition that is
    /// being taken over counts from its assignment.
    #[must_use]
    pub fn partition_faults(&self) -> Vec<(PartitionId, PartitionFault, Duration)> {
        let (table, committers) = (&self.shared.orders.table, &self.shared.orders.committers);
        let (stopped, refusing) = (table.stopped(), table.refusing());
        let fault = |partition: PartitionId| {
            if stopped.contains(&partition) {
                let since = committers.absent_for(partition).unwrap_or_default();
                return Some((PartitionFault::Stopped, since));
            }
            if let Some(since) = table.acquiring_for(partition).or_else(|| committers.absent_for(partition)) {
                return Some((PartitionFault::NotTakenOver, since));
            }
            if let Some(since) = table.late_for(partition) {
                return Some((PartitionFault::LogSilent, since));
            }
            let refuses = refusing.iter().find(|(of, ..)| *of == partition);
            refuses.map(|(_, code, since)| (PartitionFault::LogRefuses(*code), *since))
        };
        let with_partition = |partition| fault(partition).map(|(fault, since)| (partition, fault, since));
        self.owned_partitions().into_iter().filter_map(with_partition).collect()
    }
}
