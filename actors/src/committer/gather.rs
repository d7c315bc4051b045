//! Who goes into the next group.

use std::collections::{HashSet, VecDeque};

use retailflow_config::Log;
use retailflow_engine::ids::OrderRef;

use super::{ControlProposal, Proposal};

/// The next group's members: at most one record an order, bounded by count and bytes. Records leave an eighth of it to what
/// is parked, if any waits: a park mark behind as many records as fill groups would never be written.
pub(super) fn gather(
    proposals: &mut VecDeque<Proposal>,
    controls: &mut VecDeque<ControlProposal>,
    limits: &Log,
) -> (VecDeque<Proposal>, VecDeque<ControlProposal>) {
    let (max_members, max_bytes) = (limits.group_max_records, limits.group_max_bytes);
    let (mut kept, mut kept_bytes) = (0, 0);
    for control in controls.iter().take(max_members.div_ceil(8)) {
        let size = control.entry.bytes.len();
        if kept > 0 && kept_bytes + size > max_bytes / 8 {
            break;
        }
        kept += 1;
        kept_bytes += size;
    }
    let mut bytes = 0;
    let mut orders: HashSet<OrderRef> = HashSet::new();
    let mut taken = VecDeque::new();
    let mut left = VecDeque::new();
    while let Some(proposal) = proposals.pop_front() {
        let size = proposal.entry.bytes.len();
        let members = taken.len() + kept;
        let fits = members == 0 || (members < max_members && kept_bytes + bytes + size <= max_bytes);
        if !fits {
            left.push_back(proposal);
            break;
        }
        if orders.insert(proposal.entry.order.clone()) {
            bytes += size;
            taken.push_back(proposal);
        } else {
            left.push_back(proposal);
        }
    }
    left.append(proposals);
    *proposals = left;
    let mut marks = VecDeque::new();
    while let Some(control) = controls.front() {
        let size = control.entry.bytes.len();
        let members = taken.len() + marks.len();
        if members > 0 && (members >= max_members || bytes + size > max_bytes) {
            break;
        }
        bytes += size;
        marks.extend(controls.pop_front());
    }
    (taken, marks)
}

#[cfg(test)]
mod tests {
    use retailflow_engine::contract::author::order;
    use retailflow_engine::ports::{ControlEntry, DeadlineChange, OrderEntry};

    use super::*;
    use crate::committer::Ticket;
    use crate::parking::ControlTicket;

    #[test]
    fn what_is_parked_has_a_share_of_each_group_however_many_records_wait() {
        let limits = Log { group_max_records: 4, ..retailflow_config::Config::default().log };
        let record = |number: u64| Proposal {
            entry: OrderEntry {
                order: order("shop", &format!("o-{number}")),
                expected_revision: 0,
                next_revision: 1,
                deadline: DeadlineChange::Keep,
                bytes: Vec::from([0; 8]).into(),
            },
            ticket: Ticket { order: None, number },
        };
        let mut proposals: VecDeque<Proposal> = (0..20).map(record).collect();
        let entry = ControlEntry { order: order("shop", "parked"), bytes: Vec::from([0; 8]).into() };
        let ticket = ControlTicket::untold(entry.order.order.clone());
        let mut controls = VecDeque::from([ControlProposal { entry, ticket }]);
        let (records, marks) = gather(&mut proposals, &mut controls, &limits);
        assert_eq!((records.len(), marks.len(), proposals.len()), (3, 1, 17));
        let (records, marks) = gather(&mut proposals, &mut controls, &limits);
        assert_eq!((records.len(), marks.len()), (4, 0), "where nothing is parked, records have all");
    }
}
