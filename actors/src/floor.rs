//! Intake floors: how far each partition has got with an inbox (design section 4.6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use retailflow_engine::codec::fence::IntakeFloor;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::InboxId;

/// Inboxes whose floors a fence carries at most; the one read longest ago goes first.
const INBOXES_MAX: usize = 8;

/// Outstanding positions of the inboxes that are being read: one for all partitions, or one for each. At most as many as
/// commands may be in flight.
#[derive(Default)]
pub(crate) struct Floors {
    all: Mutex<BTreeMap<InboxId, TrackedInbox>>,
    readers: AtomicU64,
}

/// A reader's registration for an inbox: an earlier reader's reports do not count any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxRegistration {
    pub(crate) inbox: InboxId,
    reader: u64,
}

#[derive(Default)]
struct TrackedInbox {
    reader: u64,
    /// The one partition whose commands it holds, if it is such an inbox.
    only: Option<PartitionId>,
    read_up_to: u64,
    /// Positions whose partition is not known yet, or that belong to none.
    unrouted: BTreeSet<u64>,
    by_partition: BTreeMap<PartitionId, BTreeSet<u64>>,
    /// From here on commands were set aside.
    held: Option<u64>,
}

impl Floors {
    /// Begins to follow an inbox: the one for all partitions, or that of one of them. It takes the place of the last one of
    /// its kind.
    pub(crate) fn follow(&self, inbox: InboxId, only: Option<PartitionId>) -> InboxRegistration {
        let mut all = self.all.lock();
        let reader = self.readers.fetch_add(1, Ordering::Relaxed);
        all.retain(|_, tracked| tracked.only != only);
        all.insert(inbox, TrackedInbox { only, reader, ..TrackedInbox::default() });
        InboxRegistration { inbox, reader }
    }

    fn with(&self, following: InboxRegistration, change: impl FnOnce(&mut TrackedInbox)) {
        let mut all = self.all.lock();
        if let Some(tracked) = all.get_mut(&following.inbox).filter(|one| one.reader == following.reader) {
            change(tracked);
        }
    }

    /// A partition's own inbox is read here no more.
    pub(crate) fn forget(&self, partition: PartitionId) {
        self.all.lock().retain(|_, tracked| tracked.only != Some(partition));
    }

    /// A position was read; nothing is known of it yet.
    pub(crate) fn mark_read(&self, of: InboxRegistration, position: u64) {
        self.with(of, |tracked| {
            tracked.unrouted.insert(position);
            tracked.read_up_to = tracked.read_up_to.max(position);
        });
    }

    /// Up to here the inbox has nothing that was not read, and all that was read is known here.
    pub(crate) fn mark_seen(&self, of: InboxRegistration, position: u64) {
        self.with(of, |tracked| tracked.read_up_to = tracked.read_up_to.max(position));
    }

    /// From this position on commands are set aside, which are to be read again; `None`: none are.
    pub(crate) fn set_hold(&self, of: InboxRegistration, position: Option<u64>) {
        self.with(of, |tracked| tracked.held = position);
    }

    /// The position turned out to belong to a partition.
    pub(crate) fn assign(&self, of: InboxRegistration, position: u64, partition: PartitionId) {
        self.with(of, |tracked| {
            tracked.unrouted.remove(&position);
            tracked.by_partition.entry(partition).or_default().insert(position);
        });
    }

    /// The position is recorded, parked, dead-lettered or was refused to its sender: it need not be read again.
    pub(crate) fn mark_done(&self, of: InboxRegistration, position: u64, partition: Option<PartitionId>) {
        self.with(of, |tracked| match partition {
            None => drop(tracked.unrouted.remove(&position)),
            Some(partition) => {
                if let Some(outstanding) = tracked.by_partition.get_mut(&partition) {
                    outstanding.remove(&position);
                }
            }
        });
    }

