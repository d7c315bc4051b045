//! Which partitions a node runs, and the commands under way in each.
//!
//! A command enters its partition before anything is done with it, and leaves it when it has been answered or dropped. So a
//! partition can be emptied: from a moment on nothing enters, and when all that had entered has left, nobody is owed an
//! answer.
//!
//! What is under way in a partition is bounded here, by partition: it is what can fail. A caller's permits are kept at its
//! place in the partition, and given back when the command is answered or dropped, when its caller goes, and at once for all
//! of the partition when its log does not answer in time: who waits there waits for that log, and takes nobody else's room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::wire::Code;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::admission::Permit;

mod places;

use self::places::{Place, Places};

/// The phase of a partition on this node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum PartitionPhase {
    #[default]
    Absent,
    /// It is being taken over; nothing is let in yet.
    Acquiring,
    /// Commands are let in.
    Open,
    /// What is under way is finished, and nothing let in.
    Draining,
}

#[derive(Default)]
struct Slot {
    phase: PartitionPhase,
    /// Counts the acquisitions: a command that entered in an earlier term does not count for this one.
    term: u64,
    places: Places,
    /// Since when its log has owed an answer for longer than it should.
    late_since: Option<Instant>,
    /// When it was taken.
    acquired_at: Option<Instant>,
}

/// How much may be under way in a partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Commands in flight, whether or not a caller waits.
    pub(crate) under_way_max: usize,
    /// Of those, the ones that hold permits.
    pub(crate) permitted_max: usize,
    /// Nothing more is let in while the log has owed an answer for so long.
    pub(crate) doubt_after: Duration,
}

/// Why a command is not let into its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryRefusal {
    /// It is not run here.
    NotOwned,
    /// As much is under way as may be.
    Full,
    /// Its log does not answer.
    InDoubt,
}

/// The partitions of a node.
pub(crate) struct PartitionTable {
    slots: Vec<Mutex<Slot>>,
    /// By partition: whether its log is late. Read by every command, without a lock.
    late: Vec<AtomicBool>,
    bounds: Bounds,
    /// Notified when there may be room where there was none.
    room_freed: Notify,
    /// Changes when a partition has become empty.
    emptied: watch::Sender<u64>,
    /// Changes when commands are let into a partition from now on, or no more.
    changed: watch::Sender<u64>,
    /// Partitions that another owner was seen to write.
    fenced: watch::Sender<BTreeSet<PartitionId>>,
    /// Partitions whose log lost what it had acknowledged: nothing is written there until people have looked.
    stopped: Mutex<BTreeSet<PartitionId>>,
    /// Partitions whose log takes nothing for now, with how their commands are refused, and since when.
    refusing: Mutex<BTreeMap<PartitionId, (Code, Instant)>>,
}

/// A command in its partition, until it is dropped.
pub(crate) struct PartitionGuard {
    table: Arc<PartitionTable>,
    partition: PartitionId,
    term: u64,
    place: Place,
}

/// What a caller has of its command's place: its permits end with its wait.
pub(crate) struct Claim {
    table: Arc<PartitionTable>,
    partition: PartitionId,
    term: u64,
    place: Place,
    is_forgotten: bool,
}

impl Claim {
    /// The command has left: there is nothing to give back.
    pub(crate) fn forget(mut self) {
        self.is_forgotten = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_forgotten {
            return;
        }
        let Some(slot) = self.table.slot(self.partition) else { return };
        let mut slot = slot.lock();
        let permit = (slot.term == self.term).then(|| slot.places.take_permit(self.place)).flatten();
        drop(slot);
        drop(permit);
    }
}

impl std::fmt::Debug for PartitionGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartitionGuard({})", self.partition)
    }
}

impl PartitionTable {
    pub(crate) fn new(partitions: u16, bounds: Bounds) -> Self {
        Self {
            slots: (0..partitions.max(1)).map(|_| Mutex::default()).collect(),
            late: (0..partitions.max(1)).map(|_| AtomicBool::new(false)).collect(),
            bounds,
            room_freed: Notify::new(),
            emptied: watch::Sender::new(0),
            changed: watch::Sender::new(0),
            fenced: watch::Sender::default(),
            stopped: Mutex::default(),
            refusing: Mutex::default(),
        }
    }

    fn slot(&self, partition: PartitionId) -> Option<&Mutex<Slot>> {
        self.slots.get(usize::from(partition.0))
    }

    /// Whether it is run here, for whatever is left of its time.
    pub(crate) fn owns(&self, partition: PartitionId) -> bool {
        self.slot(partition).is_some_and(|slot| slot.lock().phase != PartitionPhase::Absent)
    }

