//! While the log is written, and after its writer was killed.

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::EventLog;
use retailflow_testkit::author::{Author, Writer as Committing, orders_in};

use super::*;
use crate::contract_tests;

#[test]
fn it_sees_exactly_the_committed_groups_in_order_while_they_are_written() {
    const COUNT: u32 = 600;
    let folder = tempfile::tempdir().unwrap();
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    assert!(matches!(
        LogFollower::open(folder.path(), SMALL, Arc::clone(&files)),
        Err(FollowError::NoLog(dir)) if dir == folder.path().join("log")
    ));
    let log = open(&files, folder.path());
    let mut writer = LogWriter::start(log.appender, 64).unwrap();
    let mut early = follower(&files, folder.path());
    assert_eq!(early.identity().cluster, "test");
    let (seen, places) = std::thread::scope(|scope| {
        let seen = scope.spawn(|| until(&mut early, COUNT as usize));
        let mut places = Vec::new();
        for number in 1..=COUNT {
            let answer = writer.append(vec![group(number)]).unwrap();
            places.extend(answer.blocking_recv().unwrap().unwrap());
        }
        (seen.join().unwrap(), places)
    });
    assert_eq!(numbers(&seen), (1..=COUNT).collect::<Vec<_>>());
    assert!(seen.iter().map(|group| group.position.0).eq(places.iter().map(|place| place.0)));
    assert!(places.last().unwrap().segment() > 20, "it followed over many segments");
    assert!(early.next(1).unwrap().is_empty());
    writer.close();
    // What comes with a clean stop is no group.
    assert!(early.next(1).unwrap().is_empty());
    drop(log.lock);
    assert!(early.next(1).unwrap().is_empty());
    assert_eq!(all(&mut follower(&files, folder.path())), seen, "and again when nobody writes");
}

#[test]
fn nobody_hears_of_a_group_here_before_its_commit_is_acknowledged() {
    let (faulty, files) = faulty(Disk::default());
    let log = open(&files, &data());
    let mut writer = LogWriter::start(log.appender, 64).unwrap();
    let mut follower = follower(&files, &data());
    for number in 1..=60 {
        faulty.set_faults(|faults| faults.hold_syncs = true);
        let mut answer = writer.append(vec![group(number)]).unwrap();
        assert!(faulty.wait_for_held_sync());
        assert!(follower.next(1).unwrap().is_empty(), "group {number} is written, and not durable");
        assert!(answer.try_recv().is_err());
        faulty.set_faults(|faults| faults.hold_syncs = false);
        let seen = until(&mut follower, 1);
        assert!(answer.blocking_recv().unwrap().is_ok());
        assert_eq!(numbers(&seen), [number]);
    }
    // A group whose sync fails is not shown while its writer lives.
    let next = faulty.syncs() + 1;
    faulty.set_faults(|faults| faults.fail_sync = Some(next));
    assert!(writer.append(vec![group(61)]).unwrap().blocking_recv().unwrap().is_err());
    writer.close();
    assert!(follower.next(1).unwrap().is_empty());
}

#[test]
fn what_a_killed_writer_acknowledged_is_shown_and_following_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("a"), folder.path().join("b"));
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    let log = open(&files, &data);
    let mut writer = LogWriter::start(log.appender, 64).unwrap();
    let append = |number| writer.append(vec![group(number)]).unwrap().blocking_recv().unwrap().unwrap();
    append(1);
    until(&mut follower(&files, &data), 1);
    let old_mark = std::fs::read(data.join("log/durable")).unwrap();
    (2..=40).for_each(|number| drop(append(number)));
    // Killed: the files as they are, with a mark that is behind.
    contract_tests::copy_dir(&data, &copy);
    std::fs::write(copy.join("log/durable"), old_mark).unwrap();
    writer.close();
    let mut follower = follower(&files, &copy);
    assert_eq!(numbers(&all(&mut follower)), (1..=40).collect::<Vec<_>>());
    written(&files, &copy, 41..=80);
    assert_eq!(numbers(&all(&mut follower)), (41..=80).collect::<Vec<_>>());
    written(&files, &copy, 81..=81);
    assert_eq!(numbers(&all(&mut follower)), [81]);
}

#[test]
fn followers_do_not_keep_a_writer_from_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    written(&files, folder.path(), 1..=3);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut follower = follower(&files, folder.path());
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                follower.next(1 << 20).unwrap();
            }
        });
        for _ in 0..100 {
            drop(open(&files, folder.path()));
        }
        done.store(true, std::sync::atomic::Ordering::Release);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_sees_what_the_port_shows() {
    let folder = tempfile::tempdir().unwrap();
    let log = contract_tests::open(folder.path(), 4).0;
    let partition = PartitionId(1);
    let mut authors: Vec<Author> = orders_in(partition, 4, 30).iter().map(Author::new).collect();
    let mut writer = Committing::open(&*log, partition, 1).await;
    for _ in 0..40 {
        writer.append(&*log, authors.iter_mut().map(|author| author.write(1)).collect(), vec![]).await;
    }
    let shown = log.scan(LogPosition(0), 1 << 30).await.unwrap();
    let options = contract_tests::small().log;
    let files: Arc<dyn Files> = Arc::new(RealFiles::default());
    let follow = LogFollower::open(folder.path(), options, files);
    let (seen, rest) = tokio::task::spawn_blocking(move || {
        let mut follower = follow.unwrap();
        let seen = until(&mut follower, 40);
        follower.seek_after(seen[17].position).unwrap();
        (seen, all(&mut follower))
    })
    .await
    .unwrap();
    assert_eq!((seen.len(), &rest[..]), (40, &shown[18..]));
    assert_eq!(seen, shown);
    log.close();
}
