//! Readers between the log and the ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use retailflow_engine::ports::{EventRelay, ReadFrom, RelayError};
use retailflow_testkit::event_relay::{Order, assert_are, expected, open, read};
use retailflow_testkit::random_orders::{RandomOrders, TENANTS};

use super::{Disk, End, tiny};
use crate::projection::ProjectionOptions;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_come_and_fall_behind_under_load_miss_nothing_and_get_nothing_twice() {
    let options = ProjectionOptions { catching_up_max: 64, ..tiny() };
    let disk = Disk::new(options);
    disk.ready().await;
    let log = disk.log.clone().unwrap();
    let mut random = RandomOrders::begin(&*log, 21).await;
    let orders = random.names(50);
    let mut readers = Vec::new();
    // Each gives over what it was given once it has so many.
    let (enough, told) = tokio::sync::watch::channel(usize::MAX);
    for number in 0..12 {
        random.append_random(&*log, &orders, 25).await;
        let before = expected(&disk.relay(), TENANTS[0]).await.len();
        let from = if number % 2 == 0 { ReadFrom::Beginning } else { ReadFrom::Now };
        let skipped = if number % 2 == 0 { 0 } else { before };
        let mut reader = open(&disk.relay(), TENANTS[0], from).await;
        let mut enough = told.clone();
        let reading = tokio::spawn(async move {
            let mut given = Vec::new();
            while given.len() + skipped < *enough.borrow_and_update() {
                tokio::select! {
                    events = reader.next() => given.extend(events.unwrap()),
                    _ = enough.changed() => {}
                }
                for _ in 0..number * 20 {
                    tokio::task::yield_now().await;
                }
            }
            (skipped, given)
        });
        readers.push(reading);
    }
    random.append_random(&*log, &orders, 50).await;
    let all = expected(&disk.relay(), TENANTS[0]).await;
    enough.send_replace(all.len());
    for reading in readers {
        let (skipped, given) = reading.await.unwrap();
        assert_are(Order::OfTheLog, &given, &all[skipped..]);
    }
}

/// A step that goes on behind a dropped wait holds a permit: the next wait is for the same step, not for one more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_waits_use_up_no_permits() {
    let disk = Disk::new(ProjectionOptions { catching_up_max: 1, ..tiny() });
    disk.ready().await;
    let log = disk.log.clone().unwrap();
    let mut random = RandomOrders::begin(&*log, 23).await;
    random.append_random(&*log, &random.names(50), 50).await;
    let port = disk.relay();
    let all = expected(&port, TENANTS[0]).await;
    let mut reader = open(&port, TENANTS[0], ReadFrom::Beginning).await;
    let mut given = Vec::new();
    while given.len() < all.len() {
        let polled = reader.next().as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(events) => given.extend(events.unwrap()),
            Poll::Pending => tokio::task::yield_now().await,
        }
    }
    assert_are(Order::OfTheLog, &given, &all);
}

/// Readers that have begun and take nothing more keep nobody from their turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_old_events_take_turns() {
    let disk = Disk::new(ProjectionOptions { catching_up_max: 1, ..tiny() });
    disk.ready().await;
    let log = disk.log.clone().unwrap();
    let mut random = RandomOrders::begin(&*log, 22).await;
    let orders = random.names(50);
    random.append_random(&*log, &orders, 50).await;
    let port = disk.relay();
    let mut idle = Vec::new();
    for number in 0..20 {
        let mut reader = open(&port, TENANTS[number % 2], ReadFrom::Beginning).await;
        assert!(!reader.next().await.unwrap().is_empty());
        idle.push(reader);
    }
    let all = expected(&port, TENANTS[0]).await;
    let readers = (0..8).map(|_| async {
        let mut reader = open(&port, TENANTS[0], ReadFrom::Beginning).await;
        read(&mut reader, all.len()).await
    });
    for given in futures_util::future::join_all(readers).await {
        assert_are(Order::OfTheLog, &given, &all);
    }
    // It has caught up, and is in nobody's way.
    let mut reader = open(&port, TENANTS[0], ReadFrom::Now).await;
    random.append_random(&*log, &orders, 1).await;
    let more = expected(&port, TENANTS[0]).await;
    assert_are(Order::OfTheLog, &read(&mut reader, more.len() - all.len()).await, &more[all.len()..]);
}

