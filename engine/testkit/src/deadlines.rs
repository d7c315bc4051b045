//! The suite of [`Deadlines`], which a log keeps with its commits.

use std::sync::Arc;

use super::Subject;
use crate::author::{Author, Writer, orders_in};
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::ports::{CommitError, DeadlineChange, Deadlines, DueOrder, EventLog};

/// The two ports that must agree.
pub struct LogWithDeadlines {
    /// Where commits go.
    pub log: Arc<dyn EventLog>,
    /// Where their deadlines show.
    pub deadlines: Arc<dyn Deadlines>,
}

const HOME: PartitionId = PartitionId(0);
const EVER: TimestampMs = TimestampMs(i64::MAX);

/// Runs every check.
pub async fn suite<S: Subject<Port = LogWithDeadlines>>(subject: &mut S) {
    a_commit_sets_moves_and_clears(subject).await;
    an_order_has_at_most_one(subject).await;
    the_most_overdue_comes_first(subject).await;
    only_due_ones_of_the_partition_are_listed(subject).await;
    a_refused_group_changes_none(subject).await;
    many_are_listed_whole(subject).await;
}

async fn list(port: &LogWithDeadlines, until: TimestampMs, limit: usize) -> Vec<(i64, OrderRef)> {
    let due = port.deadlines.list(HOME, None, until, limit).await.unwrap();
    due.into_iter().map(|DueOrder { at, order }| (at.0, order)).collect()
}

fn set(at: i64) -> DeadlineChange {
    DeadlineChange::Set(TimestampMs(at))
}

/// "After a commit is acknowledged, `list` MUST show its deadlines and no superseded one", at once and after
/// reopening: set, kept, moved both ways, cleared, set again.
pub async fn a_commit_sets_moves_and_clears<S: Subject<Port = LogWithDeadlines>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    assert_eq!(list(&port, EVER, 10).await, []);
    let order = orders_in(HOME, port.log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    let mut writer = Writer::open(&*port.log, HOME, 1).await;
    let changes = [
        (set(500), Some(500)),
        (DeadlineChange::Keep, Some(500)),
        (set(900), Some(900)),
        (set(100), Some(100)),
        (DeadlineChange::Clear, None),
        (DeadlineChange::Keep, None),
        (DeadlineChange::Clear, None),
        (set(-7), Some(-7)),
        (set(-7), Some(-7)),
        (set(i64::MAX), Some(i64::MAX)),
        (set(i64::MIN), Some(i64::MIN)),
    ];
    for (change, expected) in changes {
        writer.append(&*port.log, vec![author.write_deadline(change)], vec![]).await;
        let expected: Vec<_> = expected.map(|at| (at, order.clone())).into_iter().collect();
        assert_eq!(list(&port, EVER, 10).await, expected, "after {change:?}");
        port = subject.reopen(port).await;
        assert_eq!(list(&port, EVER, 10).await, expected, "after {change:?} and reopening");
    }
}

/// "An order has at most one deadline": however often it was set, also within one record.
pub async fn an_order_has_at_most_one<S: Subject<Port = LogWithDeadlines>>(subject: &mut S) {
    let port = subject.fresh().await;
    let order = orders_in(HOME, port.log.identity().partitions, 1).remove(0);
    let mut author = Author::new(&order);
    let mut writer = Writer::open(&*port.log, HOME, 1).await;
    for at in [5, 3, 8, 8, 1, 9] {
        writer.append(&*port.log, vec![author.write_deadline(set(at))], vec![]).await;
        assert_eq!(list(&port, EVER, 10).await, [(at, order.clone())]);
    }
    // A record of the domain's own, of several decisions of which the first sets a deadline.
    let placed = Author::new(&orders_in(HOME, port.log.identity().partitions, 2)[1]).write(3);
    let DeadlineChange::Set(at) = placed.deadline else { panic!("an open order waits for something") };
    writer.append(&*port.log, vec![placed.clone()], vec![]).await;
    assert_eq!(list(&port, EVER, 10).await, [(9, order), (at.0, placed.order)]);
}

