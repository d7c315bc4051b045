//! Two processes that both believe they own a partition, each with a memory of its own.

use std::sync::Arc;

use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::ports::{CommitError, DeadlineChange, Deadlines, DueOrder, EventLog};
use retailflow_testkit::author::{Author, Writer, control, orders_in};
use retailflow_testkit::event_log::{picture, read, scan};

use crate::nats::server_or_skip;
use crate::world::World;

const HOME: PartitionId = PartitionId(0);

/// An owner that was away while another took over: its lone fence, its next group, its last one again, all refused, and
/// none of them leaves a trace, although its memory says that they fit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_writes_nothing_after_a_take_over() {
    let Some(binary) = server_or_skip("a_zombie_writes_nothing_after_a_take_over") else { return };
    let world = World::new(&binary, 4, 2).await;
    let (ours, theirs) = (world.open().await, world.open().await);
    let orders = orders_in(HOME, 4, 2);
    let mut author = Author::new(&orders[0]);
    let mut zombie = Writer::open(&*ours, HOME, 1).await;
    let (acknowledged, _) = zombie.append(&*ours, vec![author.write(1)], vec![]).await;
    let mut owner = Writer::open(&*theirs, HOME, 2).await;
    owner.append(&*theirs, vec![], vec![]).await;
    let before = picture(&*theirs).await;
    let lone = zombie.group(vec![], vec![]);
    let group = zombie.group(vec![author.clone().write(1), Author::new(&orders[1]).write(1)], vec![]);
    for group in [lone, group, acknowledged] {
        for _ in 0..2 {
            assert_eq!(ours.commit(group.clone()).await, Err(CommitError::Fenced { epoch: 2 }));
        }
    }
    assert_eq!(picture(&*theirs).await, before);
    assert_eq!(picture(&*ours).await, before, "both see the same");
    owner.append(&*theirs, vec![author.write(1)], vec![]).await;
    assert_eq!(read(&*ours, &orders[0], 0).await.len(), 2);
}

/// Ownership goes to and fro: whoever has it goes on where the other one stopped, whatever it remembers of the orders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ownership_goes_to_and_fro() {
    let Some(binary) = server_or_skip("ownership_goes_to_and_fro") else { return };
    let world = World::new(&binary, 1, 1).await;
    let logs = [world.open().await, world.open().await];
    let orders = orders_in(HOME, 1, 3);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    for epoch in 1..=6 {
        let log = &logs[epoch as usize % 2];
        let mut owner = Writer::open(&**log, HOME, epoch).await;
        // Without a lone fence first: the record itself takes over.
        for number in 0..3 {
            let records = authors.iter_mut().skip(number).map(|author| author.write(1)).collect();
            owner.append(&**log, records, vec![]).await;
        }
        // One that everybody is wrong about: its author has missed what was written last.
        let mut stale = Author::new(&orders[2]);
        let group = owner.group(vec![authors[0].clone().write(1), stale.write(1)], vec![]);
        assert_eq!(log.commit(group).await, Err(CommitError::Conflict(orders[2].clone())));
    }
    for log in &logs {
        assert_eq!(read(&**log, &orders[2], 0).await.len(), 18);
        assert_eq!(scan(&**log, usize::MAX).await.len(), 18);
    }
}

