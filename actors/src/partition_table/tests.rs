//! Partitions that come and go, and what is under way in them.

use super::*;

const BOUNDS: Bounds = Bounds { under_way_max: 2, permitted_max: 2, doubt_after: Duration::from_secs(2) };

#[tokio::test]
async fn a_partition_is_empty_when_all_that_entered_has_left() {
    let held = Arc::new(Held::new(2, BOUNDS));
    let (here, other) = (PartitionId(0), PartitionId(1));
    assert!(held.enter(here, None).is_err(), "not ours");
    assert!(held.take(here) && !held.take(here) && held.take(other));
    assert!(held.enter(here, None).is_err() && held.has(here), "not yet");
    assert!(held.open(here) && held.open(other));
    let (one, two) = (held.enter(here, None).unwrap().0, held.enter(here, None).unwrap().0);
    let elsewhere = held.enter(other, None).unwrap().0;
    assert!(held.leave(here) && !held.leave(here));
    assert!(held.enter(here, None).is_err() && held.has(here) && !held.lets_in(here));
    let mut emptied = std::pin::pin!(held.empty(here));
    assert!(futures_util::poll!(&mut emptied).is_pending());
    drop(one);
    assert!(futures_util::poll!(&mut emptied).is_pending());
    drop(two);
    emptied.await;
    assert!(held.drop_out(here) && !held.drop_out(here) && !held.has(here));
    drop(elsewhere);
}

#[tokio::test]
async fn a_fence_of_an_earlier_time_is_not_heard_in_a_later_one() {
    let held = Held::new(2, BOUNDS);
    let (here, other) = (PartitionId(0), PartitionId(1));
    assert!(held.take(here));
    held.fenced(here);
    assert!(held.drop_out(here) && held.take(here));
    held.fenced(other);
    assert_eq!(held.next_fenced().await, other);
    assert!(futures_util::poll!(std::pin::pin!(held.next_fenced())).is_pending());
}

#[tokio::test]
async fn what_is_left_of_an_earlier_time_does_not_count() {
    let held = Arc::new(Held::new(1, BOUNDS));
    let here = PartitionId(0);
    assert!(held.take(here) && held.open(here));
    let old = held.enter(here, None).unwrap().0;
    assert!(held.drop_out(here) && !held.open(here) && held.take(here) && held.open(here));
    let new = held.enter(here, None).unwrap().0;
    drop(old);
    assert!(held.leave(here));
    assert!(futures_util::poll!(std::pin::pin!(held.empty(here))).is_pending(), "the new one is under way");
    drop(new);
    held.empty(here).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_bounded_and_whoever_waits_is_let_in_when_something_leaves() {
    let held = Arc::new(Held::new(2, BOUNDS));
    let here = PartitionId(0);
    assert!(held.take(here) && held.open(here));
    let (one, _two) = (held.enter(here, None).unwrap(), held.enter(here, None).unwrap());
    assert_eq!(held.enter(here, None).err(), Some(NoEntry::Full));
    let mut room = std::pin::pin!(held.room(here));
    assert!(futures_util::poll!(&mut room).is_pending());
    drop(one);
    room.await;
    assert!(held.enter(here, None).is_ok());
}

#[tokio::test(start_paused = true)]
async fn while_a_log_is_in_doubt_nothing_more_is_let_in() {
    let held = Arc::new(Held::new(2, BOUNDS));
    let here = PartitionId(0);
    assert!(held.take(here) && held.open(here));
    held.late(here);
    assert!(held.is_late(here) && !held.is_late(PartitionId(1)));
    assert!(held.enter(here, None).is_ok());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(held.enter(here, None).err(), Some(NoEntry::InDoubt));
    let mut room = std::pin::pin!(held.room(here));
    assert!(futures_util::poll!(&mut room).is_pending());
    held.on_time(here);
    room.await;
    assert!(held.enter(here, None).is_ok() && !held.is_late(here));
}