/// "Order MUST be by time, the most overdue first; ties in a stable order"; and a limit keeps the most overdue.
pub async fn the_most_overdue_comes_first<S: Subject<Port = LogWithDeadlines>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    let orders = orders_in(HOME, port.log.identity().partitions, 6);
    let mut writer = Writer::open(&*port.log, HOME, 1).await;
    let times = [300, 100, 200, 100, -50, 200];
    for (order, at) in orders.iter().zip(times) {
        writer.append(&*port.log, vec![Author::new(order).write_deadline(set(at))], vec![]).await;
    }
    let all = list(&port, EVER, 100).await;
    assert_eq!(all.iter().map(|due| due.0).collect::<Vec<_>>(), [-50, 100, 100, 200, 200, 300]);
    for _ in 0..2 {
        for limit in 0..=7 {
            assert_eq!(list(&port, EVER, limit).await, all[..limit.min(6)], "a limit of {limit}");
        }
        port = subject.reopen(port).await;
    }
}

/// `list` gives what is due "at `until` or before", of its partition alone.
pub async fn only_due_ones_of_the_partition_are_listed<S: Subject<Port = LogWithDeadlines>>(subject: &mut S) {
    let port = subject.fresh().await;
    let partitions = port.log.identity().partitions;
    let order = orders_in(HOME, partitions, 1).remove(0);
    let mut writer = Writer::open(&*port.log, HOME, 1).await;
    writer.append(&*port.log, vec![Author::new(&order).write_deadline(set(1000))], vec![]).await;
    if partitions > 1 {
        let there = PartitionId(1);
        let elsewhere = orders_in(there, partitions, 1).remove(0);
        let mut writer = Writer::open(&*port.log, there, 1).await;
        writer.append(&*port.log, vec![Author::new(&elsewhere).write_deadline(set(1))], vec![]).await;
        let there = port.deadlines.list(there, None, EVER, 10).await.unwrap();
        assert_eq!(there, [DueOrder { at: TimestampMs(1), order: elsewhere }]);
    }
    assert_eq!(list(&port, TimestampMs(999), 10).await, []);
    assert_eq!(list(&port, TimestampMs(1000), 10).await, [(1000, order)]);
}

/// Deadlines are changed "only by committed records": a group that was refused changes none, and the same group
/// twice changes them once.
pub async fn a_refused_group_changes_none<S: Subject<Port = LogWithDeadlines>>(subject: &mut S) {
    let port = subject.fresh().await;
    let orders = orders_in(HOME, port.log.identity().partitions, 2);
    let mut writer = Writer::open(&*port.log, HOME, 2).await;
    let mut author = Author::new(&orders[0]);
    let mut stale = author.clone();
    let (group, _) = writer.append(&*port.log, vec![author.write_deadline(set(10))], vec![]).await;
    let records =
        vec![Author::new(&orders[1]).write_deadline(set(1)), stale.write_deadline(DeadlineChange::Clear)];
    let answer = port.log.commit(writer.group(records, vec![])).await;
    assert_eq!(answer, Err(CommitError::Conflict(orders[0].clone())));
    let fenced =
        Writer { epoch: 1, ..writer.clone() }.group(vec![author.clone().write_deadline(set(7))], vec![]);
    assert_eq!(port.log.commit(fenced).await, Err(CommitError::Fenced { epoch: 2 }));
    port.log.commit(group).await.unwrap();
    assert_eq!(list(&port, EVER, 10).await, [(10, orders[0].clone())]);
}

/// Take-over lists all open orders of its partition: none is left out.
pub async fn many_are_listed_whole<S: Subject<Port = LogWithDeadlines>>(subject: &mut S) {
    let port = subject.fresh().await;
    let orders = orders_in(HOME, port.log.identity().partitions, 300);
    let mut writer = Writer::open(&*port.log, HOME, 1).await;
    for (at, chunk) in orders.chunks(60).enumerate() {
        let at = i64::try_from(at % 3).unwrap();
        let records = chunk.iter().map(|order| Author::new(order).write_deadline(set(at))).collect();
        writer.append(&*port.log, records, vec![]).await;
    }
    let port = subject.reopen(port).await;
    let mut listed: Vec<OrderRef> =
        list(&port, EVER, 1000).await.into_iter().map(|(_, order)| order).collect();
    let mut expected = orders;
    let mut pieces = Vec::new();
    let mut after: Option<DueOrder> = None;
    loop {
        let piece = port.deadlines.list(HOME, after.as_ref(), EVER, 7).await.unwrap();
        let Some(last) = piece.last() else { break };
        after = Some(last.clone());
        pieces.extend(piece.into_iter().map(|due| due.order));
    }
    assert_eq!(pieces, listed, "piece by piece");
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}
