//! What a power cut does not explain is refused, with the place.

use super::*;

const TINY: LogOptions = LogOptions {
    segment_bytes: 3 << 10,
    batch_max_bytes: 2 << 10,
    payload_max_bytes: 4 << 10,
    prepare_ahead: false,
};

fn each_flip(disk: &Disk, story: &Story) {
    let last = story.acknowledged.last().unwrap().2;
    let (mut refused, mut whole) = (0, 0);
    for path in disk.paths() {
        for byte in 0..disk.bytes(&path).unwrap().len() {
            for bit in 0..8 {
                let files = edited(disk, &path, |bytes| bytes[byte] ^= 1 << bit);
                let seen = (bit % 4 == 0).then_some(last);
                match open(&files, TINY, seen) {
                    Err(_) => refused += 1,
                    Ok((_, found)) if seen.is_none() => {
                        assert_eq!(found, story.frames, "byte {byte} bit {bit} of {path:?}");
                        whole += 1;
                    }
                    Ok(_) => whole += 1,
                }
            }
        }
    }
    assert!(refused > 5_000 && whole > 500, "{refused} {whole}");
}

#[test]
fn no_flipped_bit_loses_an_acknowledged_frame() {
    let (disk, story) = small_log(TINY, 7);
    assert!(segments_of(&disk).len() >= 2);
    each_flip(&disk, &story);
}

#[test]
fn no_flipped_bit_loses_anything_after_a_clean_stop() {
    let files = FaultyFiles::new(Faults::default());
    let mut story = tell(&files, TINY, 9, 6);
    let mut log = open(&files, TINY, None).unwrap().0;
    log.appender.clean_stop().unwrap();
    story.frames.push((FrameKind::CleanStop, Vec::new()));
    each_flip(&files.disk(), &story);
}

#[test]
fn a_lost_sector_is_noticed_by_what_follows_it() {
    let (disk, story) = small_log(SMALL, 40);
    let (_, _, last) = *story.acknowledged.last().unwrap();
    for path in segments_of(&disk) {
        let length = disk.bytes(&path).unwrap().len();
        for start in (0..length).step_by(512) {
            if disk.bytes(&path).unwrap()[start..start + 512].iter().all(|byte| *byte == 0) {
                continue;
            }
            let files = edited(&disk, &path, |bytes| bytes[start..start + 512].fill(0));
            let error = open(&files, SMALL, Some(last)).err().or_else(|| open(&files, SMALL, None).err());
            let error = error.expect("a lost sector was not noticed").to_string();
            assert!(error.contains("damaged") || error.contains("lost"), "{error}");
        }
    }
}

