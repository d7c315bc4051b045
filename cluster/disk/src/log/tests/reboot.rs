//! Disks that do not do what they said: write-backs that fail and are forgotten, answered writes that are not there.

use super::*;

/// The machine is started again on the disk as it is: what the system kept in memory is gone.
fn reboots(files: &FaultyFiles) -> impl Iterator<Item = FaultyFiles> + use<> {
    let disk = files.disk();
    (0..6).map(move |seed| FaultyFiles::on(disk.after_power_cut(seed), Faults::default()))
}

/// Only the process is started again.
fn restarted(files: &FaultyFiles, faults: Faults) -> FaultyFiles {
    FaultyFiles::on(files.disk(), faults)
}

/// Writes until the log fails; what was acknowledged.
fn until_it_fails(files: &FaultyFiles) -> Vec<Content> {
    let mut durable = Vec::new();
    let Ok((mut log, _)) = open(files, SMALL, None) else { return durable };
    for n in 0..60u8 {
        let payload = vec![n; 200 + 130 * usize::from(n % 11)];
        let pushed = log.appender.push(FrameKind::Group, &payload).is_ok();
        if !pushed || log.appender.commit().is_err() {
            break;
        }
        durable.push((FrameKind::Group, payload));
    }
    durable
}

/// What a start after a failure answers from, and answers after it, is there after the reboot.
fn nothing_believed_is_lost(failing: Faults) {
    let files = FaultyFiles::new(failing);
    let durable = until_it_fails(&files);
    for again in 0..3 {
        let second = restarted(&files, Faults::default());
        let Ok((mut log, mut believed)) = open(&second, SMALL, None) else {
            panic!("an honest restart is refused")
        };
        assert!(believed.starts_with(&durable) && believed.len() <= durable.len() + 1);
        for n in 0..again {
            let payload = vec![90 + n; 700];
            log.appender.push(FrameKind::Group, &payload).unwrap();
            log.appender.commit().unwrap();
            believed.push((FrameKind::Group, payload));
        }
        drop(log);
        for rebooted in reboots(&second) {
            let (_, found) = open(&rebooted, SMALL, None).unwrap();
            assert_eq!(found, believed);
        }
    }
    // The power goes in the middle of that restart.
    for operation in 1..12 {
        let second = restarted(&files, Faults { cut_power_at: Some(operation), ..Faults::default() });
        let believed = open(&second, SMALL, None).map(|(_, found)| found).unwrap_or_default();
        for rebooted in reboots(&second) {
            let (_, found) = open(&rebooted, SMALL, None).unwrap();
            assert!(found.starts_with(&durable) && found.starts_with(&believed));
        }
    }
    // The disk fails once more, in that restart.
    for fail_sync in 1..6 {
        let second = restarted(&files, Faults { fail_sync: Some(fail_sync), ..Faults::default() });
        let believed = until_it_fails(&second);
        for rebooted in reboots(&second) {
            let (_, found) = open(&rebooted, SMALL, None).unwrap();
            let new = believed.iter().all(|frame| found.contains(frame));
            assert!(found.starts_with(&durable) && new, "sync {fail_sync}");
        }
    }
}

#[test]
fn after_a_failed_write_back_a_restart_believes_only_what_is_on_the_disk() {
    for fail_sync in 3..40 {
        nothing_believed_is_lost(Faults { fail_sync: Some(fail_sync), ..Faults::default() });
    }
}

#[test]
fn a_segment_whose_name_was_not_synced_is_made_anew() {
    // The first ones belong to the making of the log, which then was not made.
    for fail_sync_dir in 3..8 {
        nothing_believed_is_lost(Faults { fail_sync_dir: Some(fail_sync_dir), ..Faults::default() });
    }
}

#[test]
fn a_write_that_failed_halfway_is_cut_for_good() {
    for fail_write in 4..30 {
        nothing_believed_is_lost(Faults { fail_write: Some(fail_write), ..Faults::default() });
    }
}

#[test]
fn a_frame_is_given_to_nobody_before_it_is_durable() {
    let files = FaultyFiles::new(Faults { fail_sync: Some(9), ..Faults::default() });
    let durable = until_it_fails(&files);
    let second = restarted(&files, Faults { fail_sync: Some(1), ..Faults::default() });
    let opening = Opening::begin(Arc::new(second), &dir(), SMALL, new_log).unwrap();
    let mut given = Vec::new();
    let opened = opening.finish(None, &mut |frame| {
        given.extend((frame.kind != FrameKind::Identity).then(|| frame.payload.clone()));
        Ok(())
    });
    assert!(matches!(opened, Err(LogError::Io { what: "sync", .. })));
    assert!(given.len() <= durable.len(), "{} given, {} durable", given.len(), durable.len());
}

type Harm = fn(&mut Vec<u8>, usize, usize);

/// What hands and disks do to the last write, which was answered.
const HARMS: [(&str, Harm); 6] = [
    ("the first sector's seal", |bytes, start, _| bytes[start + 511] = 0),
    ("the end mark of its header", |bytes, start, _| bytes[start + frame::HEADER_BYTES - 1] = 0),
    ("its last sector", |bytes, _, end| bytes[end - 512..end].fill(0)),
    ("its last 4 KiB", |bytes, start, end| bytes[start.max(end.saturating_sub(4096))..end].fill(0)),
    ("all of it", |bytes, start, end| bytes[start..end].fill(0)),
    ("the end of the file", |bytes, start, _| bytes.truncate(start)),
];

