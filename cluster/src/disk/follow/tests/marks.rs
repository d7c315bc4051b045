//! Marks that are old, torn, missing or of another log; positions that are not there.

use super::*;
use crate::disk::log::check::check;
use crate::disk::log::{repair, sector};

fn with_mark(disk: &Disk, change: impl FnOnce(&mut Vec<u8>)) -> (FaultyFiles, Arc<dyn Files>) {
    let mut disk = disk.clone();
    disk.edit(&mark_path(), change);
    faulty(disk)
}

/// As another process holds it.
fn locked(files: &Arc<dyn Files>) -> Box<dyn LockGuard> {
    files.try_lock(&data().join("log").join(LOCK_FILE)).unwrap()
}

/// Groups seen while somebody writes, and when nobody does.
fn seen_by_both(files: &Arc<dyn Files>) -> (usize, usize) {
    let lock = locked(files);
    let beside = all(&mut follower(files, &data())).len();
    drop(lock);
    (beside, all(&mut follower(files, &data())).len())
}

#[test]
fn a_mark_is_a_lower_bound_and_without_one_nothing_is_known() {
    let (disk, files) = faulty(Disk::default());
    written(&files, &data(), 1..=10);
    let old = disk.disk().bytes(&mark_path()).unwrap();
    written(&files, &data(), 11..=30);
    let disk = disk.disk();
    assert_eq!(seen_by_both(&faulty(disk.clone()).1), (30, 30));
    assert_eq!(seen_by_both(&with_mark(&disk, |mark| mark.copy_from_slice(&old)).1), (10, 30));
    for at in 0..old.len() {
        let (_, files) = with_mark(&disk, |mark| mark[at] ^= 1);
        assert_eq!(seen_by_both(&files), (0, 30), "byte {at} is wrong");
        let (_, files) = with_mark(&disk, |mark| mark[at..].copy_from_slice(&old[at..]));
        let (beside, alone) = seen_by_both(&files);
        assert!([0, 10, 30].contains(&beside) && alone == 30, "torn at {at}: {beside}");
        let (_, files) = with_mark(&disk, |mark| mark.truncate(at));
        assert_eq!(seen_by_both(&files), (0, 30), "{at} bytes long");
    }
    let mut missing = disk.clone();
    missing.replace(&mark_path(), None);
    let (faulty, files) = faulty(missing);
    assert_eq!(seen_by_both(&files), (0, 30));
    // The next writer writes it before anything else.
    let mut follower = follower(&files, &data());
    let log = open(&files, &data());
    assert!(follower.next(1).unwrap().is_empty());
    faulty.set_faults(|faults| faults.hold_syncs = true);
    let mut writer = LogWriter::start(log.appender, 4).unwrap();
    let answer = writer.append(vec![group(31)]).unwrap();
    assert!(faulty.wait_for_held_sync());
    assert_eq!(all(&mut follower).len(), 30);
    faulty.set_faults(|faults| faults.hold_syncs = false);
    answer.blocking_recv().unwrap().unwrap();
    writer.close();
    assert_eq!(numbers(&all(&mut follower)), [31]);
}

#[test]
fn under_load_the_mark_is_written_rarely_and_after_it_at_once() {
    let (disk, files) = faulty(Disk::default());
    let log = open(&files, &data());
    let mut writer = LogWriter::start(log.appender, 64).unwrap();
    let (before, began) = (disk.writes(), Instant::now());
    for number in 1..=1000 {
        writer.append(vec![group(number % 5)]).unwrap().blocking_recv().unwrap().unwrap();
    }
    let segments = u64::from(log.reader.end().segment());
    let marks = disk.writes() - before - 1000 - (segments - 1);
    let most = began.elapsed().as_millis() as u64 / 5 + 2;
    assert!(marks <= most, "{marks} marks, at most {most}");
    assert_eq!(until(&mut follower(&files, &data()), 1000).len(), 1000);
    writer.close();
}

