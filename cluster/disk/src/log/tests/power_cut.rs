//! The power goes after every single write and sync of a history.

use super::*;

/// Checks one image: all that was acknowledged is there, at most the write in flight follows, and it goes on.
fn survives(image: Disk, story: &Story, operation: u64, seed: u64) -> Result<(), String> {
    let done = story.acknowledged.iter().rposition(|(at, ..)| *at <= operation);
    let acknowledged = done.map_or(0, |done| story.acknowledged[done].1);
    let next = done.map_or(0, |done| done + 1);
    let in_flight = story.acknowledged.get(next).map_or(acknowledged, |(_, frames, _)| *frames);
    let mut image = image;
    if seed % 3 == 2 {
        // The power goes again while the log is being opened.
        let files = FaultyFiles::on(image, Faults { cut_power_at: Some(1 + seed % 7), ..Faults::default() });
        drop(open(&files, SMALL, None));
        image = files.disk().after_power_cut(seed / 3);
    }
    let files = FaultyFiles::on(image, Faults::default());
    let told = |error: &dyn std::fmt::Display| format!("operation {operation}, seed {seed}: {error}");
    let (mut log, found) = open(&files, SMALL, None).map_err(|error| told(&error))?;
    if found.len() != acknowledged && found.len() != in_flight {
        let reason = format!("{} frames, acknowledged {acknowledged}, written {in_flight}", found.len());
        return Err(told(&reason));
    }
    if found != story.frames[..found.len()] {
        return Err(told(&"other frames than were written"));
    }
    log.appender.push(FrameKind::Note, b"and on").map_err(|error| told(&error))?;
    log.appender.commit().map_err(|error| told(&error))?;
    drop(log);
    // Again, from a frame that was seen.
    let seen = done.map(|done| story.acknowledged[seed as usize % (done + 1)]);
    let (log, after) = open(&files, SMALL, seen.map(|seen| seen.2)).map_err(|error| told(&error))?;
    let mut expected = story.frames[seen.map_or(0, |seen| seen.1)..found.len()].to_vec();
    expected.push((FrameKind::Note, b"and on".to_vec()));
    if after != expected || log.recovery.cut.is_some() {
        return Err(told(&"not the same when opened again"));
    }
    Ok(())
}

fn images(faults: Faults, batches: usize, seeds: u64) -> (usize, Vec<String>) {
    let files = FaultyFiles::new(Faults { record: true, ..faults });
    let story = tell(&files, SMALL, 1, batches);
    assert!(story.stops >= 1);
    let history = files.history();
    assert_eq!(history.len() as u64, files.operations());
    let told = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (history, story) = (&history, &story);
                scope.spawn(move || {
                    let mut told = Vec::new();
                    for (index, disk) in history.iter().enumerate().filter(|(index, _)| index % 2 == half) {
                        let operation = index as u64 + 1;
                        for seed in 0..seeds {
                            let seed = seed + operation * seeds;
                            told.extend(survives(disk.after_power_cut(seed), story, operation, seed).err());
                        }
                    }
                    told
                })
            })
            .collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    (history.len() * seeds as usize, told)
}

#[test]
fn nothing_acknowledged_is_lost_at_any_cut() {
    let (images, told) = images(Faults::default(), 320, 5);
    assert!(images >= 3000, "{images}");
    assert!(told.is_empty(), "{} of {images}: {:?}", told.len(), &told[..told.len().min(5)]);
}

#[test]
fn short_writes_change_nothing() {
    let faults = Faults { write_max_bytes: Some(300), ..Faults::default() };
    let (_, told) = images(faults, 75, 2);
    assert!(told.is_empty(), "{:?}", &told[..told.len().min(5)]);
}

#[test]
fn a_log_that_skips_its_syncs_is_caught() {
    let (images, told) = images(Faults { sync_lies: true, ..Faults::default() }, 75, 2);
    assert!(told.len() > images / 10, "only {} of {images}", told.len());
}

#[test]
fn an_appender_that_lost_power_says_so_and_takes_no_more() {
    for operation in 1..60 {
        let files = FaultyFiles::new(Faults { cut_power_at: Some(operation), ..Faults::default() });
        let Ok((mut log, _)) = open(&files, SMALL, None) else { continue };
        let mut durable = Vec::new();
        loop {
            let payload = vec![durable.len() as u8; 700];
            if log.appender.push(FrameKind::Group, &payload).is_err() || log.appender.commit().is_err() {
                break;
            }
            durable.push((FrameKind::Group, payload));
        }
        let failed = log.reader.failed();
        if log.appender.broken().is_some() {
            assert!(failed.borrow().is_some());
            assert!(matches!(log.appender.push(FrameKind::Group, b"x"), Err(PushError::Broken(_))));
        }
        for seed in 0..5 {
            let files = FaultyFiles::on(files.disk().after_power_cut(seed), Faults::default());
            let (_, found) = open(&files, SMALL, None).unwrap();
            assert!(found.starts_with(&durable) && found.len() <= durable.len() + 1);
        }
    }
}
