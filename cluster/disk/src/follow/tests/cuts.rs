//! The power goes at each operation: what a follower has shown is in the log afterwards.

use super::*;

/// A history of groups with clean stops and reopenings, the disk after each operation, and after which operation how
/// many groups had been acknowledged.
fn tell(faults: Faults) -> (Vec<Disk>, Vec<(u64, u32)>) {
    let faulty = FaultyFiles::new(Faults { record: true, ..faults });
    let files: Arc<dyn Files> = Arc::new(faulty.clone());
    let (mut number, mut acknowledged) = (0, Vec::new());
    for _ in 0..4 {
        let log = open(&files, &data());
        let mut writer = LogWriter::start(log.appender, 64).unwrap();
        let mut follower = follower(&files, &data());
        assert_eq!(all(&mut follower).len(), number as usize);
        for _ in 0..12 {
            number += 1;
            writer.append(vec![group(number)]).unwrap().blocking_recv().unwrap().unwrap();
            // So that there is a mark after each.
            assert_eq!(numbers(&until(&mut follower, 1)), [number]);
            acknowledged.push((faulty.operations(), number));
        }
        writer.close();
    }
    (faulty.history(), acknowledged)
}

/// What is shown of `disk`, beside a writer or after one, and the disk afterwards.
fn shown(disk: &Disk, beside: bool) -> (Disk, Result<Vec<u32>, FollowError>) {
    let (faulty, files) = faulty(disk.clone());
    let lock = beside.then(|| files.try_lock(&data().join("log").join(LOCK_FILE)).unwrap());
    let seen = match LogFollower::open(&data(), SMALL, Arc::clone(&files)) {
        Ok(mut follower) => follower.next(usize::MAX).map(|groups| numbers(&groups)),
        Err(FollowError::NoLog(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    drop(lock);
    (faulty.disk(), seen)
}

fn lost(faults: Faults) -> (usize, Vec<String>) {
    let (history, acknowledged) = tell(faults);
    let mut told = Vec::new();
    for (index, disk) in history.iter().enumerate() {
        let operation = index as u64 + 1;
        let given =
            acknowledged.iter().rev().find(|(at, _)| *at <= operation).map_or(0, |(_, number)| *number);
        for beside in [true, false] {
            // With what the follower itself has synced.
            let (disk, seen) = shown(disk, beside);
            let seen = seen.unwrap();
            assert_eq!(seen, (1..=seen.len() as u32).collect::<Vec<_>>());
            if (seen.len() as u32) < given {
                told.push(format!("operation {operation}: {} of {given} shown", seen.len()));
            }
            for seed in 0..5 {
                let image = disk.after_power_cut(seed + 5 * operation);
                // First as a follower finds it, then as the next writer does.
                for opened in [false, true] {
                    let (faulty, files) = faulty(image.clone());
                    let next: Arc<dyn Files> = Arc::clone(&files);
                    let opening = Opening::begin(next, &data().join("log"), SMALL, new_log);
                    if opened && opening.and_then(|opening| opening.finish(None, &mut |_| Ok(()))).is_err() {
                        told.push(format!("operation {operation}, seed {seed}: not opened"));
                    }
                    match shown(&faulty.disk(), false).1 {
                        Ok(after) if after.starts_with(&seen) => {}
                        after => told.push(format!(
                            "operation {operation}, seed {seed}: {} shown, then {after:?}",
                            seen.len()
                        )),
                    }
                }
            }
        }
    }
    (history.len(), told)
}

#[test]
fn nothing_shown_is_lost_at_any_cut() {
    let (operations, told) = lost(Faults::default());
    assert!(operations > 140, "{operations}");
    assert!(told.is_empty(), "{} times: {:?}", told.len(), &told[..told.len().min(5)]);
}

#[test]
fn a_writer_that_skips_its_syncs_is_caught() {
    let (operations, told) = lost(Faults { sync_lies: true, ..Faults::default() });
    assert!(told.len() > operations, "only {} of {operations}", told.len());
}
