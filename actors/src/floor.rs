//! Intake floors: how far each partition has got with an inbox (design section 4.6).

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use retailflow_engine::codec::fence::IntakeFloor;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::InboxId;

/// Inboxes whose floors a fence carries at most; the one read longest ago goes first.
const INBOXES_MAX: usize = 8;

/// Outstanding positions of the inbox that is being read. At most as many as commands may be in flight.
#[derive(Default)]
pub(crate) struct Floors(Mutex<Tracked>);

#[derive(Default)]
struct Tracked {
    inbox: Option<InboxId>,
    read_up_to: u64,
    /// Positions whose partition is not known yet, or that belong to none.
    homeless: BTreeSet<u64>,
    by_partition: BTreeMap<PartitionId, BTreeSet<u64>>,
}

impl Floors {
    /// Begins to follow an inbox.
    pub(crate) fn follow(&self, inbox: InboxId) {
        *self.0.lock() = Tracked { inbox: Some(inbox), ..Tracked::default() };
    }

    /// A position was read; nothing is known of it yet.
    pub(crate) fn read(&self, position: u64) {
        let mut tracked = self.0.lock();
        tracked.homeless.insert(position);
        tracked.read_up_to = tracked.read_up_to.max(position);
    }

    /// The position turned out to belong to a partition.
    pub(crate) fn belongs(&self, position: u64, partition: PartitionId) {
        let mut tracked = self.0.lock();
        tracked.homeless.remove(&position);
        tracked.by_partition.entry(partition).or_default().insert(position);
    }

    /// The position is recorded, parked, dead-lettered or was refused to its sender: it need not be read again.
    pub(crate) fn done(&self, position: u64, partition: Option<PartitionId>) {
        let mut tracked = self.0.lock();
        match partition {
            None => drop(tracked.homeless.remove(&position)),
            Some(partition) => {
                if let Some(outstanding) = tracked.by_partition.get_mut(&partition) {
                    outstanding.remove(&position);
                }
            }
        }
    }

    /// The floor to write into the partition's next fence, never below `last`, the one in its last fence.
    pub(crate) fn floor(&self, partition: PartitionId, last: &[IntakeFloor]) -> Vec<IntakeFloor> {
        let tracked = self.0.lock();
        let Some(inbox) = tracked.inbox else { return last.to_vec() };
        let homeless = tracked.homeless.first().copied();
        let outstanding = tracked.by_partition.get(&partition).and_then(|all| all.first().copied());
        let first_open = homeless.into_iter().chain(outstanding).min();
        let reached = first_open.map_or(tracked.read_up_to, |position| position.saturating_sub(1));
        let before = last.iter().find(|floor| floor.inbox == inbox).map_or(0, |floor| floor.position);
        // Others' floors stay, the newest of them: another inbox may be read again one day.
        let others = last.iter().filter(|floor| floor.inbox != inbox).cloned();
        let mut floors: Vec<IntakeFloor> = others.collect();
        floors.push(IntakeFloor { inbox, position: reached.max(before) });
        let surplus = floors.len().saturating_sub(INBOXES_MAX);
        floors.drain(..surplus);
        floors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_waits_for_the_first_open_position_and_never_falls() {
        let floors = Floors::default();
        let here = PartitionId(1);
        let at = |last: &[IntakeFloor]| floors.floor(here, last)[0].position;
        floors.follow([7; 16]);
        for position in 1..=3 {
            floors.read(position);
        }
        floors.belongs(1, here);
        floors.belongs(2, PartitionId(0));
        assert_eq!(at(&[]), 0, "1 is open");
        floors.done(1, Some(here));
        assert_eq!(at(&[]), 2, "3 may still be ours");
        floors.done(3, None);
        assert_eq!(at(&[]), 3);
        assert_eq!(at(&[IntakeFloor { inbox: [7; 16], position: 9 }]), 9);
    }

    #[test]
    fn the_floors_of_other_inboxes_stay_up_to_a_limit() {
        let floors = Floors::default();
        floors.follow([7; 16]);
        let other = IntakeFloor { inbox: [8; 16], position: 4 };
        assert_eq!(floors.floor(PartitionId(0), std::slice::from_ref(&other))[0], other);
        let many: Vec<IntakeFloor> = (10..30).map(|n| IntakeFloor { inbox: [n; 16], position: 1 }).collect();
        let kept = floors.floor(PartitionId(0), &many);
        assert_eq!(kept.len(), INBOXES_MAX);
        assert_eq!(kept.last().map(|floor| floor.inbox), Some([7; 16]));
    }
}