#[test]
fn a_lost_last_write_is_noticed_after_a_clean_stop_or_by_who_saw_it() {
    let files = FaultyFiles::new(Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    for payload in [vec![1; 800], vec![2; 800]] {
        log.appender.push(FrameKind::Group, &payload).unwrap();
        log.appender.commit().unwrap();
    }
    let last = log.appender.last();
    let cut_last = |disk: &Disk| {
        edited(disk, &segment_path(1), |bytes| {
            let from = sector::physical(last.position.offset().into()) as usize;
            bytes[from..from + 850].fill(0);
        })
    };
    let open_disk = files.disk();
    assert!(matches!(open(&cut_last(&open_disk), SMALL, Some(last)), Err(LogError::Regressed { .. })));
    log.appender.clean_stop().unwrap();
    assert!(matches!(open(&cut_last(&files.disk()), SMALL, None), Err(LogError::Damaged { .. })));
}

#[test]
fn missing_swapped_and_foreign_segments_are_refused() {
    let (disk, story) = small_log(SMALL, 60);
    let segments = segments_of(&disk).len() as u32;
    assert!(segments >= 4);
    for segment in 1..segments {
        let mut disk = disk.clone();
        disk.replace(&segment_path(segment), None);
        let found = open(&FaultyFiles::on(disk, Faults::default()), SMALL, None);
        assert!(matches!(found, Err(LogError::MissingSegment(missing)) if missing == segment));
    }
    let mut swapped = disk.clone();
    swapped.replace(&segment_path(2), Some(&segment_path(3)));
    let error = open(&FaultyFiles::on(swapped, Faults::default()), SMALL, None).err().unwrap();
    assert!(error.to_string().contains("under another name"), "{error}");

    let files = FaultyFiles::new(Faults::default());
    let other = || NewLog { log_id: [9; 16], ..new_log() };
    let opening = Opening::begin(Arc::new(files.clone()), &dir(), SMALL, other).unwrap();
    let mut log = opening.finish(None, &mut |_| Ok(())).unwrap();
    for _ in 0..30 {
        log.appender.push(FrameKind::Group, &[7; 900]).unwrap();
        log.appender.commit().unwrap();
    }
    let foreign = files.disk().bytes(&segment_path(2)).unwrap();
    let files = edited(&disk, &segment_path(2), |bytes| *bytes = foreign);
    let error = open(&files, SMALL, None).err().unwrap();
    assert!(error.to_string().contains("another log"), "{error}");

    // The last segment is missed by who saw a frame of it.
    let mut shorter = disk.clone();
    shorter.replace(&segment_path(segments), None);
    let last = story.acknowledged.last().unwrap().2;
    let found = open(&FaultyFiles::on(shorter, Faults::default()), SMALL, Some(last));
    assert!(matches!(found, Err(LogError::Regressed { .. })));
}

#[test]
fn an_older_copy_of_a_segment_is_refused() {
    let files = FaultyFiles::new(Faults::default());
    tell(&files, SMALL, 3, 3);
    let older = files.disk().bytes(&segment_path(1)).unwrap();
    tell_more(&files, 40);
    assert!(segments_of(&files.disk()).len() > 3);
    let files = edited(&files.disk(), &segment_path(1), |bytes| *bytes = older);
    assert!(matches!(open(&files, SMALL, None), Err(LogError::Damaged { .. })));
}

fn tell_more(files: &FaultyFiles, batches: usize) {
    let mut log = open(files, SMALL, None).unwrap().0;
    for _ in 0..batches {
        log.appender.push(FrameKind::Group, &[3; 900]).unwrap();
        log.appender.commit().unwrap();
    }
}

#[test]
fn a_newer_frame_is_unsupported_and_not_damaged() {
    let files = FaultyFiles::new(Faults::default());
    let mut log = open(&files, SMALL, None).unwrap().0;
    let at = log.appender.push(FrameKind::Group, b"of the future").unwrap();
    log.appender.commit().unwrap();
    let from = sector::physical(at.offset().into()) as usize;
    let path = segment_path(1);
    let is_refused = |files: &FaultyFiles, newest: u16| {
        let error = open(files, SMALL, None).err().unwrap();
        let is_unsupported = matches!(error, LogError::Unsupported { found, .. } if found == newest);
        assert!(is_unsupported, "{error}");
        // And no repair cuts it, ever.
        let report = check::check(files, &dir(), SMALL, &mut |_| Ok(())).unwrap();
        let planned = repair::plan(&report);
        assert!(matches!(planned, Err(repair::RepairRefused::OtherFormat(_))), "{planned:?}");
    };
    // Sealed as this build seals, and not.
    for reseal in [true, false] {
        let files = edited(&files.disk(), &path, |bytes| {
            bytes[from + 5] = 3;
            bytes[from + 30] ^= u8::from(!reseal);
            if reseal {
                let mut header = [0; frame::HEADER_BYTES];
                header.copy_from_slice(&bytes[from..from + frame::HEADER_BYTES]);
                let key = frame::HeaderKey { log_id: new_log().log_id, secret: new_log().secret };
                key.seal_again(&mut header, at);
                bytes[from..from + frame::HEADER_BYTES].copy_from_slice(&header);
            }
        });
        is_refused(&files, 3);
    }
    // A kind that this build does not know.
    let unknown = edited(&files.disk(), &path, |bytes| {
        bytes[from + 4] = 9;
        let mut header = [0; frame::HEADER_BYTES];
        header.copy_from_slice(&bytes[from..from + frame::HEADER_BYTES]);
        let key = frame::HeaderKey { log_id: new_log().log_id, secret: new_log().secret };
        key.seal_again(&mut header, at);
        bytes[from..from + frame::HEADER_BYTES].copy_from_slice(&header);
    });
    is_refused(&unknown, 3);
    // A segment of another format: a newer one, an older one.
    for version in [3, 1] {
        let files = edited(&files.disk(), &path, |bytes| {
            bytes[8] = version;
            bytes[100] ^= 1;
        });
        is_refused(&files, version.into());
    }
    // A version byte that was hit is damage.
    let hit = edited(&files.disk(), &path, |bytes| bytes[from + 5] ^= 4);
    assert!(matches!(open(&hit, SMALL, None), Err(LogError::Damaged { .. })));
}
