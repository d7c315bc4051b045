//! What is on disk is never believed in doubt, and ends of any kind change nothing.

use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::{ViewError, Views};
use retailflow_testkit::random_orders::{OrderAction, RandomOrders, TENANTS};
use retailflow_testkit::views::{all_of, assert_agrees, caught_up, pages};

use super::{Disk, ENDS, End, tiny};
use crate::contract_tests;
use crate::projection::ProjectionOptions;
use retailflow_index::IndexError;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_end_the_lists_are_those_of_a_rebuild() {
    for seed in 0..6 {
        let mut disk = Disk::new(tiny());
        disk.ready().await;
        let mut random = RandomOrders::begin(&**disk.log.as_ref().unwrap(), 1_000 + seed).await;
        let orders = random.names(60);
        for _ in 0..8 {
            let rounds = 1 + random.below(30);
            random.append_random(&**disk.log.as_ref().unwrap(), &orders, rounds).await;
            // Anywhere between two writings, or before the lists have read on at all.
            if random.below(2) == 0 {
                caught_up(&*disk.views().views).await;
            }
            disk.end(ENDS[random.below(ENDS.len())]);
            disk.start();
            disk.ready().await;
        }
        assert_agrees(&disk.views(), &[5, 1_000]).await;
        disk.end(End::Deleted);
        disk.start();
        disk.ready().await;
        assert_agrees(&disk.views(), &[5, 1_000]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_lists_are_built_again() {
    let mut disk = Disk::new(tiny());
    disk.ready().await;
    let mut random = RandomOrders::begin(&**disk.log.as_ref().unwrap(), 77).await;
    let orders = random.names(200);
    for damage in 0..3 {
        random.append_random(&**disk.log.as_ref().unwrap(), &orders, 10).await;
        caught_up(&*disk.views().views).await;
        disk.end(End::Closed);
        for entry in std::fs::read_dir(disk.data().join("views")).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_file() {
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            let keep = bytes.len() / 3;
            match damage {
                0 => bytes[keep..].fill(0x5a),
                1 => bytes.truncate(keep),
                _ => bytes.clear(),
            }
            std::fs::write(&path, bytes).unwrap();
        }
        disk.start();
        disk.ready().await;
        assert_agrees(&disk.views(), &[100]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_another_log_are_not_believed() {
    let mut disk = Disk::new(tiny());
    disk.ready().await;
    let mut random = RandomOrders::begin(&**disk.log.as_ref().unwrap(), 5).await;
    let orders = random.names(50);
    random.append_random(&**disk.log.as_ref().unwrap(), &orders, 20).await;
    caught_up(&*disk.views().views).await;
    disk.end(End::Closed);
    // The tests' logs all have one id; but this one does not go so far.
    let aside = disk.data().with_extension("aside");
    std::fs::rename(disk.data().join("views"), &aside).unwrap();
    std::fs::remove_file(aside.join("durable")).unwrap();
    std::fs::remove_dir_all(disk.data()).unwrap();
    contract_tests::open(&disk.data(), 1).0.close();
    std::fs::rename(&aside, disk.data().join("views")).unwrap();
    disk.start();
    disk.ready().await;
    assert_agrees(&disk.views(), &[100]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_orders_are_paged_through() {
    const ORDERS: usize = 10_000;
    let mut disk = Disk::new(ProjectionOptions { flush_interval_ms: 20, ..ProjectionOptions::default() });
    disk.ready().await;
    let log = disk.log.clone().unwrap();
    let mut random = RandomOrders::begin(&*log, 9).await;
    let orders = random.names(ORDERS);
    for some in orders.chunks(500) {
        // Some are paid in two parts, and take two steps more.
        for action in [OrderAction::Place].into_iter().chain([OrderAction::Done; 6]) {
            let actions: Vec<(&OrderRef, OrderAction)> = some.iter().map(|order| (order, action)).collect();
            random.append(&*log, &actions).await;
        }
    }
    drop(log);
    for end in [End::Closed, End::Killed] {
        let views = disk.views().views;
        caught_up(&*views).await;
        for name in TENANTS {
            let own: Vec<&OrderRef> = orders.iter().filter(|order| order.tenant.as_str() == name).collect();
            let listed = pages(&*views, &all_of(name)).await;
            assert!(listed.iter().map(|order| &order.head.order).eq(own.iter().map(|order| &order.order)));
        }
        assert_eq!(views.counts(None).unwrap().by_status, [0, ORDERS as u64, 0, 0]);
        drop(views);
        disk.end(end);
        disk.start();
        disk.ready().await;
    }
}

/// Lists that are being built are not shown in part: a page says how far they are, and so does the progress.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_are_being_built_say_how_far_they_are() {
    let mut disk = Disk::new(ProjectionOptions { read_bytes: 64, ..tiny() });
    disk.ready().await;
    let mut random = RandomOrders::begin(&**disk.log.as_ref().unwrap(), 8).await;
    let orders = random.names(300);
    random.append_random(&**disk.log.as_ref().unwrap(), &orders, 200).await;
    let whole = {
        let views = disk.views().views;
        caught_up(&*views).await;
        pages(&*views, &all_of(TENANTS[0])).await
    };
    disk.end(End::Deleted);
    disk.start();
    let projection = disk.projection.clone().unwrap();
    let mut progress = projection.shared.progress.subscribe();
    let mut building = 0;
    let mut last = 0;
    loop {
        match projection.list(all_of(TENANTS[0])).await {
            Ok(page) => {
                assert!(page.orders == whole || page.next.is_some(), "part of a list was shown as all of it");
                break;
            }
            Err(ViewError::Building { read_bytes, of_bytes }) => {
                assert!(last <= read_bytes && read_bytes <= of_bytes, "{last} {read_bytes} {of_bytes}");
                assert!(
                    matches!(projection.counts(None), Err(ViewError::Building { .. }))
                        || projection.progress().why_not.is_none()
                );
                (building, last) = (building + 1, read_bytes);
            }
            // It is being opened.
            Err(_) => progress.changed().await.unwrap(),
        }
    }
    assert!(building > 0, "it was never seen being built");
    assert_eq!(projection.progress().why_not, None);
}

/// A disk of the lists that is full or fails harms the lists alone; when it is well again they are, without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_disk_of_the_lists_harms_the_lists_alone() {
    let disk = Disk::new(tiny());
    disk.ready().await;
    let mut random = RandomOrders::begin(&**disk.log.as_ref().unwrap(), 91).await;
    let orders = random.names(60);
    for (error, full) in
        [("write: No space left on device (os error 28)", true), ("write: os error 5", false)]
    {
        random.append_random(&**disk.log.as_ref().unwrap(), &orders, 10).await;
        let projection = disk.projection.clone().unwrap();
        *projection.shared.fault.lock() = Some(IndexError::Io(error.into()));
        // Commits go on meanwhile.
        let mut refused = Ok(());
        for _ in 0..1_000 {
            random.append_random(&**disk.log.as_ref().unwrap(), &orders, 1).await;
            refused = projection.list(all_of(TENANTS[0])).await.map(drop);
            if refused.is_err() {
                break;
            }
        }
        assert_eq!(refused, Err(ViewError::Disk { full }));
        assert_eq!(projection.progress().why_not, Some(ViewError::Disk { full }));
        *projection.shared.fault.lock() = None;
        drop(projection);
        disk.ready().await;
        caught_up(&*disk.views().views).await;
        assert_agrees(&disk.views(), &[5, 1_000]).await;
    }
}
