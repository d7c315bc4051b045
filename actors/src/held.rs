//! Which partitions a node runs, and the commands under way in each.
//!
//! A command enters its partition before anything is done with it, and leaves it when it has been answered or dropped. So a
//! partition can be emptied: from a moment on nothing enters, and when all that had entered has left, nobody is owed an
//! answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use retailflow_engine::ids::PartitionId;
use tokio::sync::watch;

/// How the node stands with a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Away,
    /// It is being taken over; nothing is let in yet.
    Arriving,
    /// Commands are let in.
    Held,
    /// What is under way is finished, and nothing let in.
    Leaving,
}

#[derive(Default)]
struct Slot {
    standing: Standing,
    /// Which time it is held: what entered the last time does not count for this one.
    turn: u64,
    under_way: usize,
}

/// The partitions of a node.
pub(crate) struct Held {
    slots: Vec<Mutex<Slot>>,
    /// Changes when a partition has become empty.
    emptied: watch::Sender<u64>,
    /// Changes when commands are let into a partition from now on, or no more.
    changed: watch::Sender<u64>,
    /// Partitions that another owner was seen to write.
    fenced: watch::Sender<BTreeSet<PartitionId>>,
}

/// A command in its partition, until it is dropped.
pub(crate) struct Within {
    held: Arc<Held>,
    partition: PartitionId,
    turn: u64,
}

impl std::fmt::Debug for Within {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Within({})", self.partition)
    }
}

