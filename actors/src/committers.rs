//! Where the committers of a node's partitions are.

use std::time::Duration;

use parking_lot::RwLock;
use ractor::ActorRef;
use retailflow_engine::ids::PartitionId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::messages::CommitterMsg;

/// Where the committers of a node's partitions are. Empty slots: not ours at the moment.
pub(crate) struct Committers {
    slots: Vec<RwLock<(Option<ActorRef<CommitterMsg>>, Instant)>>,
    changed: watch::Sender<()>,
}

impl Committers {
    pub(crate) fn new(partitions: u16) -> Self {
        let slots = (0..partitions.max(1)).map(|_| RwLock::new((None, Instant::now()))).collect();
        Self { slots, changed: watch::Sender::default() }
    }

    pub(crate) fn partitions(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    pub(crate) fn get(&self, partition: PartitionId) -> Option<ActorRef<CommitterMsg>> {
        self.slots.get(usize::from(partition.0)).and_then(|slot| slot.read().0.clone())
    }

    pub(crate) fn set(&self, partition: PartitionId, committer: Option<ActorRef<CommitterMsg>>) {
        if let Some(slot) = self.slots.get(usize::from(partition.0)) {
            let mut slot = slot.write();
            // Clearing an empty slot does not restart its clock.
            let since = if slot.0.is_none() && committer.is_none() { slot.1 } else { Instant::now() };
            *slot = (committer, since);
            drop(slot);
            self.changed.send_modify(|()| ());
        }
    }

    /// For how long a partition has had none.
    pub(crate) fn absent_for(&self, partition: PartitionId) -> Option<Duration> {
        let slot = self.slots.get(usize::from(partition.0))?.read();
        slot.0.is_none().then(|| slot.1.elapsed())
    }

    /// Waits until there is one: the partition's fence is written.
    pub(crate) async fn present(&self, partition: PartitionId) {
        let mut changed = self.changed.subscribe();
        // The sender is ours: it does not go before us.
        let _ = changed.wait_for(|()| self.get(partition).is_some()).await;
    }
}
