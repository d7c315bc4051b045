//! Who goes into the next group.

use std::collections::{HashSet, VecDeque};

use retailflow_config::Log;
use retailflow_engine::ids::OrderRef;

use crate::messages::{ControlProposal, Proposal};

/// Proposals for the next group. Records that a caller waits for are queued apart from the engine's own: when a participant comes back, ten
/// thousands of outcomes are recorded at once, and a caller must not wait behind all of them.
#[derive(Default)]
pub(super) struct GroupQueue {
    asked: VecDeque<Proposal>,
    own: VecDeque<Proposal>,
    pub(super) controls: VecDeque<ControlProposal>,
}

impl GroupQueue {
    pub(super) fn push(&mut self, proposal: Proposal) {
        self.of(&proposal).push_back(proposal);
    }

    /// Goes before what waits already, in this order.
    pub(super) fn put_back(
        &mut self,
        proposals: VecDeque<Proposal>,
        mut controls: VecDeque<ControlProposal>,
    ) {
        for proposal in proposals.into_iter().rev() {
            self.of(&proposal).push_front(proposal);
        }
        controls.append(&mut self.controls);
        self.controls = controls;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.own.is_empty() && self.controls.is_empty()
    }

    fn of(&mut self, proposal: &Proposal) -> &mut VecDeque<Proposal> {
        if proposal.is_asked { &mut self.asked } else { &mut self.own }
    }

    /// The next group's members: at most one record an order, bounded by count and bytes. An eighth of it is for what is parked, if any
    /// waits (a park mark behind as many records as fill groups would never be written), and a quarter for the engine's
    /// own; what one does not need the others have.
    pub(super) fn gather(&mut self, limits: &Log) -> (VecDeque<Proposal>, VecDeque<ControlProposal>) {
        let (max_members, max_bytes) = (limits.group_max_records, limits.group_max_bytes);
        let marks = self.controls.iter().map(|control| control.entry.bytes.len());
        let marks = share(marks, max_members.div_ceil(8), max_bytes / 8);
        let own = self.own.iter().map(|proposal| proposal.entry.bytes.len());
        let own = share(own, max_members.div_ceil(4), max_bytes / 4);
        let mut group = GroupBuilder { max_members, max_bytes, ..GroupBuilder::default() };
        group.fill(&mut self.asked, (marks.0 + own.0, marks.1 + own.1));
        group.fill(&mut self.own, marks);
        // The engine's own left some of its quarter.
        group.fill(&mut self.asked, marks);
        let GroupBuilder { members, mut bytes, .. } = group;
        let mut marks = VecDeque::new();
        while let Some(control) = self.controls.front() {
            let size = control.entry.bytes.len();
            let count = members.len() + marks.len();
            if count > 0 && (count >= max_members || bytes + size > max_bytes) {
                break;
            }
            bytes += size;
            marks.extend(self.controls.pop_front());
        }
        (members, marks)
    }
}

/// How much of a share is needed: members and bytes. The first one is always part of it.
fn share(sizes: impl Iterator<Item = usize>, max_members: usize, max_bytes: usize) -> (usize, usize) {
    let (mut members, mut bytes) = (0, 0);
    for size in sizes.take(max_members) {
        if members > 0 && bytes + size > max_bytes {
            break;
        }
        members += 1;
        bytes += size;
    }
    (members, bytes)
}

#[derive(Default)]
struct GroupBuilder {
    max_members: usize,
    max_bytes: usize,
    bytes: usize,
    orders: HashSet<OrderRef>,
    members: VecDeque<Proposal>,
}

impl GroupBuilder {
    /// Takes from a queue what fits beside what is kept for others.
    fn fill(&mut self, from: &mut VecDeque<Proposal>, (kept, kept_bytes): (usize, usize)) {
        let mut left = VecDeque::new();
        while let Some(proposal) = from.pop_front() {
            let size = proposal.entry.bytes.len();
            let count = self.members.len() + kept;
            let fits =
                count == 0 || (count < self.max_members && kept_bytes + self.bytes + size <= self.max_bytes);
            if !fits {
                left.push_back(proposal);
                break;
            }
            if self.orders.insert(proposal.entry.order.clone()) {
                self.bytes += size;
                self.members.push_back(proposal);
            } else {
                left.push_back(proposal);
            }
        }
        left.append(from);
        *from = left;
    }
}

#[cfg(test)]
mod tests {
    use retailflow_engine::ports::{ControlEntry, DeadlineChange, OrderEntry};
    use retailflow_testkit::author::order;

    use super::*;
    use crate::messages::{ControlTicket, Ticket};

    fn record(number: u64, is_asked: bool) -> Proposal {
        Proposal {
            entry: OrderEntry {
                order: order("shop", &format!("o-{number}")),
                expected_revision: 0,
                next_revision: 1,
                deadline: DeadlineChange::Keep,
                bytes: Vec::from([0; 8]).into(),
            },
            ticket: Ticket::numbered(number),
            is_asked,
        }
    }

    fn limits(group_max_records: usize) -> Log {
        Log { group_max_records, ..retailflow_config::Config::default().log }
    }

    fn numbers(records: &VecDeque<Proposal>) -> Vec<u64> {
        records.iter().map(|record| record.ticket.number()).collect()
    }

    #[test]
    fn what_is_parked_has_a_share_of_each_group_however_many_records_wait() {
        let mut waiting = GroupQueue::default();
        (0..20).for_each(|number| waiting.push(record(number, true)));
        let entry = ControlEntry { order: order("shop", "parked"), bytes: Vec::from([0; 8]).into() };
        let ticket = ControlTicket::detached(entry.order.order.clone());
        waiting.controls.push_back(ControlProposal { entry, ticket });
        let (records, marks) = waiting.gather(&limits(4));
        assert_eq!((records.len(), marks.len(), waiting.asked.len()), (3, 1, 17));
        let (records, marks) = waiting.gather(&limits(4));
        assert_eq!((records.len(), marks.len()), (4, 0), "where nothing is parked, records have all");
    }

    #[test]
    fn a_caller_does_not_wait_behind_all_of_the_engines_own_nor_they_behind_callers() {
        let mut waiting = GroupQueue::default();
        (0..100).for_each(|number| waiting.push(record(number, false)));
        (100..103).for_each(|number| waiting.push(record(number, true)));
        let (records, _) = waiting.gather(&limits(8));
        assert_eq!(numbers(&records), [100, 101, 102, 0, 1, 2, 3, 4]);
        (200..300).for_each(|number| waiting.push(record(number, true)));
        let (records, _) = waiting.gather(&limits(8));
        assert_eq!(numbers(&records), [200, 201, 202, 203, 204, 205, 5, 6]);
        waiting.put_back(records, VecDeque::new());
        waiting.own.truncate(1);
        let (records, _) = waiting.gather(&limits(8));
        assert_eq!(
            numbers(&records),
            [200, 201, 202, 203, 204, 205, 206, 5],
            "what they do not need others have"
        );
    }
}
