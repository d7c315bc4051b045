//! Marks that are old, torn, missing or of another log; positions that are not there.

use super::*;
use crate::log::check::check;
use crate::log::{repair, sector};

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
fn the_mark_covers_a_write_before_it_is_answered() {
    let (_, files) = faulty(Disk::default());
    let log = open(&files, &data());
    let log_id = new_log().log_id;
    let mut writer = LogWriter::start(log.appender, 64).unwrap();
    for number in 1..=100 {
        let places = writer.append(vec![group(number)]).unwrap().blocking_recv().unwrap().unwrap();
        let mark = durable::read(files.as_ref(), &data().join("log"), &log_id).unwrap().unwrap();
        assert!(mark > places[0], "{mark} {}", places[0]);
    }
    writer.close();
    // Each folder that is there carries a copy, and each of them is enough to notice what is gone.
    let kept = durable::read(files.as_ref(), &data(), &log_id).unwrap();
    assert_eq!(kept, durable::read(files.as_ref(), &data().join("log"), &log_id).unwrap());
}

#[test]
fn a_copy_of_the_mark_anywhere_keeps_a_shorter_log_from_being_opened() {
    let (disk, files) = faulty(Disk::default());
    written(&files, &data(), 1..=10);
    let older = disk.disk();
    written(&files, &data(), 11..=30);
    let mark = disk.disk().bytes(&mark_path()).unwrap();
    for folder in ["", "index", "views", "snapshots"] {
        let (_, files) = faulty(older.clone());
        durable::forget(files.as_ref(), &data().join("log")).unwrap();
        let file = files.create(&data().join(folder).join("durable"), mark.len() as u64).unwrap();
        file.write_all_at(0, &mark).unwrap();
        let opening = Opening::begin(Arc::clone(&files), &data().join("log"), SMALL, new_log).unwrap();
        let error = opening.finish(None, &mut |_| Ok(())).err().unwrap();
        let name = Path::new(folder).join("durable").display().to_string();
        assert!(matches!(&error, LogError::Lost { source_name, .. } if *source_name == name), "{error}");
        let report = check(files.as_ref(), &data().join("log"), SMALL, &mut |_| Ok(())).unwrap();
        assert!(!report.is_sound() && report.problems[0].what.contains(&name), "{report:?}");
    }
}

#[test]
fn a_mark_that_cannot_be_written_stops_nobody() {
    let (disk, files) = faulty(Disk::default());
    written(&files, &data(), 1..=1);
    files.remove(&mark_path()).unwrap();
    // There is no room for it.
    disk.set_faults(|faults| faults.room_bytes = Some(0));
    let log = open(&files, &data());
    let mut writer = LogWriter::start(log.appender, 4).unwrap();
    writer.append(vec![group(2)]).unwrap().blocking_recv().unwrap().unwrap();
    disk.set_faults(|faults| faults.room_bytes = Some(1 << 20));
    let mut beside = follower(&files, &data());
    writer.append(vec![group(3)]).unwrap().blocking_recv().unwrap().unwrap();
    assert_eq!(until(&mut beside, 3).len(), 3, "as soon as there is room");
    writer.close();
    drop(log.lock);
    written(&files, &data(), 4..=20);
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