fn answered(stop: bool) -> (FaultyFiles, Position) {
    let files = FaultyFiles::new(Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    for n in 0..3u8 {
        log.appender.push(FrameKind::Group, &[n + 1; 1500]).unwrap();
        log.appender.commit().unwrap();
    }
    if stop {
        log.appender.clean_stop().unwrap();
    }
    (files.clone(), log.appender.last().position)
}

#[test]
fn an_answered_last_write_that_is_harmed_is_loss_and_not_a_torn_write() {
    for (what, harm) in HARMS {
        for stop in [false, true] {
            let (files, last) = answered(stop);
            let start = sector::physical(last.offset().into()) as usize;
            let end = if stop { start + 512 } else { start + 2048 };
            let harmed = edited(&files.disk(), &segment_path(1), |bytes| harm(bytes, start, end));
            let before = harmed.disk().bytes(&segment_path(1));
            let error = open(&harmed, SMALL, None).err().unwrap_or_else(|| panic!("{what}: it was opened"));
            assert!(
                matches!(&error, LogError::Lost { source_name, .. } if source_name == "log/durable"),
                "{what}: {error}"
            );
            assert_eq!(harmed.disk().bytes(&segment_path(1)), before, "{what}: something was changed");
            // The tools see it, too, and a repair is a decision.
            let report = check::check(&harmed, &dir(), SMALL, &mut |_| Ok(())).unwrap();
            assert!(!report.is_sound(), "{what}: {report:?}");
            let plan = repair::plan(&report).unwrap();
            assert_eq!(plan.cut_at, last, "{what}");
            repair::apply(&harmed, &dir(), SMALL, &plan).unwrap();
            assert_eq!(open(&harmed, SMALL, None).unwrap().1.len(), if stop { 3 } else { 2 });
        }
    }
}

#[test]
fn a_last_segment_that_is_missing_or_older_is_loss() {
    let (older, _) = small_log(SMALL, 20);
    let files = FaultyFiles::on(older.clone(), Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    for _ in 0..20 {
        log.appender.push(FrameKind::Group, &[3; 900]).unwrap();
        log.appender.commit().unwrap();
    }
    drop(log);
    let newer = files.disk();
    let segments = segments_of(&newer).len() as u32;
    let last = segment_path(segments);
    let mut missing = newer.clone();
    missing.replace(&last, None);
    // What the last segment held at an earlier time: its header and nothing else.
    let mut emptied = newer.clone();
    emptied.edit(&last, |bytes| bytes[512..].fill(0));
    for disk in [missing, emptied] {
        let files = FaultyFiles::on(disk, Faults::default());
        let error = open(&files, SMALL, None).err().unwrap();
        assert!(matches!(error, LogError::Lost { .. }), "{error}");
        let report = check::check(&files, &dir(), SMALL, &mut |_| Ok(())).unwrap();
        assert!(!report.is_sound(), "{report:?}");
        assert!(repair::plan(&report).is_ok());
    }
}

#[test]
fn without_a_mark_a_torn_last_write_is_cut() {
    let (files, last) = answered(false);
    let start = sector::physical(last.offset().into()) as usize;
    let mut disk = files.disk();
    disk.edit(&segment_path(1), |bytes| bytes[start + 1024..start + 2048].fill(0));
    disk.replace(&dir().join("durable"), None);
    let (log, found) = open(&FaultyFiles::on(disk, Faults::default()), SMALL, None).unwrap();
    assert!(log.recovery.cut.is_some() && found.len() == 2);
}

#[test]
fn a_disk_that_loses_the_last_sector_of_a_synced_write_is_told_or_loses_nothing_answered() {
    let (mut refused, mut cut) = (0, 0);
    for answers in 1..20u8 {
        let files = FaultyFiles::new(Faults { last_sector_lies: true, ..Faults::default() });
        let mut log = open(&files, SMALL, None).unwrap().0;
        for n in 0..answers {
            log.appender.push(FrameKind::Group, &[n + 1; 1500]).unwrap();
            log.appender.commit().unwrap();
        }
        for rebooted in reboots(&files) {
            match open(&rebooted, SMALL, None) {
                // The mark came to the disk, or a later segment knows.
                Err(LogError::Lost { .. } | LogError::Damaged { .. }) => refused += 1,
                // The mark did not, and nothing on this disk knows of the write.
                Ok((log, found)) => {
                    assert!(log.recovery.cut.is_some() && found.len() == usize::from(answers) - 1);
                    cut += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(refused > 20 && cut > 0, "{refused} {cut}");
}

#[test]
fn payloads_made_of_valid_frames_are_taken_for_none_at_any_cut() {
    let files = FaultyFiles::new(Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    for n in 0..6u8 {
        log.appender.push(FrameKind::Group, &[n + 1; 300]).unwrap();
        log.appender.commit().unwrap();
    }
    drop(log);
    let valid = files.disk().bytes(&segment_path(1)).unwrap();
    let before = files.disk();
    let mut rng = fastrand::Rng::with_seed(14);
    for round in 0..60 {
        // Whole sectors that begin with heads of batches, at each shift against the sectors of the file.
        let mut payload = vec![0; round * 9 % 512];
        while payload.len() < 3000 {
            let sector = rng.usize(1..7) * 512;
            payload.extend_from_slice(&valid[sector..sector + 511]);
        }
        let files = FaultyFiles::on(before.clone(), Faults::default());
        let mut log = open(&files, SMALL, None).unwrap().0;
        let operations = files.operations();
        files.set_faults(|faults| faults.cut_power_at = Some(operations + 2));
        log.appender.push(FrameKind::Group, &payload).unwrap();
        assert!(log.appender.commit().is_err());
        for seed in 0..8 {
            let image = FaultyFiles::on(files.disk().after_power_cut(seed), Faults::default());
            let (_, found) =
                open(&image, SMALL, None).unwrap_or_else(|error| panic!("round {round}: {error}"));
            assert!(found.len() == 6 || found.len() == 7 && found[6].1 == payload);
        }
    }
}