impl Held {
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            slots: (0..partitions.max(1)).map(|_| Mutex::default()).collect(),
            emptied: watch::Sender::new(0),
            changed: watch::Sender::new(0),
            fenced: watch::Sender::default(),
        }
    }

    fn slot(&self, partition: PartitionId) -> Option<&Mutex<Slot>> {
        self.slots.get(usize::from(partition.0))
    }

    /// Whether it is run here, for whatever is left of its time.
    pub(crate) fn has(&self, partition: PartitionId) -> bool {
        self.slot(partition).is_some_and(|slot| slot.lock().standing != Standing::Away)
    }

    /// Whether commands are let in.
    pub(crate) fn lets_in(&self, partition: PartitionId) -> bool {
        self.slot(partition).is_some_and(|slot| slot.lock().standing == Standing::Held)
    }

    /// It is run here from now on; nothing is let in before [`Self::open`]. Whether it was not before.
    pub(crate) fn take(&self, partition: PartitionId) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let mut slot = slot.lock();
        if slot.standing != Standing::Away {
            return false;
        }
        *slot = Slot { standing: Standing::Arriving, turn: slot.turn + 1, under_way: 0 };
        // What was seen of an earlier time says nothing of this one: heard now, it would stop a healthy owner.
        self.fenced.send_if_modified(|fenced| fenced.remove(&partition));
        true
    }

    /// Commands are let in, unless it has been given up meanwhile. Whether they are.
    pub(crate) fn open(&self, partition: PartitionId) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let mut slot = slot.lock();
        let opens = slot.standing == Standing::Arriving;
        if opens {
            slot.standing = Standing::Held;
        }
        let held = slot.standing == Standing::Held;
        drop(slot);
        if opens {
            self.has_changed();
        }
        held
    }

    /// Nothing is let in any more. Whether it was held.
    pub(crate) fn leave(&self, partition: PartitionId) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let mut slot = slot.lock();
        let held = matches!(slot.standing, Standing::Held | Standing::Arriving);
        if held {
            slot.standing = Standing::Leaving;
        }
        drop(slot);
        if held {
            self.has_changed();
        }
        held
    }

    /// It is run here no more. Whether it was.
    pub(crate) fn drop_out(&self, partition: PartitionId) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let held = std::mem::take(&mut slot.lock().standing) != Standing::Away;
        if held {
            self.has_changed();
        }
        held
    }

    fn has_changed(&self) {
        self.changed.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Changes when commands are let into a partition from now on, or no more.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The turn in which commands are let into it now: each time that it is taken has another one.
    pub(crate) fn turn(&self, partition: PartitionId) -> Option<u64> {
        let slot = self.slot(partition)?.lock();
        (slot.standing == Standing::Held).then_some(slot.turn)
    }

    /// Lets a command in, if any is.
    pub(crate) fn enter(self: &Arc<Self>, partition: PartitionId) -> Option<Within> {
        let mut slot = self.slot(partition)?.lock();
        (slot.standing == Standing::Held).then(|| {
            slot.under_way += 1;
            Within { held: Arc::clone(self), partition, turn: slot.turn }
        })
    }

    /// Another owner was seen to write it.
    pub(crate) fn fenced(&self, partition: PartitionId) {
        self.fenced.send_if_modified(|fenced| fenced.insert(partition));
    }

    /// The next of those.
    pub(crate) async fn next_fenced(&self) -> PartitionId {
        let mut fenced = self.fenced.subscribe();
        loop {
            // The sender is ours: it does not go before us.
            let _ = fenced.wait_for(|fenced| !fenced.is_empty()).await;
            let mut first = None;
            self.fenced.send_if_modified(|fenced| {
                first = fenced.pop_first();
                first.is_some()
            });
            if let Some(first) = first {
                return first;
            }
        }
    }

    /// Waits until no command is under way in it.
    pub(crate) async fn empty(&self, partition: PartitionId) {
        let mut emptied = self.emptied.subscribe();
        // The sender is ours: it does not go before us.
        let _ =
            emptied.wait_for(|_| self.slot(partition).is_none_or(|slot| slot.lock().under_way == 0)).await;
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let Some(slot) = self.held.slot(self.partition) else { return };
        let mut slot = slot.lock();
        if slot.turn != self.turn {
            return;
        }
        slot.under_way -= 1;
        let last = slot.under_way == 0;
        drop(slot);
        if last {
            self.held.emptied.send_modify(|times| *times = times.wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_partition_is_empty_when_all_that_entered_has_left() {
        let held = Arc::new(Held::new(2));
        let (here, other) = (PartitionId(0), PartitionId(1));
        assert!(held.enter(here).is_none(), "not ours");
        assert!(held.take(here) && !held.take(here) && held.take(other));
        assert!(held.enter(here).is_none() && held.has(here), "not yet");
        assert!(held.open(here) && held.open(other));
        let (one, two) = (held.enter(here).unwrap(), held.enter(here).unwrap());
        let elsewhere = held.enter(other).unwrap();
        assert!(held.leave(here) && !held.leave(here));
        assert!(held.enter(here).is_none() && held.has(here) && !held.lets_in(here));
        let mut emptied = std::pin::pin!(held.empty(here));
        assert!(futures_util::poll!(&mut emptied).is_pending());
        drop(one);
        assert!(futures_util::poll!(&mut emptied).is_pending());
        drop(two);
        emptied.await;
        assert!(held.drop_out(here) && !held.drop_out(here) && !held.has(here));
        drop(elsewhere);
    }

    #[tokio::test]
    async fn a_fence_of_an_earlier_time_is_not_heard_in_a_later_one() {
        let held = Held::new(2);
        let (here, other) = (PartitionId(0), PartitionId(1));
        assert!(held.take(here));
        held.fenced(here);
        assert!(held.drop_out(here) && held.take(here));
        held.fenced(other);
        assert_eq!(held.next_fenced().await, other);
        assert!(futures_util::poll!(std::pin::pin!(held.next_fenced())).is_pending());
    }

    #[tokio::test]
    async fn what_is_left_of_an_earlier_time_does_not_count() {
        let held = Arc::new(Held::new(1));
        let here = PartitionId(0);
        assert!(held.take(here) && held.open(here));
        let old = held.enter(here).unwrap();
        assert!(held.drop_out(here) && !held.open(here) && held.take(here) && held.open(here));
        let new = held.enter(here).unwrap();
        drop(old);
        assert!(held.leave(here));
        assert!(
            futures_util::poll!(std::pin::pin!(held.empty(here))).is_pending(),
            "the new one is under way"
        );
        drop(new);
        held.empty(here).await;
    }
}