#[test]
fn a_mark_that_cannot_be_written_stops_nobody_unless_it_says_too_much() {
    let (disk, files) = faulty(Disk::default());
    let log = open(&files, &data());
    // There is no room for it.
    disk.set_faults(|faults| faults.room_bytes = Some(0));
    let mut writer = LogWriter::start(log.appender, 4).unwrap();
    writer.append(vec![group(1)]).unwrap().blocking_recv().unwrap().unwrap();
    disk.set_faults(|faults| faults.room_bytes = Some(1 << 20));
    let mut beside = follower(&files, &data());
    writer.append(vec![group(2)]).unwrap().blocking_recv().unwrap().unwrap();
    assert_eq!(until(&mut beside, 2).len(), 2, "as soon as there is room");
    writer.close();
    drop(log.lock);
    written(&files, &data(), 3..=20);
    // Somebody puts an older copy of the segments beside a newer mark.
    let newer = disk.disk().bytes(&mark_path()).unwrap();
    let (older, files) = faulty(Disk::default());
    written(&files, &data(), 1..=5);
    older.set_faults(|_| {});
    let (disk, files) = with_mark(&older.disk(), |mark| mark.copy_from_slice(&newer));
    let next = disk.writes() + 1;
    disk.set_faults(|faults| faults.fail_write = Some(next));
    let error = LogWriter::start(open(&files, &data()).appender, 4).err().unwrap().to_string();
    assert!(error.contains("cannot write /data/log/durable"), "{error}");
    disk.set_faults(|faults| faults.fail_write = None);
    written(&files, &data(), 6..=6);
    assert_eq!(seen_by_both(&files), (6, 6));
}

#[test]
fn a_position_that_is_not_in_the_log_is_gone() {
    let (_, files) = faulty(Disk::default());
    let places = written(&files, &data(), 1..=40);
    let mut follower = follower(&files, &data());
    for place in [places[0], places[20], places[39]] {
        let at = places.iter().position(|other| *other == place).unwrap() as u32;
        follower.seek_to(LogPosition(place.0)).unwrap();
        assert_eq!(numbers(&all(&mut follower)), (at + 1..=40).collect::<Vec<_>>());
        follower.seek_after(LogPosition(place.0)).unwrap();
        assert_eq!(numbers(&all(&mut follower)), (at + 2..=40).collect::<Vec<_>>());
    }
    let last = places[39];
    let far = [places[3].0 + 1, places[3].0 - 1, last.0 + 5000, 1, u64::MAX, Position::new(99, 96).0];
    for place in far.into_iter().chain([Position::new(last.segment(), u32::MAX).0]) {
        for behind in [false, true] {
            let error = follower.seek(LogPosition(place), behind).err().unwrap();
            assert!(matches!(error, FollowError::Gone { position, .. } if position.0 == place), "{error}");
        }
    }
    assert!(follower.next(1).unwrap().is_empty(), "it stayed where it was");
    follower.seek_to(LogPosition(0)).unwrap();
    assert_eq!(all(&mut follower).len(), 40);
}

#[test]
fn a_repair_takes_the_mark_away_and_a_follower_is_told_what_is_gone() {
    let (disk, files) = faulty(Disk::default());
    let places = written(&files, &data(), 1..=40);
    let mut ahead = follower(&files, &data());
    assert_eq!(all(&mut ahead).len(), 40);
    let broken = places[10];
    let path = Segment::path(&data().join("log"), broken.segment());
    let mut image = disk.disk();
    image.edit(&path, |bytes| bytes[sector::physical(broken.offset().into()) as usize + 90] ^= 4);
    let (disk, files) = faulty(image);
    let mut follower = follower(&files, &data());
    let error = loop {
        match follower.next(1) {
            Ok(groups) => assert!(!groups.is_empty(), "damage looked like the end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FollowError::Log(LogError::Damaged { .. })), "{error}");
    let dir = data().join("log");
    let report = check(&disk, &dir, SMALL, &mut |_| Ok(())).unwrap();
    repair::apply(&disk, &dir, SMALL, &repair::plan(&report).unwrap()).unwrap();
    assert!(disk.disk().bytes(&mark_path()).is_none());
    assert_eq!(seen_by_both(&files), (0, 10));
    written(&files, &data(), 111..=160);
    assert!(matches!(follower.seek_after(LogPosition(places[39].0)), Err(FollowError::Gone { .. })));
    // One that had seen the damaged group, and stands behind it.
    let mut behind = LogFollower { files, ..ahead };
    let seen = behind.next(1);
    assert!(!matches!(&seen, Ok(groups) if !groups.is_empty()), "it went on as if nothing had happened");
}