    /// The floor to write into the partition's next fence, never below `last`, the one in its last fence.
    pub(crate) fn floor(&self, partition: PartitionId, last: &[IntakeFloor]) -> Vec<IntakeFloor> {
        let all = self.all.lock();
        let concerns = |tracked: &TrackedInbox| tracked.only.is_none_or(|only| only == partition);
        let followed: Vec<(&InboxId, &TrackedInbox)> =
            all.iter().filter(|(_, tracked)| concerns(tracked)).collect();
        // Others' floors stay, the newest of them: another inbox may be read again one day.
        let others = last.iter().filter(|floor| !followed.iter().any(|(inbox, _)| **inbox == floor.inbox));
        let mut floors: Vec<IntakeFloor> = others.cloned().collect();
        for (inbox, tracked) in followed {
            let unrouted = tracked.unrouted.first().copied();
            let outstanding = tracked.by_partition.get(&partition).and_then(|all| all.first().copied());
            let first_open = unrouted.into_iter().chain(outstanding).chain(tracked.held).min();
            let reached = first_open.map_or(tracked.read_up_to, |position| position.saturating_sub(1));
            let before = last.iter().find(|floor| floor.inbox == *inbox).map_or(0, |floor| floor.position);
            floors.push(IntakeFloor { inbox: *inbox, position: reached.max(before) });
        }
        let surplus = floors.len().saturating_sub(INBOXES_MAX);
        floors.drain(..surplus);
        floors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INBOX: InboxId = [7; 16];

    #[test]
    fn a_floor_waits_for_the_first_open_position_and_never_falls() {
        let floors = Floors::default();
        let here = PartitionId(1);
        let at = |last: &[IntakeFloor]| floors.floor(here, last)[0].position;
        let of = floors.follow(INBOX, None);
        for position in 1..=3 {
            floors.mark_read(of, position);
        }
        floors.assign(of, 1, here);
        floors.assign(of, 2, PartitionId(0));
        assert_eq!(at(&[]), 0, "1 is open");
        floors.mark_done(of, 1, Some(here));
        assert_eq!(at(&[]), 2, "3 may still be ours");
        floors.mark_done(of, 3, None);
        assert_eq!(at(&[]), 3);
        assert_eq!(at(&[IntakeFloor { inbox: INBOX, position: 9 }]), 9);
    }

    #[test]
    fn a_partitions_own_inbox_concerns_it_alone_until_it_is_forgotten() {
        let floors = Floors::default();
        let (here, other) = (PartitionId(1), PartitionId(2));
        let (own, others) = ([8; 16], [9; 16]);
        let (all, owns) = (floors.follow(INBOX, None), floors.follow(own, Some(here)));
        let theirs = floors.follow(others, Some(other));
        for (inbox, position) in [(all, 4), (owns, 5), (theirs, 6)] {
            floors.mark_read(inbox, position);
            floors.mark_done(inbox, position, None);
        }
        let of = |partition| {
            let floors = floors.floor(partition, &[]).into_iter();
            floors.map(|floor| (floor.inbox, floor.position)).collect::<Vec<_>>()
        };
        assert_eq!(of(here), [(INBOX, 4), (own, 5)]);
        assert_eq!(of(other), [(INBOX, 4), (others, 6)]);
        floors.mark_read(theirs, 9);
        floors.assign(theirs, 9, other);
        floors.mark_seen(theirs, 12);
        assert_eq!(of(other), [(INBOX, 4), (others, 8)], "9 is open");
        floors.mark_done(theirs, 9, Some(other));
        assert_eq!(of(other), [(INBOX, 4), (others, 12)], "nothing else is there");
        floors.forget(here);
        assert_eq!(of(here), [(INBOX, 4)]);
        let kept = floors.floor(here, &[IntakeFloor { inbox: own, position: 5 }]);
        assert_eq!(kept[0], IntakeFloor { inbox: own, position: 5 }, "what the last fence says stays");
        // A late word on what is followed no more is no trouble.
        floors.mark_read(owns, 6);
        floors.assign(owns, 6, here);
        floors.mark_done(owns, 6, Some(here));
        assert_eq!(of(here), [(INBOX, 4)]);
        // Nor one of an earlier reader of what is followed again: what it had read is not what this one has.
        let second = floors.follow(own, Some(here));
        floors.mark_read(owns, 9);
        floors.mark_done(owns, 9, Some(here));
        floors.mark_seen(owns, 9);
        assert_eq!(of(here), [(INBOX, 4), (own, 0)]);
        floors.mark_seen(second, 9);
        assert_eq!(of(here), [(INBOX, 4), (own, 9)]);
    }

    #[test]
    fn the_floors_of_other_inboxes_stay_up_to_a_limit() {
        let floors = Floors::default();
        floors.follow(INBOX, None);
        let other = IntakeFloor { inbox: [8; 16], position: 4 };
        assert_eq!(floors.floor(PartitionId(0), std::slice::from_ref(&other))[0], other);
        let many: Vec<IntakeFloor> = (10..30).map(|n| IntakeFloor { inbox: [n; 16], position: 1 }).collect();
        let kept = floors.floor(PartitionId(0), &many);
        assert_eq!(kept.len(), INBOXES_MAX);
        assert_eq!(kept.last().map(|floor| floor.inbox), Some(INBOX));
    }
}