/// What one process keeps in memory of parked orders and deadlines is right after another one has written, also where
/// that one took something away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_right_after_another_writer() {
    let Some(binary) = server_or_skip("lists_are_right_after_another_writer") else { return };
    let world = World::new(&binary, 2, 1).await;
    let (ours, theirs) = (world.open().await, world.open().await);
    let orders = orders_in(HOME, 2, 3);
    let park = |order: &OrderRef| {
        control(&Control::Park { order: order.clone(), reason: "it crashes".into(), at: TimestampMs(1) })
    };
    let release = |order: &OrderRef| {
        control(&Control::Release { order: order.clone(), actor: "ops".into(), at: TimestampMs(1) })
    };
    let set = |at| DeadlineChange::Set(TimestampMs(at));
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut owner = Writer::open(&*ours, HOME, 1).await;
    let records = vec![authors[0].write_deadline(set(10)), authors[1].write_deadline(set(20))];
    owner.append(&*ours, records, vec![park(&orders[0])]).await;
    for log in [&ours, &theirs] {
        assert_eq!(due(log.as_ref()).await, [(10, orders[0].clone()), (20, orders[1].clone())]);
        assert_eq!(parked(log.as_ref()).await, [orders[0].clone()]);
    }
    let mut owner = Writer::open(&*theirs, HOME, 2).await;
    let records = vec![
        authors[0].write_deadline(DeadlineChange::Clear),
        authors[1].write_deadline(set(5)),
        authors[2].write_deadline(set(7)),
    ];
    owner.append(&*theirs, records, vec![release(&orders[0]), park(&orders[1])]).await;
    for log in [&theirs, &ours] {
        assert_eq!(due(log.as_ref()).await, [(5, orders[1].clone()), (7, orders[2].clone())]);
        assert_eq!(parked(log.as_ref()).await, [orders[1].clone()]);
    }
    let mut owner = Writer::open(&*ours, HOME, 3).await;
    owner.append(&*ours, vec![authors[1].write_deadline(DeadlineChange::Clear)], vec![]).await;
    assert_eq!(due(ours.as_ref()).await, [(7, orders[2].clone())]);
    assert_eq!(due(theirs.as_ref()).await, [(7, orders[2].clone())]);
}

/// Whoever writes a partition knows by itself which orders are new there: those that stood there before are none, nor are its own, and
/// what it knew is forgotten once another one is seen to have written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_knows_which_orders_are_new() {
    let Some(binary) = server_or_skip("a_writer_knows_which_orders_are_new") else { return };
    let world = World::new(&binary, 2, 1).await;
    let orders = orders_in(HOME, 2, 5);
    let [before, first, own, foreign, new] = [0, 1, 2, 3, 4].map(|at| &orders[at]);
    let theirs = world.open().await;
    let mut owner = Writer::open(&*theirs, HOME, 1).await;
    owner.append(&*theirs, vec![Author::new(before).write(1)], vec![]).await;

    let ours = world.open().await;
    assert!(!ours.seems_new(new), "nothing is known of a partition that is not written here");
    let mut zombie = Writer::open(&*ours, HOME, 2).await;
    zombie.append(&*ours, vec![Author::new(first).write(1)], vec![]).await;
    until(|| ours.seems_new(new)).await;
    zombie.append(&*ours, vec![Author::new(own).write(1)], vec![]).await;
    let known = [before, first, own, new].map(|order| ours.seems_new(order));
    assert_eq!(known, [false, false, false, true]);

    let mut owner = Writer::open(&*theirs, HOME, 3).await;
    owner.append(&*theirs, vec![Author::new(foreign).write(1)], vec![]).await;
    // It cannot know better; what it builds on that is refused.
    let group = zombie.group(vec![Author::new(foreign).write(1)], vec![]);
    assert_eq!(ours.commit(group).await, Err(CommitError::Fenced { epoch: 3 }));
    assert!(!ours.seems_new(foreign) && !ours.seems_new(new));
    until(|| theirs.seems_new(new)).await;
    assert_eq!([before, first, own, foreign].map(|order| theirs.seems_new(order)), [false; 4]);
}

/// An order of which it is wrongly believed that it is new: the server says so, and it is believed no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_not_new_is_told_by_the_conflict() {
    let Some(binary) = server_or_skip("an_order_that_is_not_new_is_told_by_the_conflict") else { return };
    let world = World::new(&binary, 1, 1).await;
    let log = world.open().await;
    let orders = orders_in(HOME, 1, 2);
    let mut owner = Writer::open(&*log, HOME, 1).await;
    owner.append(&*log, vec![], vec![]).await;
    until(|| log.seems_new(&orders[0])).await;
    owner.append(&*log, vec![Author::new(&orders[0]).write(2)], vec![]).await;
    let again = owner.group(vec![Author::new(&orders[0]).write(1), Author::new(&orders[1]).write(1)], vec![]);
    assert_eq!(log.commit(again).await, Err(CommitError::Conflict(orders[0].clone())));
    assert!(!log.seems_new(&orders[0]));
    assert_eq!(read(&*log, &orders[0], 0).await.len(), 1);
}