    /// Whether commands are let in.
    pub(crate) fn accepts(&self, partition: PartitionId) -> bool {
        self.slot(partition).is_some_and(|slot| slot.lock().phase == PartitionPhase::Open)
    }

    /// It is run here from now on; nothing is let in before [`Self::open`]. Whether it was not before.
    pub(crate) fn acquire(&self, partition: PartitionId) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let mut slot = slot.lock();
        if slot.phase != PartitionPhase::Absent {
            return false;
        }
        let term = slot.term + 1;
        let before = std::mem::replace(
            &mut *slot,
            Slot {
                phase: PartitionPhase::Acquiring,
                term,
                acquired_at: Some(Instant::now()),
                ..Slot::default()
            },
        );
        drop(slot);
        drop(before);
        self.set_late(partition, false);
        self.stopped.lock().remove(&partition);
        self.clear_refusing(partition);
        // A fence seen in an earlier term must not stop the owner of this one.
        self.fenced.send_if_modified(|fenced| fenced.remove(&partition));
        true
    }

    /// Commands are let in, unless it has been given up meanwhile. Whether they are.
    pub(crate) fn open(&self, partition: PartitionId) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let mut slot = slot.lock();
        let opens = slot.phase == PartitionPhase::Acquiring;
        if opens {
            slot.phase = PartitionPhase::Open;
        }
        let held = slot.phase == PartitionPhase::Open;
        drop(slot);
        if opens {
            self.notify_changed();
        }
        held
    }

    /// Nothing is let in any more. Whether it was held.
    pub(crate) fn begin_draining(&self, partition: PartitionId) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let mut slot = slot.lock();
        let held = matches!(slot.phase, PartitionPhase::Open | PartitionPhase::Acquiring);
        if held {
            slot.phase = PartitionPhase::Draining;
        }
        drop(slot);
        if held {
            self.notify_changed();
        }
        held
    }

    /// It is run here no more. Whether it was.
    pub(crate) fn release(&self, partition: PartitionId) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let held = std::mem::take(&mut slot.lock().phase) != PartitionPhase::Absent;
        if held {
            self.notify_changed();
        }
        held
    }

    fn notify_changed(&self) {
        self.room_freed.notify_waiters();
        self.changed.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Changes when commands are let into a partition from now on, or no more.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Its current term, if it is open: each acquisition has another one.
    pub(crate) fn term(&self, partition: PartitionId) -> Option<u64> {
        let slot = self.slot(partition)?.lock();
        (slot.phase == PartitionPhase::Open).then_some(slot.term)
    }

    /// Lets a command in, with the permits of its caller, or says why not.
    pub(crate) fn enter(
        self: &Arc<Self>,
        partition: PartitionId,
        permit: Option<Permit>,
    ) -> Result<(PartitionGuard, Claim), EntryRefusal> {
        let mut slot = self.slot(partition).ok_or(EntryRefusal::NotOwned)?.lock();
        self.may_enter(&slot, permit.is_some())?;
        // The log became late since: the command holds no permit.
        let is_late = slot.late_since.is_some();
        let place = slot.places.add(permit.filter(|_| !is_late));
        let term = slot.term;
        drop(slot);
        let within = PartitionGuard { table: Arc::clone(self), partition, term, place };
        let claim = Claim { table: Arc::clone(self), partition, term, place, is_forgotten: false };
        Ok((within, claim))
    }

    fn may_enter(&self, slot: &Slot, has_permit: bool) -> Result<(), EntryRefusal> {
        if slot.phase != PartitionPhase::Open {
            return Err(EntryRefusal::NotOwned);
        }
        if slot.late_since.is_some_and(|since| since.elapsed() >= self.bounds.doubt_after) {
            return Err(EntryRefusal::InDoubt);
        }
        let full = slot.places.len() >= self.bounds.under_way_max
            || (has_permit && slot.places.permitted() >= self.bounds.permitted_max);
        if full { Err(EntryRefusal::Full) } else { Ok(()) }
    }

    /// Waits until a command may be let in, or its partition is not run here.
    pub(crate) async fn wait_for_room(&self, partition: PartitionId) {
        loop {
            let mut room_freed = std::pin::pin!(self.room_freed.notified());
            room_freed.as_mut().enable();
            let may = self.slot(partition).map_or(Ok(()), |slot| self.may_enter(&slot.lock(), true));
            if matches!(may, Ok(()) | Err(EntryRefusal::NotOwned)) {
                return;
            }
            room_freed.await;
        }
    }

    /// Whether its log has owed an answer for longer than it should: a command that enters now holds no permit while it waits for
    /// the log.
    pub(crate) fn is_late(&self, partition: PartitionId) -> bool {
        self.late.get(usize::from(partition.0)).is_some_and(|late| late.load(Ordering::Acquire))
    }

    /// Its log owes an answer for longer than it should: the commands that wait for it give their permits back.
    pub(crate) fn mark_late(&self, partition: PartitionId) {
        let Some(slot) = self.slot(partition) else { return };
        let mut slot = slot.lock();
        slot.late_since.get_or_insert_with(Instant::now);
        let permits = slot.places.take_permits();
        self.set_late(partition, true);
        drop(slot);
        drop(permits);
    }

    /// Its log has answered.
    pub(crate) fn clear_late(&self, partition: PartitionId) {
        let Some(slot) = self.slot(partition) else { return };
        slot.lock().late_since = None;
        self.set_late(partition, false);
        self.room_freed.notify_waiters();
    }

    fn set_late(&self, partition: PartitionId, is_late: bool) {
        if let Some(late) = self.late.get(usize::from(partition.0)) {
            late.store(is_late, Ordering::Release);
        }
    }

    /// Commands under way in all partitions.
    pub(crate) fn in_flight(&self) -> usize {
        self.slots.iter().map(|slot| slot.lock().places.len()).sum()
    }

    /// Its log lost what it had acknowledged.
    pub(crate) fn mark_stopped(&self, partition: PartitionId) {
        self.stopped.lock().insert(partition);
    }

    /// Those of them that are run here.
    pub(crate) fn stopped(&self) -> Vec<PartitionId> {
        let stopped: Vec<PartitionId> = self.stopped.lock().iter().copied().collect();
        stopped.into_iter().filter(|partition| self.owns(*partition)).collect()
    }

    /// Its log took nothing the last time that it was asked: there is no room, or no file to be had.
    pub(crate) fn mark_refusing(&self, partition: PartitionId, code: Code) {
        let mut refusing = self.refusing.lock();
        let since = refusing.get(&partition).map_or_else(Instant::now, |(_, since)| *since);
        refusing.insert(partition, (code, since));
    }

    /// Its log has taken something.
    pub(crate) fn clear_refusing(&self, partition: PartitionId) {
        self.refusing.lock().remove(&partition);
    }

    /// The partitions run here whose log takes nothing, how their commands are refused, and for how long by now.
    pub(crate) fn refusing(&self) -> Vec<(PartitionId, Code, Duration)> {
        let refusing = self.refusing.lock().clone();
        let here = refusing.into_iter().filter(|(partition, _)| self.owns(*partition));
        here.map(|(partition, (code, since))| (partition, code, since.elapsed())).collect()
    }

    /// Another owner was seen to write it: reported by [`Self::next_fenced`].
    pub(crate) fn mark_fenced(&self, partition: PartitionId) {
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

    /// For how long its log has owed an answer, beyond what it should.
    pub(crate) fn late_for(&self, partition: PartitionId) -> Option<Duration> {
        self.slot(partition)?.lock().late_since.map(|since| since.elapsed())
    }

    /// For how long it has been taken over and lets nothing in yet.
    pub(crate) fn acquiring_for(&self, partition: PartitionId) -> Option<Duration> {
        let slot = self.slot(partition)?.lock();
        let acquiring = slot.phase == PartitionPhase::Acquiring;
        slot.acquired_at.filter(|_| acquiring).map(|at| at.elapsed())
    }

    /// Waits until no command is under way in it.
    pub(crate) async fn wait_empty(&self, partition: PartitionId) {
        let mut emptied = self.emptied.subscribe();
        // The sender is ours: it does not go before us.
        let _ =
            emptied.wait_for(|_| self.slot(partition).is_none_or(|slot| slot.lock().places.len() == 0)).await;
    }
}

impl Drop for PartitionGuard {
    fn drop(&mut self) {
        let Some(slot) = self.table.slot(self.partition) else { return };
        let mut slot = slot.lock();
        if slot.term != self.term {
            return;
        }
        let was_full = slot.places.len() >= self.table.bounds.under_way_max
            || slot.places.permitted() >= self.table.bounds.permitted_max;
        let permit = slot.places.remove(self.place);
        let last = slot.places.len() == 0;
        drop(slot);
        drop(permit);
        if was_full {
            self.table.room_freed.notify_waiters();
        }
        if last {
            self.table.emptied.send_modify(|times| *times = times.wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests;
