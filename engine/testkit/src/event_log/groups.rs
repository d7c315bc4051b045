//! Groups: whole or not at all, and durable.

use std::pin::pin;
use std::task::Poll;

use super::super::Subject;
use super::{HOME, Log, assert_is, park, parked_command, picture, read, scan};
use crate::author::{Author, Writer, control, head_after, orders_in};
use retailflow_engine::codec::fence::{Fence, group_digest};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{CommitError, EventLog, LoggedEntry};

/// "MUST append all entries of the group": records and controls, fence first, as they were given; and `head`,
/// `read_order`, `parked` and `scan` show them as soon as `commit` has answered.
pub async fn acknowledged_is_read_at_once<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 3);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let (mut one, mut two) = (Author::new(&orders[0]), Author::new(&orders[1]));
    let controls = vec![control(&park(&orders[2], "it crashes")), control(&parked_command(&orders[2], 1))];
    let records = vec![one.write(3), two.write(1)];
    let (group, commit) = writer.append(&*log, records.clone(), controls).await;
    assert_eq!(log.head(HOME).await.unwrap(), head_after(&group));
    assert_eq!(read(&*log, &orders[0], 0).await, [records[0].bytes.to_vec()]);
    assert_eq!(read(&*log, &orders[1], 0).await, [records[1].bytes.to_vec()]);
    let parked = log.parked(HOME).await.unwrap();
    assert_eq!((&parked[0].order, parked[0].queued, parked.len()), (&orders[2], 1, 1));
    let groups = scan(&*log, usize::MAX).await;
    assert_eq!((groups.len(), groups[0].position), (1, commit.position));
    assert_is(&groups[0], &group);
}

/// "MUST return `Ok` only when they are durable": after reopening, all of it is there and the log goes on.
pub async fn acknowledged_is_there_after_reopening<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let identity = log.identity();
    let orders = orders_in(HOME, identity.partitions, 5);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    for round in 0..6 {
        let records = authors.iter_mut().skip(round % 3).map(|author| author.write(1 + round)).collect();
        writer.append(&*log, records, vec![control(&park(&orders[round % 5], "again"))]).await;
    }
    let mut histories = Vec::new();
    for order in &orders {
        histories.push(read(&*log, order, 0).await);
    }
    let before = picture(&*log).await;
    let log = subject.reopen(log).await;
    assert_eq!(log.identity(), identity, "the identity outlives the process");
    assert_eq!(picture(&*log).await, before, "what was acknowledged outlives the process");
    for (order, history) in orders.iter().zip(&histories) {
        assert_eq!(read(&*log, order, 0).await, *history, "{order}");
    }
    let record = authors[0].write(1);
    writer.append(&*log, vec![record.clone()], vec![]).await;
    assert_eq!(read(&*log, &orders[0], 0).await.last().unwrap(), &record.bytes.to_vec());
}

/// "all entries of the group or none": a conflict in the middle leaves no trace of its neighbours.
pub async fn a_group_is_all_or_none<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 4);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let mut stale = Author::new(&orders[1]);
    let mut behind = stale.clone();
    writer.append(&*log, vec![stale.write(2)], vec![]).await;
    let before = picture(&*log).await;
    let records = vec![Author::new(&orders[0]).write(1), behind.write(1), Author::new(&orders[2]).write(1)];
    let group = writer.group(records, vec![control(&park(&orders[3], "no"))]);
    assert_eq!(log.commit(group).await, Err(CommitError::Conflict(orders[1].clone())));
    assert_eq!(picture(&*log).await, before, "a refused group leaves no trace");
    for order in [&orders[0], &orders[2], &orders[3]] {
        assert!(read(&*log, order, 0).await.is_empty(), "{order} was written by a refused group");
    }
}

/// "MUST refuse with `Conflict` a group holding a record whose `expected_revision` is not the order's; it names one
/// such order": behind and ahead alike; without them the same group number is taken.
pub async fn a_conflict_names_a_stale_order_and_the_others_go_on<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 4);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let mut behind = Author::new(&orders[0]);
    writer.append(&*log, vec![behind.clone().write(1)], vec![]).await;
    let mut ahead = Author::new(&orders[1]);
    ahead.write(1);
    let mut records = vec![
        Author::new(&orders[2]).write(1),
        behind.write(1),
        ahead.write(1),
        Author::new(&orders[3]).write(2),
    ];
    let mut refused = Vec::new();
    while let Err(error) = log.commit(writer.group(records.clone(), vec![])).await {
        let CommitError::Conflict(order) = error else { panic!("a conflict expected: {error:?}") };
        assert!(orders[..2].contains(&order), "{order} was not stale");
        records.retain(|record| record.order != order);
        assert!(!refused.contains(&order), "{order} was named and then named again");
        refused.push(order);
    }
    assert_eq!(refused.len(), 2, "both stale orders were named, one after another");
    writer.acknowledged(&writer.group(records.clone(), vec![]));
    assert_eq!(read(&*log, &orders[2], 0).await, [records[0].bytes.to_vec()]);
    assert_eq!(read(&*log, &orders[3], 0).await, [records[1].bytes.to_vec()]);
    assert_eq!(log.head(HOME).await.unwrap(), writer.head);
}