/// Until it is so; it is found out in the background.
async fn until(holds: impl Fn() -> bool) {
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(5));
    for _ in 0..4_000 {
        if holds() {
            return;
        }
        pace.tick().await;
    }
    panic!("it never came to hold");
}

/// Groups go on while somebody looks at what is open, and nothing of either is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_right_while_groups_come() {
    let Some(binary) = server_or_skip("lists_are_right_while_groups_come") else { return };
    let world = World::new(&binary, 1, 1).await;
    let (ours, theirs) = (world.open().await, world.open().await);
    let orders = orders_in(HOME, 1, 60);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let set = |at: usize| DeadlineChange::Set(TimestampMs(at as i64));
    for (log, epoch) in [(&theirs, 1), (&ours, 2)] {
        let mut owner = Writer::open(&**log, HOME, epoch).await;
        let looking = {
            let log = log.clone();
            tokio::spawn(async move {
                for _ in 0..30 {
                    due(log.as_ref()).await;
                    parked(log.as_ref()).await;
                }
            })
        };
        for round in 0..30_usize {
            let records = authors.iter_mut().enumerate().map(|(at, author)| match (at + round) % 3 {
                0 => author.write_deadline(DeadlineChange::Clear),
                _ => author.write_deadline(set(1_000 * round + at)),
            });
            owner.append(&**log, records.collect(), vec![]).await;
        }
        looking.await.unwrap();
        let mut expected: Vec<(i64, OrderRef)> = (0..60)
            .filter(|at| (at + 29) % 3 != 0)
            .map(|at| (29_000 + at as i64, orders[at].clone()))
            .collect();
        expected.sort();
        let listed = |log: Arc<retailflow_nats::NatsLog>| async move {
            let due = log.list(HOME, None, TimestampMs(i64::MAX), 100).await.unwrap();
            due.into_iter().map(|due| (due.at.0, due.order)).collect::<Vec<_>>()
        };
        assert_eq!(listed(ours.clone()).await, expected);
        assert_eq!(listed(theirs.clone()).await, expected);
    }
}

async fn due(log: &impl Deadlines) -> Vec<(i64, OrderRef)> {
    let due = log.list(HOME, None, TimestampMs(i64::MAX), 10).await.unwrap();
    due.into_iter().map(|DueOrder { at, order }| (at.0, order)).collect()
}

async fn parked(log: &impl EventLog) -> Vec<OrderRef> {
    log.parked(HOME).await.unwrap().into_iter().map(|parked| parked.order).collect()
}

/// A log that remembers nearly nothing of its orders looks up what it needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_memory_changes_nothing() {
    let Some(binary) = server_or_skip("a_short_memory_changes_nothing") else { return };
    let world = World::new(&binary, 1, 1).await;
    let options = retailflow_nats::NatsLogOptions { orders_remembered_max: 2, ..crate::world::log_options() };
    let log = world.open_with(&options).await;
    let orders = orders_in(HOME, 1, 40);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut owner = Writer::open(&*log, HOME, 1).await;
    for _ in 0..4 {
        owner.append(&*log, authors.iter_mut().map(|author| author.write(1)).collect(), vec![]).await;
    }
    let mut records: Vec<_> = authors.iter_mut().map(|author| author.write(1)).collect();
    records[17] = Author::new(&orders[17]).write(1);
    let conflict = log.commit(owner.group(records, vec![])).await;
    assert_eq!(conflict, Err(CommitError::Conflict(orders[17].clone())));
    assert_eq!(read(&*log, &orders[17], 0).await.len(), 4);
}

