//! Chains that begin at a checkpoint: v1 reserves them, so the log must carry them.

use super::super::Subject;
use super::{HOME, Log, read};
use crate::author::{Author, RECENT_MAX, Writer, orders_in, verify_chain};
use retailflow_engine::codec::record::summary;
use retailflow_engine::codec::v1::{self, BodyV1};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::chain_hash;
use retailflow_engine::order::Aggregate;

/// Section 9: "a chain that starts at a checkpoint verifies". A log that has never seen the order takes a checkpoint
/// that stands for its first decisions, and goes on from there.
pub async fn a_chain_that_starts_at_a_checkpoint_verifies<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let log_id = log.identity().log_id;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    author.write(2);
    author.write(3);
    let checkpoint = author.checkpoint(0, log_id);
    let agreed = summary(&checkpoint.bytes).unwrap();
    assert_eq!((agreed.expected_revision, agreed.next_revision), (0, 5));
    assert_eq!((&agreed.order, agreed.deadline), (&order, checkpoint.deadline));
    let mut writer = Writer::open(&*log, HOME, 1).await;
    writer.append(&*log, vec![checkpoint.clone()], vec![]).await;
    let later = author.write(2);
    assert_eq!(later.expected_revision, 5);
    writer.append(&*log, vec![later.clone()], vec![]).await;
    let log = subject.reopen(log).await;
    let records = read(&*log, &order, 0).await;
    assert_eq!(records, [checkpoint.bytes.to_vec(), later.bytes.to_vec()]);
    assert_eq!(verify_chain(&order, &records), 7);
    assert_eq!(folded(&order, log_id, &records), author.aggregate);
    assert_eq!(read(&*log, &order, 5).await, [later.bytes.to_vec()]);
}

/// A checkpoint is written behind the records it stands for; they may be archived later. Before and after that the
/// chain verifies, and the order is the same.
pub async fn a_checkpoint_within_a_chain_verifies<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let log_id = log.identity().log_id;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    writer.append(&*log, vec![author.write(3)], vec![]).await;
    let checkpoint = author.checkpoint(3, log_id);
    assert_eq!((checkpoint.expected_revision, checkpoint.next_revision), (3, 3));
    writer.append(&*log, vec![checkpoint], vec![]).await;
    writer.append(&*log, vec![author.write(1)], vec![]).await;
    let log = subject.reopen(log).await;
    let records = read(&*log, &order, 0).await;
    assert_eq!((records.len(), verify_chain(&order, &records)), (3, 4));
    assert_eq!(verify_chain(&order, &records[1..]), 4, "without what the checkpoint stands for");
    assert_eq!(folded(&order, log_id, &records[1..]), author.aggregate);
}

/// The order that a chain beginning at a checkpoint leads to.
fn folded(order: &OrderRef, log_id: [u8; 16], records: &[Vec<u8>]) -> Aggregate {
    let BodyV1::Checkpoint(checkpoint) = v1::decode(&records[0]).unwrap().body else {
        panic!("a checkpoint")
    };
    let mut aggregate = Aggregate::from_snapshot(order, log_id, &checkpoint.state).unwrap();
    assert_eq!(aggregate.revision, checkpoint.revision);
    aggregate.chain = chain_hash(&records[0]);
    for record in &records[1..] {
        aggregate.fold(record, RECENT_MAX).unwrap();
    }
    aggregate
}
