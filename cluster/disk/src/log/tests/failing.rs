//! Disks that are full, or fail.

use super::*;

#[test]
fn a_failed_sync_ends_the_log_and_is_never_tried_again() {
    for fail_sync in 3..12 {
        let files = FaultyFiles::new(Faults { fail_sync: Some(fail_sync), ..Faults::default() });
        let mut log = open(&files, SMALL, None).unwrap().0;
        let mut durable = Vec::new();
        let told = loop {
            let payload = vec![durable.len() as u8; 1500];
            let pushed = log.appender.push(FrameKind::Group, &payload).map_err(|error| error.to_string());
            match pushed.and_then(|_| log.appender.commit().map_err(|error| error.to_string())) {
                Ok(_) => durable.push((FrameKind::Group, payload)),
                Err(told) => break told,
            }
        };
        assert!(told.contains("sync"), "{told}");
        let operations = files.operations();
        assert!(matches!(log.appender.push(FrameKind::Group, b"x"), Err(PushError::Broken(_))));
        assert!(log.appender.commit().is_err() && log.appender.clean_stop().is_err());
        assert_eq!(files.operations(), operations, "a failed log was touched again");
        assert!(log.reader.failed().borrow().as_deref().is_some_and(|told| told.contains("sync")));
        for seed in 0..10 {
            let files = FaultyFiles::on(files.disk().after_power_cut(seed), Faults::default());
            let (_, found) = open(&files, SMALL, None).unwrap();
            assert!(found.starts_with(&durable) && found.len() <= durable.len() + 1);
        }
    }
}

#[test]
fn a_failed_write_of_unknown_extent_ends_the_log() {
    let files = FaultyFiles::new(Faults { fail_write: Some(6), ..Faults::default() });
    let mut log = open(&files, SMALL, None).unwrap().0;
    log.appender.push(FrameKind::Group, &[1; 1000]).unwrap();
    log.appender.commit().unwrap();
    log.appender.push(FrameKind::Group, &[2; 1000]).unwrap();
    assert!(log.appender.commit().is_err());
    assert!(matches!(log.appender.push(FrameKind::Group, b"x"), Err(PushError::Broken(_))));
    drop(log);
    let (log, found) = open(&files, SMALL, None).unwrap();
    assert_eq!(found, [(FrameKind::Group, vec![1; 1000])]);
    let cut = log.recovery.cut.unwrap();
    assert!(cut.bytes > 400 && cut.position.segment() == 1, "{cut:?}");
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let files = FaultyFiles::new(Faults { room_bytes: Some(20 << 10), ..Faults::default() });
    let mut log = open(&files, SMALL, None).unwrap().0;
    let mut written = 0;
    loop {
        match log.appender.push(FrameKind::Group, &[5; 1000]) {
            Ok(_) => written += log.appender.commit().map(|_| 1).unwrap(),
            Err(error) => {
                assert!(matches!(error, PushError::Unavailable(_)), "{error}");
                break;
            }
        }
    }
    assert!(written >= 8);
    // Still refused, still alive.
    assert!(matches!(log.appender.push(FrameKind::Group, &[5; 1000]), Err(PushError::Unavailable(_))));
    assert!(log.appender.broken().is_none());
    files.set_faults(|faults| faults.room_bytes = Some(1 << 20));
    log.appender.push(FrameKind::Group, &[6; 1000]).unwrap();
    log.appender.commit().unwrap();
    drop(log);
    let (_, found) = open(&files, SMALL, None).unwrap();
    assert_eq!(found.len(), written + 1);
}

#[test]
fn a_frame_larger_than_a_segment_gets_one_of_its_own_and_a_huge_one_is_refused() {
    let files = FaultyFiles::new(Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    for payload in [vec![1; 100], vec![2; 15_000], vec![3; 100]] {
        log.appender.push(FrameKind::Group, &payload).unwrap();
        log.appender.commit().unwrap();
    }
    assert!(matches!(log.appender.push(FrameKind::Group, &[0; 17_000]), Err(PushError::TooLarge { .. })));
    drop(log);
    let (_, found) = open(&files, SMALL, None).unwrap();
    assert_eq!(found.iter().map(|(_, payload)| payload.len()).collect::<Vec<_>>(), [100, 15_000, 100]);
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    let files = FaultyFiles::new(Faults::default());
    let log = open(&files, SMALL, None).unwrap().0;
    let error = open(&files, SMALL, None).err().unwrap().to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    drop(log);
    assert!(open(&files, SMALL, None).is_ok());
}

#[test]
fn readers_see_what_is_durable_and_nothing_else() {
    let files = FaultyFiles::new(Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    let mut positions = Vec::new();
    let mut bytes = Vec::new();
    for n in 0..40u8 {
        let mut group = group::GroupEncoder::new(Vec::new(), b"fence");
        let previous = positions.last().copied();
        bytes.push(vec![n; 37 * usize::from(n)]);
        let entry = group.push(group::EntryKind::Record, previous, &bytes[usize::from(n)]);
        let frame = log.appender.push(FrameKind::Group, &group.finish()).unwrap();
        let position = frame.plus(frame::HEADER_BYTES as u32 + entry);
        assert!(log.reader.entry(position).is_err(), "read before it was durable");
        log.appender.commit().unwrap();
        positions.push(position);
    }
    // Backwards through the chain.
    let mut at = positions.last().copied();
    let mut back = Vec::new();
    while let Some(position) = at {
        let entry = log.reader.entry(position).unwrap();
        back.push(entry.bytes);
        at = entry.previous;
    }
    back.reverse();
    assert_eq!(back, bytes);
    // Forwards, in pieces.
    let mut after = None;
    let mut frames = Vec::new();
    loop {
        let some = log.reader.frames_after(after, 3000).unwrap();
        let Some(last) = some.last() else { break };
        after = Some(last.position);
        frames.extend(some);
    }
    assert_eq!(frames.len(), 41);
    let (fence, entries) = group::decode_group(&frames[40].payload).unwrap();
    assert_eq!((fence, entries[0].bytes), (&b"fence"[..], &bytes[39][..]));
    assert!(log.reader.entry(Position::new(77, 100)).is_err());
    assert!(log.reader.entry(positions[3].plus(1)).is_err());
}

#[test]
fn the_writer_answers_all_that_waits_with_few_syncs() {
    let files = FaultyFiles::new(Faults::default());
    let log = open(&files, SMALL, None).unwrap().0;
    let mut writer = LogWriter::start(log.appender, 4096).unwrap();
    let frame = |n: u32| FramePayload { kind: FrameKind::Note, bytes: n.to_le_bytes().to_vec() };
    let answers: Vec<_> = (0..1000).map(|n| writer.append(vec![frame(n), frame(n)]).unwrap()).collect();
    let mut last = 0;
    for answer in answers {
        for position in answer.blocking_recv().unwrap().unwrap() {
            assert!(position.0 > last);
            last = position.0;
        }
    }
    writer.close();
    assert!(matches!(writer.append(vec![frame(0)]), Err(PushError::Broken(_))));
    drop(log.lock);
    let (log, found) = open(&files, SMALL, None).unwrap();
    assert!(log.recovery.clean_stop && found.len() == 2001);
}