/// However many readers a tenant opens: another one's first event does not stand behind all of them.
#[tokio::test]
async fn one_tenants_readers_leave_turns_to_others() {
    const MANY: usize = 60;
    let disk = Disk::new(ProjectionOptions { catching_up_max: 2, ..tiny() });
    disk.ready().await;
    let log = disk.log.clone().unwrap();
    let mut random = RandomOrders::begin(&*log, 25).await;
    random.append_random(&*log, &random.names(50), 50).await;
    let port = disk.relay();
    let begun = Arc::new(AtomicUsize::new(0));
    let mut crowd = Vec::new();
    for _ in 0..MANY {
        let (mut reader, begun) = (open(&port, TENANTS[0], ReadFrom::Beginning).await, Arc::clone(&begun));
        crowd.push(tokio::spawn(async move {
            let first = reader.next().await.unwrap();
            begun.fetch_add(1, Ordering::Relaxed);
            assert!(!first.is_empty());
        }));
    }
    let mut other = open(&port, TENANTS[1], ReadFrom::Beginning).await;
    // All of the crowd stand in the queue before the other one comes.
    for _ in 0..MANY {
        tokio::task::yield_now().await;
    }
    let before = begun.load(Ordering::Relaxed);
    assert!(!other.next().await.unwrap().is_empty());
    let passed = begun.load(Ordering::Relaxed) - before;
    for reader in crowd {
        reader.await.unwrap();
    }
    assert!(before < MANY / 2, "the crowd was through already: {before}");
    assert!(passed < MANY / 4, "{passed} of the crowd came first");
}

/// A reader's place is good to go on from, also where there was no event: at the beginning, at the end, in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_on_from_a_place_gets_the_rest() {
    let disk = Disk::new(tiny());
    disk.ready().await;
    let port = disk.relay();
    let empty = open(&port, TENANTS[0], ReadFrom::Now).await.position();
    let log = disk.log.clone().unwrap();
    let mut random = RandomOrders::begin(&*log, 24).await;
    let orders = random.names(20);
    random.append_random(&*log, &orders, 20).await;
    let all = expected(&port, TENANTS[0]).await;
    let now = open(&port, TENANTS[0], ReadFrom::Now).await.position();
    let mut reader = open(&port, TENANTS[0], ReadFrom::After(empty)).await;
    let (mut given, mut places) = (0, vec![(0, reader.position())]);
    while given < all.len() {
        given += reader.next().await.unwrap().len();
        places.push((given, reader.position()));
    }
    places.push((given, now));
    random.append_random(&*log, &orders, 5).await;
    let more = expected(&port, TENANTS[0]).await;
    for (given, place) in places {
        let mut reader = open(&port, TENANTS[0], ReadFrom::After(place)).await;
        assert_are(Order::OfTheLog, &read(&mut reader, more.len() - given).await, &more[given..]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_projection_says_so_to_all_who_wait() {
    let mut disk = Disk::new(tiny());
    disk.ready().await;
    let projection = Arc::clone(disk.projection.as_ref().unwrap());
    let mut reader = open(&disk.relay(), TENANTS[0], ReadFrom::Now).await;
    let waiting = tokio::spawn(async move { reader.next().await });
    disk.end(End::Closed);
    assert!(matches!(waiting.await.unwrap(), Err(RelayError::Unavailable(_))));
    let tenant = retailflow_engine::ids::TenantId::parse(TENANTS[0]).unwrap();
    let opened = projection.open(&tenant, ReadFrom::Now).await;
    assert!(matches!(opened.err(), Some(RelayError::Unavailable(_))));
}