/// Partitions of one stream commit at once; each group stands in one piece, and a reader finds each of them once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_many_partitions_stand_in_one_piece() {
    const PARTITIONS: u16 = 12;
    const GROUPS: usize = 10;
    let Some(binary) = server_or_skip("groups_of_many_partitions_stand_in_one_piece") else { return };
    let world = World::new(&binary, PARTITIONS, 2).await;
    let log = world.open().await;
    let writer = |partition: u16| {
        let log = log.clone();
        tokio::spawn(async move {
            let partition = PartitionId(partition);
            let orders = orders_in(partition, PARTITIONS, 20);
            let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
            let mut owner = Writer::open(&*log, partition, 1).await;
            let mut groups = Vec::new();
            for _ in 0..GROUPS {
                let records = authors.iter_mut().map(|author| author.write(1)).collect();
                groups.push(owner.append(&*log, records, vec![]).await);
            }
            groups
        })
    };
    let writers: Vec<_> = (0..PARTITIONS).map(writer).collect();
    let mut appended = Vec::new();
    for writer in writers {
        appended.extend(writer.await.unwrap());
    }
    appended.sort_by_key(|(_, commit)| commit.position);
    let found = scan(&*log, 50_000).await;
    assert_eq!(found.len(), appended.len());
    for (logged, (group, commit)) in found.iter().zip(&appended) {
        assert_eq!(logged.position, commit.position);
        retailflow_testkit::event_log::assert_is(logged, group);
    }
}

/// Owners that take the partition from each other as fast as they can: what was acknowledged to any of them is in the
/// log, which is one chain, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_that_fight_make_one_chain() {
    const GROUPS: usize = 40;
    let Some(binary) = server_or_skip("owners_that_fight_make_one_chain") else { return };
    let world = World::new(&binary, 1, 1).await;
    let mut fighters = Vec::new();
    for number in 0..3 {
        let log = world.open().await;
        fighters.push(tokio::spawn(async move {
            let order = orders_in(HOME, 1, 3).remove(number);
            let mut author = Author::new(&order);
            let mut acknowledged = Vec::new();
            while acknowledged.len() < GROUPS {
                let head = log.head(HOME).await.unwrap();
                let epoch = head.fence.map_or(0, |fence| fence.epoch) + 1;
                let mut owner = Writer::open(&*log, HOME, epoch).await;
                loop {
                    let mut next = author.clone();
                    let group = owner.group(vec![next.write(1)], vec![]);
                    match log.commit(group.clone()).await {
                        Ok(commit) => {
                            owner.acknowledged(&group);
                            author = next;
                            acknowledged.push((group, commit));
                            // Taken anew after some groups, also where nobody else was faster.
                            if acknowledged.len() % 3 == 0 || acknowledged.len() == GROUPS {
                                break;
                            }
                        }
                        Err(CommitError::Fenced { .. }) => break,
                        Err(
                            CommitError::Unreachable(_)
                            | CommitError::Unavailable(_)
                            | CommitError::Unknown(_),
                        ) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            acknowledged
        }));
    }
    let mut acknowledged = Vec::new();
    for fighter in fighters {
        acknowledged.extend(fighter.await.unwrap());
    }
    acknowledged.sort_by_key(|(_, commit)| commit.position);
    let log = world.open().await;
    let found = scan(&*log, usize::MAX).await;
    assert_eq!(found.len(), acknowledged.len(), "what was refused is not there");
    let (mut previous, mut epoch) = (retailflow_engine::keys::GENESIS, 0);
    for (number, (logged, (group, commit))) in found.iter().zip(&acknowledged).enumerate() {
        assert_eq!(logged.position, commit.position);
        retailflow_testkit::event_log::assert_is(logged, group);
        assert_eq!((group.fence.group, group.fence.previous), (number as u64 + 1, previous));
        assert!(group.fence.epoch >= epoch);
        epoch = group.fence.epoch;
        previous = retailflow_engine::codec::fence::fence_hash(&logged.fence);
    }
    assert!(epoch > 13, "each has taken it many times: {epoch} epochs");
}