/// `Group::records`, "at most one a order": two would make two truths of one revision, or hide one from the index.
pub async fn a_group_holds_at_most_one_record_an_order<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let writer = Writer::open(&*log, HOME, 1).await;
    let before = picture(&*log).await;
    let mut author = Author::new(&order);
    let twice_the_same = vec![author.clone().write(1), author.clone().write(1)];
    let one_after_another = vec![author.write(1), author.write(1)];
    for records in [twice_the_same, one_after_another] {
        let answer = log.commit(writer.group(records, vec![])).await;
        assert_eq!(answer, Err(CommitError::Conflict(order.clone())), "two records of one order in a group");
        assert_eq!(picture(&*log).await, before);
    }
}

/// A group may be its fence alone: a take-over, or a floor that moves.
pub async fn a_lone_fence_is_a_group<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let mut writer = Writer::open(&*log, HOME, 3).await;
    for _ in 0..3 {
        writer.append(&*log, vec![], vec![]).await;
    }
    let log = subject.reopen(log).await;
    assert_eq!(log.head(HOME).await.unwrap(), writer.head);
    let groups = scan(&*log, usize::MAX).await;
    assert!(groups.len() == 3 && groups.iter().all(|group| group.entries.is_empty()));
}

/// A probe is seen by no reader, before or after anything else, and what is committed after it is as if there had been none.
pub async fn a_probe_leaves_nothing<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let empty = picture(&*log).await;
    log.probe(HOME).await.unwrap();
    assert_eq!(picture(&*log).await, empty);
    let order = orders_in(HOME, log.identity().partitions, 1).remove(0);
    let (mut writer, mut author) = (Writer::open(&*log, HOME, 1).await, Author::new(&order));
    for round in 1..=3 {
        writer.append(&*log, vec![author.write(round)], vec![]).await;
        let before = picture(&*log).await;
        for _ in 0..3 {
            log.probe(HOME).await.unwrap();
        }
        assert_eq!(picture(&*log).await, before);
    }
    let log = subject.reopen(log).await;
    assert_eq!(log.head(HOME).await.unwrap(), writer.head);
    assert_eq!(read(&*log, &order, 0).await.len(), 3);
}

/// A group holds many orders' records, and each is found by its own order.
pub async fn many_orders_share_a_group<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 100);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    for round in 1..=2 {
        let records = authors.iter_mut().map(|author| author.write(round)).collect();
        writer.append(&*log, records, vec![]).await;
    }
    for (order, author) in orders.iter().zip(&authors) {
        let records = read(&*log, order, 0).await;
        assert_eq!(records.len(), 2, "{order}");
        assert_eq!(crate::author::verify_chain(order, &records), author.aggregate.revision);
    }
}

/// "A reader MUST NOT see a group in part": while commits are under way, every group read is whole.
pub async fn no_reader_sees_a_group_in_part<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let orders = orders_in(HOME, log.identity().partitions, 20);
    let mut writer = Writer::open(&*log, HOME, 1).await;
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    for round in 1..=8 {
        let group = writer.group(authors.iter_mut().map(|author| author.write(2)).collect(), vec![]);
        let mut commit = pin!(log.commit(group.clone()));
        // Begun, and most likely not yet answered.
        let begun = std::future::poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await;
        assert_whole(&*log).await;
        let (first, last) = (read(&*log, &orders[0], 0).await.len(), read(&*log, &orders[19], 0).await.len());
        assert!(first <= last, "{first} records of the first order, then {last} of the last one");
        match begun {
            Poll::Ready(answer) => answer.unwrap(),
            Poll::Pending => commit.await.unwrap(),
        };
        writer.acknowledged(&group);
        assert_whole(&*log).await;
        assert_eq!(read(&*log, &orders[19], 0).await.len(), round);
    }
}

async fn assert_whole(log: &dyn EventLog) {
    for group in scan(log, usize::MAX).await {
        let fence = Fence::decode(&group.fence).unwrap();
        let parts = group.entries.iter().map(|entry| match entry {
            LoggedEntry::Record(bytes) | LoggedEntry::Control(bytes) => &**bytes,
        });
        assert_eq!((fence.entries as usize, fence.digest), (group.entries.len(), group_digest(parts)));
    }
}

/// Each partition has a chain of groups and a list of parked orders of its own; one never fences another.
pub async fn partitions_do_not_meet<S: Subject<Port = Log>>(subject: &mut S) {
    let log = subject.fresh().await;
    let partitions = log.identity().partitions;
    if partitions < 2 {
        return;
    }
    let there = PartitionId(partitions - 1);
    let (mut here_writer, mut there_writer) =
        (Writer::open(&*log, HOME, 1).await, Writer::open(&*log, there, 9).await);
    let (mut one, mut two) =
        (Author::new(&orders_in(HOME, partitions, 1)[0]), Author::new(&orders_in(there, partitions, 1)[0]));
    for _ in 0..3 {
        there_writer.append(&*log, vec![two.write(1)], vec![]).await;
        here_writer.append(&*log, vec![one.write(1)], vec![]).await;
    }
    let stuck = orders_in(there, partitions, 2).remove(1);
    there_writer.append(&*log, vec![], vec![control(&park(&stuck, "it crashes"))]).await;
    let log = subject.reopen(log).await;
    assert_eq!(log.head(HOME).await.unwrap(), here_writer.head);
    assert_eq!(log.head(there).await.unwrap(), there_writer.head);
    assert_eq!(log.parked(HOME).await.unwrap(), []);
    assert_eq!(
        log.parked(there).await.unwrap().iter().map(|parked| &parked.order).collect::<Vec<_>>(),
        [&stuck]
    );
    assert_eq!(scan(&*log, usize::MAX).await.len(), 7);
}
