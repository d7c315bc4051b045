//! The suite of [`EventLog`].

mod checkpoint;
mod fencing;
mod groups;
mod parking;
mod reading;

use std::sync::Arc;

use super::Subject;
use crate::author::{Writer, head_after};
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::GENESIS;
use retailflow_engine::ports::{
    EventLog, Group, LogPosition, LoggedEntry, LoggedGroup, ParkedOrder, PartitionHead,
};

pub use checkpoint::*;
pub use fencing::*;
pub use groups::*;
pub use parking::*;
pub use reading::*;

/// The port under test.
pub type Log = Arc<dyn EventLog>;

/// The partition in which most checks take place.
const HOME: PartitionId = PartitionId(0);

/// Runs every check.
pub async fn suite<S: Subject<Port = Log>>(subject: &mut S) {
    a_new_log_is_empty(subject).await;
    acknowledged_is_read_at_once(subject).await;
    acknowledged_is_there_after_reopening(subject).await;
    a_group_is_all_or_none(subject).await;
    a_conflict_names_a_stale_order_and_the_others_go_on(subject).await;
    a_group_holds_at_most_one_record_an_order(subject).await;
    a_lone_fence_is_a_group(subject).await;
    many_orders_share_a_group(subject).await;
    no_reader_sees_a_group_in_part(subject).await;
    partitions_do_not_meet(subject).await;
    a_lower_epoch_is_fenced(subject).await;
    a_zombie_is_fenced_whatever_it_sends(subject).await;
    a_group_of_the_same_epoch_must_follow(subject).await;
    the_same_group_again_is_ok_and_writes_nothing(subject).await;
    a_group_after_a_missing_one_is_log_regressed(subject).await;
    read_order_gives_what_holds_later_decisions(subject).await;
    scan_in_pieces_is_scan_at_once(subject).await;
    a_probe_leaves_nothing(subject).await;
    parked_follows_the_control_records(subject).await;
    parked_commands_follow_the_control_records(subject).await;
    a_parked_commands_number_is_used_once(subject).await;
    parked_commands_in_pieces_are_all_of_them(subject).await;
    a_large_record_is_kept(subject).await;
    a_chain_that_starts_at_a_checkpoint_verifies(subject).await;
    a_checkpoint_within_a_chain_verifies(subject).await;
}

/// Everything that can be read of a log, but for the orders' records: two equal pictures mean that nothing was
/// written between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    heads: Vec<PartitionHead>,
    parked: Vec<Vec<ParkedOrder>>,
    groups: Vec<LoggedGroup>,
}

/// Takes the picture of a log.
pub async fn picture(log: &dyn EventLog) -> Picture {
    let mut heads = Vec::new();
    let mut parked = Vec::new();
    for partition in (0..log.identity().partitions.min(4)).map(PartitionId) {
        heads.push(log.head(partition).await.unwrap());
        parked.push(log.parked(partition).await.unwrap());
    }
    Picture { heads, parked, groups: scan(log, usize::MAX).await }
}

/// All groups of a log, read in pieces of `piece_bytes`.
pub async fn scan(log: &dyn EventLog, piece_bytes: usize) -> Vec<LoggedGroup> {
    let mut groups: Vec<LoggedGroup> = Vec::new();
    loop {
        let after = groups.last().map_or(LogPosition(0), |group| group.position);
        let piece = log.scan(after, piece_bytes).await.unwrap();
        if piece.is_empty() {
            return groups;
        }
        for group in piece {
            let last = groups.last().map_or(LogPosition(0), |group| group.position);
            assert!(group.position > last, "positions rise: {:?} after {last:?}", group.position);
            groups.push(group);
        }
    }
}

/// What `group` must look like when read back, but for its position.
pub fn assert_is(logged: &LoggedGroup, group: &Group) {
    assert_eq!(logged.fence, group.fence.encode().unwrap(), "the fence of group {}", group.fence.group);
    let records = group.records.iter().map(|record| LoggedEntry::Record(record.bytes.to_vec()));
    let controls = group.controls.iter().map(|control| LoggedEntry::Control(control.bytes.to_vec()));
    assert_eq!(logged.entries, records.chain(controls).collect::<Vec<_>>(), "group {}", group.fence.group);
}

/// The bytes of an order's records after a revision.
pub async fn read(log: &dyn EventLog, order: &OrderRef, after_revision: u64) -> Vec<Vec<u8>> {
    let records = log.read_order(order, after_revision).await.unwrap();
    assert!(records.is_sorted_by(|a, b| a.position < b.position), "{order}: positions must rise");
    records.into_iter().map(|record| record.bytes).collect()
}

fn park(order: &OrderRef, reason: &str) -> Control {
    Control::Park { order: order.clone(), reason: reason.into(), at: crate::author::CONTEXT.now }
}

pub(super) fn parked_command(order: &OrderRef, sequence: u64) -> Control {
    Control::ParkedCommand {
        order: order.clone(),
        sequence,
        key: format!("/contract\0p-{sequence}"),
        content_hash: [3; 32],
        body: b"{}".to_vec(),
        actor: retailflow_engine::codec::v1::ActorV1::Tenant,
        trace_id: None,
        at: crate::author::CONTEXT.now,
    }
}

fn release(order: &OrderRef) -> Control {
    Control::Release { order: order.clone(), actor: "operator".into(), at: crate::author::CONTEXT.now }
}

/// The beginning: nothing is there, and it is said so rather than refused.
pub async fn a_new_log_is_empty<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let identity = log.identity();
    assert!(identity.partitions > 0, "a log of no partitions");
    assert_eq!(identity, log.identity(), "the identity stays");
    assert_eq!(log.head(HOME).await.unwrap(), PartitionHead { fence: None, hash: GENESIS });
    assert_eq!(log.parked(HOME).await.unwrap(), []);
    assert_eq!(scan(&*log, usize::MAX).await, []);
    assert_eq!(read(&*log, &crate::author::order("nobody", "nothing"), 0).await, Vec::<Vec<u8>>::new());
    let first = Writer::open(&*log, HOME, 1).await.group(vec![], vec![]);
    log.commit(first.clone()).await.unwrap();
    assert_eq!(log.head(HOME).await.unwrap(), head_after(&first));
}
