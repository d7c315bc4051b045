//! Lines without end: told, passed over, and never held in memory.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::support::poll::wait_for;
use crate::support::world::{World, places};

const BOUND: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;
const PEAK_MAX_KIB: u64 = 300 * 1024;

/// Feeds a good line, one of so many MiB, and `after`; gives the codes and the most memory the process held, in KiB.
fn feed(world: &World, mib: usize, after: String) -> (Vec<String>, u64) {
    let (mut child, _) = world.run("-").spawn();
    let mut pipe = child.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        pipe.write_all(places(0, 1).as_bytes()).unwrap();
        let chunk = vec![b'x'; MIB];
        (0..mib).for_each(|_| pipe.write_all(&chunk).unwrap());
        pipe.write_all(after.as_bytes()).unwrap();
    });
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = wait_for("the run ends", BOUND, || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap()));
        child.try_wait().unwrap()
    });
    feeder.join().unwrap();
    assert_eq!(ended.code(), Some(1));
    let codes = world.outcomes().into_iter().map(|outcome| outcome["code"].as_str().unwrap().to_owned());
    (codes.collect(), peak)
}

#[test]
fn a_line_of_100_mb_is_told_and_memory_stays_flat() {
    let world = World::new();
    let (codes, peak) = feed(&world, 100, format!("\n{}", places(1, 2)));
    assert_eq!(codes, ["applied", "too_large", "applied"]);
    world.expect_counts([3, 2, 0, 0, 0, 0, 1]);
    assert!((1..PEAK_MAX_KIB).contains(&peak), "{peak} KiB");
}

#[test]
fn an_endless_line_is_told_when_the_pipe_closes() {
    let world = World::new();
    let (codes, peak) = feed(&world, 20, String::new());
    assert_eq!(codes, ["applied", "too_large"]);
    assert!(world.outcomes()[1]["message"].as_str().unwrap().contains("20971520 bytes"));
    world.expect_counts([2, 1, 0, 0, 0, 0, 1]);
    assert!((1..PEAK_MAX_KIB).contains(&peak), "{peak} KiB");
}
