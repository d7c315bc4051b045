//! Seeded worlds: hundreds of histories in which everything goes wrong, and none in which a promise breaks.

mod crashes;
mod crowds;
mod found;
mod mutants;
mod support;

use std::collections::BTreeMap;

use retailflow_actors::ProbePoint;
use retailflow_chaos::{Fault, Plan, run};
use support::{must_hold, seeds};

#[test]
fn a_quiet_world_keeps_every_promise() {
    let report = run(1, &Plan::quiet());
    must_hold(&report);
    assert_eq!(report.crashes, 0, "{}", report.explain(60));
}

/// The seed of `RETAILFLOW_SEED`, with its whole trace; seed 0 when that is not set.
#[test]
fn one_seed() {
    let seed = std::env::var("RETAILFLOW_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let report = run(seed, &Plan::of_seed(seed));
    println!("{}", report.trace.join("\n"));
    must_hold(&report);
}

#[test]
fn every_seed_keeps_every_promise_and_all_that_can_go_wrong_does() {
    let mut visits: BTreeMap<ProbePoint, u64> = BTreeMap::new();
    let mut faults: BTreeMap<Fault, u32> = BTreeMap::new();
    let [mut crashes, mut conflicts, mut combined, mut replays] = [0; 4];
    for seed in seeds() {
        let report = run(seed, &Plan::of_seed(seed));
        must_hold(&report);
        crashes += report.crashes;
        conflicts += report.conflicts;
        combined += report.combined;
        replays += report.replays;
        report.visits.iter().for_each(|(point, count)| *visits.entry(*point).or_default() += count);
        report.faults.iter().for_each(|(fault, count)| *faults.entry(*fault).or_default() += count);
    }
    println!(
        "{crashes} crashes, {conflicts} conflicts, {combined} combined, {replays} replays, {visits:?}, {faults:?}"
    );
    assert_eq!(visits.len(), 11, "every probe is on some command's way: {visits:?}");
    // Eight of the log's, eight of the participants'; those of the small stores are not in the report.
    assert!(
        faults.len() == 16 && faults.values().all(|count| *count >= 20),
        "every fault is drawn: {faults:?}"
    );
    assert!(crashes > 300 && conflicts > 20 && combined > 300 && replays > 3000);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in seeds() {
        let plan = Plan::of_seed(seed);
        let (first, second) = (run(seed, &plan), run(seed, &plan));
        if let Some(at) = first.trace.iter().zip(&second.trace).position(|(a, b)| a != b) {
            let from = at.saturating_sub(25);
            let to = |trace: &[String]| trace[from..(at + 4).min(trace.len())].join("\n");
            panic!(
                "seed {seed} differs at line {at}:\n{}\n--- second\n{}",
                to(&first.trace),
                to(&second.trace)
            );
        }
        assert_eq!(first.hash(), second.hash(), "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}
