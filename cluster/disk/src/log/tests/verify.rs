//! Checking coldly and repairing.

use super::check::{CheckReport, check};
use super::repair::{RepairRefused, apply, plan};
use super::*;
use retailflow_os::files::{DiskFile, Files, LockError, LockGuard};
use std::io;

fn check_log(files: &FaultyFiles) -> CheckReport {
    check(files, &dir(), SMALL, &mut |_| Ok(())).unwrap()
}

fn long_log() -> (FaultyFiles, Vec<(Position, Vec<u8>)>) {
    let files = FaultyFiles::new(Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    let mut frames = Vec::new();
    for n in 0..30u8 {
        for part in 0..2usize {
            let mut group = group::GroupEncoder::new(Vec::new(), b"fence");
            group.push(group::EntryKind::Record, None, &vec![n; 200 + part]);
            let payload = group.finish();
            // A segment that is nearly full takes the second frame in a write of its own.
            let position = log.appender.push(FrameKind::Group, &payload).unwrap_or_else(|_| {
                log.appender.commit().unwrap();
                log.appender.push(FrameKind::Group, &payload).unwrap()
            });
            frames.push((position, payload));
        }
        log.appender.commit().unwrap();
    }
    log.appender.clean_stop().unwrap();
    (files, frames)
}

fn flip(files: &FaultyFiles, at: Position) -> FaultyFiles {
    edited(&files.disk(), &segment_path(at.segment()), |bytes| {
        bytes[sector::physical(at.offset().into()) as usize] ^= 4;
    })
}

#[test]
fn a_whole_log_is_sound() {
    let (files, _) = long_log();
    let report = check_log(&files);
    assert!(report.is_sound() && report.clean_stop && report.problems.is_empty(), "{report:?}");
    assert_eq!((report.frames, report.good_until), (62, None));
    assert_eq!(plan(&report), Err(RepairRefused::NotNeeded));
    // What the caller finds in a frame is told with its place.
    let report = check(&files, &dir(), SMALL, &mut |frame| {
        if frame.number == 7 { Err("no such tenant".into()) } else { Ok(()) }
    });
    let report = report.unwrap();
    assert_eq!(report.problems.len(), 1);
    assert!(!report.is_sound());
}

#[test]
fn each_broken_thing_is_named_and_a_repair_keeps_what_it_cuts() {
    let (files, frames) = long_log();
    let broken = flip(&flip(&files, frames[11].0.plus(150)), frames[40].0.plus(3));
    let report = check_log(&broken);
    assert_eq!(report.problems.len(), 2, "{report:?}");
    assert_eq!(report.problems[0].place, Place(frames[11].0));
    assert_eq!(report.good_until, Some(frames[10].0), "the whole write goes");
    assert_eq!((report.frames, report.after.unreadable_frames), (11, 4));
    assert_eq!((report.after.records, report.after.frames), (60 - 10 - 4, 61 - 10 - 4));

    let plan = plan(&report).unwrap();
    let before = broken.disk();
    assert!(open(&broken, SMALL, None).is_err());
    let kept = apply(&broken, &dir(), SMALL, &plan).unwrap();
    assert!(kept.len() >= 2, "{kept:?}");
    let tail = broken.disk().bytes(&kept[0]).unwrap();
    let start = sector::physical(plan.cut_at.offset().into()) as usize;
    assert_eq!(before.bytes(&segment_path(plan.cut_at.segment())).unwrap()[start..start + tail.len()], tail);
    assert!(check_log(&broken).is_sound());
    let (mut log, found) = open(&broken, SMALL, None).unwrap();
    assert_eq!(found.len(), 10);
    log.appender.push(FrameKind::Note, b"on").unwrap();
    log.appender.commit().unwrap();
    drop(log);
    assert_eq!(open(&broken, SMALL, None).unwrap().1.len(), 11);
}

#[test]
fn a_repair_that_loses_power_at_any_operation_can_be_run_again() {
    let (files, frames) = long_log();
    let broken = flip(&files, frames[20].0.plus(150)).disk();
    for operation in 1..40 {
        for seed in 0..6 {
            let faults = Faults { cut_power_at: Some(operation), ..Faults::default() };
            let cut = FaultyFiles::on(broken.clone(), faults);
            let plan = plan(&check_log(&cut)).unwrap();
            drop(apply(&cut, &dir(), SMALL, &plan));
            let again = FaultyFiles::on(cut.disk().after_power_cut(seed), Faults::default());
            if let Ok(plan) = super::repair::plan(&check_log(&again)) {
                apply(&again, &dir(), SMALL, &plan).unwrap();
            }
            let (_, found) = open(&again, SMALL, None).unwrap();
            assert_eq!(found.len(), 20, "operation {operation} seed {seed}");
        }
    }
}

#[test]
fn a_repair_of_a_lost_end_that_is_broken_off_leaves_a_log_that_is_refused() {
    let (files, frames) = long_log();
    let last = frames.last().unwrap().0;
    let mut broken = files.disk();
    broken.edit(&segment_path(last.segment()), |bytes| {
        let at = sector::physical(last.offset().into()) as usize;
        bytes[at - at % 512 + 511] = 0;
    });
    for operation in 1..30 {
        let cut =
            FaultyFiles::on(broken.clone(), Faults { cut_power_at: Some(operation), ..Faults::default() });
        let applied = apply(&cut, &dir(), SMALL, &plan(&check_log(&cut)).unwrap());
        // Only the process ended: what it wrote is seen.
        let again = FaultyFiles::on(cut.disk(), Faults::default());
        let report = check_log(&again);
        // It is whole again only when what was cut is kept.
        let is_kept = again.disk().paths().iter().any(|path| path.extension().is_some_and(|of| of == "bin"));
        assert!(applied.is_ok() || !report.is_sound() || is_kept, "operation {operation}: {report:?}");
        if let Ok(plan) = plan(&report) {
            apply(&again, &dir(), SMALL, &plan).unwrap();
        }
        assert!(check_log(&again).is_sound());
    }
}

#[test]
fn missing_segments_and_broken_headers_are_named_and_cut() {
    let (files, _) = long_log();
    let mut missing = files.disk();
    missing.replace(&segment_path(2), None);
    let missing = FaultyFiles::on(missing, Faults::default());
    let broken = edited(&files.disk(), &segment_path(2), |bytes| bytes[20] ^= 1);
    for files in [missing, broken] {
        let report = check_log(&files);
        assert_eq!(report.problems.len(), 1, "{report:?}");
        let plan = plan(&report).unwrap();
        assert_eq!(plan.cut_at, Position::new(2, 0));
        assert!(plan.lost.records > 0);
        apply(&files, &dir(), SMALL, &plan).unwrap();
        let (log, found) = open(&files, SMALL, None).unwrap();
        assert!(!found.is_empty() && log.recovery.cut.is_none());
    }
}

#[test]
fn a_lost_identity_is_beyond_repair() {
    let (files, _) = long_log();
    let files = flip(&files, Position::new(1, segment::SEGMENT_HEADER_BYTES + 2));
    assert_eq!(plan(&check_log(&files)), Err(RepairRefused::IdentityLost));
}

#[test]
fn an_unfinished_last_write_is_no_damage() {
    let files = FaultyFiles::new(Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    for _ in 0..2 {
        log.appender.push(FrameKind::Group, &[8; 1500]).unwrap();
        log.appender.commit().unwrap();
    }
    let last = log.appender.last().position;
    drop(log);
    let mut disk = files.disk();
    disk.edit(&segment_path(1), |bytes| {
        let at = sector::physical(last.offset().into()) as usize + 700;
        bytes[at..].fill(0);
    });
    // The power goes before it is synced, and so before it is marked.
    disk.replace(&dir().join("durable"), None);
    let files = FaultyFiles::on(disk, Faults::default());
    let report = check_log(&files);
    assert!(report.is_sound() && report.problems.len() == 1, "{report:?}");
    assert_eq!(report.good_until, Some(last));
    assert_eq!(open(&files, SMALL, None).unwrap().1.len(), 1);
}

/// A disk on which nothing can be written, not even a lock.
struct ReadOnly(FaultyFiles);

impl Files for ReadOnly {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn create(&self, _: &Path, _: u64) -> io::Result<Arc<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        match writable {
            true => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            false => self.0.open(path, false),
        }
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn try_lock(&self, _: &Path) -> Result<Box<dyn LockGuard>, LockError> {
        Err(LockError::Io(io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.0.is_locked(path)
    }
}

/// A copy on a mount that can only be read used to be refused, because its lock could not be taken.
#[test]
fn where_nothing_can_be_written_a_log_is_checked_without_a_lock() {
    let (files, _) = long_log();
    let expected = check_log(&files);
    let report = check(&ReadOnly(files), &dir(), SMALL, &mut |_| Ok(())).unwrap();
    assert_eq!(report, expected);
}
