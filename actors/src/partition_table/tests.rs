//! Partitions that come and go, and what is under way in them.

use super::*;

const BOUNDS: Bounds = Bounds { under_way_max: 2, permitted_max: 2, doubt_after: Duration::from_secs(2) };

#[tokio::test]
async fn a_partition_is_empty_when_all_that_entered_has_left() {
    let table = Arc::new(PartitionTable::new(2, BOUNDS));
    let (here, other) = (PartitionId(0), PartitionId(1));
    assert!(table.enter(here, None).is_err(), "not ours");
    assert!(table.acquire(here) && !table.acquire(here) && table.acquire(other));
    assert!(table.enter(here, None).is_err() && table.owns(here), "not yet");
    assert!(table.open(here) && table.open(other));
    let (one, two) = (table.enter(here, None).unwrap().0, table.enter(here, None).unwrap().0);
    let elsewhere = table.enter(other, None).unwrap().0;
    assert!(table.begin_draining(here) && !table.begin_draining(here));
    assert!(table.enter(here, None).is_err() && table.owns(here) && !table.accepts(here));
    let mut emptied = std::pin::pin!(table.wait_empty(here));
    assert!(futures_util::poll!(&mut emptied).is_pending());
    drop(one);
    assert!(futures_util::poll!(&mut emptied).is_pending());
    drop(two);
    emptied.await;
    assert!(table.release(here) && !table.release(here) && !table.owns(here));
    drop(elsewhere);
}

#[tokio::test]
async fn a_fence_of_an_earlier_time_is_not_heard_in_a_later_one() {
    let table = PartitionTable::new(2, BOUNDS);
    let (here, other) = (PartitionId(0), PartitionId(1));
    assert!(table.acquire(here));
    table.mark_fenced(here);
    assert!(table.release(here) && table.acquire(here));
    table.mark_fenced(other);
    assert_eq!(table.next_fenced().await, other);
    assert!(futures_util::poll!(std::pin::pin!(table.next_fenced())).is_pending());
}

#[tokio::test]
async fn what_is_left_of_an_earlier_time_does_not_count() {
    let table = Arc::new(PartitionTable::new(1, BOUNDS));
    let here = PartitionId(0);
    assert!(table.acquire(here) && table.open(here));
    let old = table.enter(here, None).unwrap().0;
    assert!(table.release(here) && !table.open(here) && table.acquire(here) && table.open(here));
    let new = table.enter(here, None).unwrap().0;
    drop(old);
    assert!(table.begin_draining(here));
    assert!(
        futures_util::poll!(std::pin::pin!(table.wait_empty(here))).is_pending(),
        "the new one is under way"
    );
    drop(new);
    table.wait_empty(here).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_bounded_and_whoever_waits_is_let_in_when_something_leaves() {
    let table = Arc::new(PartitionTable::new(2, BOUNDS));
    let here = PartitionId(0);
    assert!(table.acquire(here) && table.open(here));
    let (one, _two) = (table.enter(here, None).unwrap(), table.enter(here, None).unwrap());
    assert_eq!(table.enter(here, None).err(), Some(EntryRefusal::Full));
    let mut room = std::pin::pin!(table.wait_for_room(here));
    assert!(futures_util::poll!(&mut room).is_pending());
    drop(one);
    room.await;
    assert!(table.enter(here, None).is_ok());
}

#[tokio::test(start_paused = true)]
async fn while_a_log_is_in_doubt_nothing_more_is_let_in() {
    let table = Arc::new(PartitionTable::new(2, BOUNDS));
    let here = PartitionId(0);
    assert!(table.acquire(here) && table.open(here));
    table.mark_late(here);
    assert!(table.is_late(here) && !table.is_late(PartitionId(1)));
    assert!(table.enter(here, None).is_ok());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(table.enter(here, None).err(), Some(EntryRefusal::InDoubt));
    let mut room = std::pin::pin!(table.wait_for_room(here));
    assert!(futures_util::poll!(&mut room).is_pending());
    table.clear_late(here);
    room.await;
    assert!(table.enter(here, None).is_ok() && !table.is_late(here));
}
