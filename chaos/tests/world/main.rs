//! Seeded worlds: hundreds of histories in which everything goes wrong, and none in which a promise breaks.

mod mutants;
mod support;

use std::collections::BTreeMap;

use retailflow_actors::ProbePoint;
use retailflow_chaos::{Crashes, Fault, Plan, run};
use support::{SEEDS, must_hold};

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
    let mut crashes = 0;
    for seed in SEEDS {
        let report = run(seed, &Plan::of_seed(seed));
        must_hold(&report);
        crashes += report.crashes;
        report.visits.iter().for_each(|(point, count)| *visits.entry(*point).or_default() += count);
        report.faults.iter().for_each(|(fault, count)| *faults.entry(*fault).or_default() += count);
    }
    println!("{crashes} crashes, visits {visits:?}, faults {faults:?}");
    assert_eq!(visits.len(), 9, "every probe is on some command's way: {visits:?}");
    assert!(faults.len() >= 8 && faults.values().all(|count| *count >= 20), "every fault is drawn: {faults:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in SEEDS.step_by(5) {
        let plan = Plan::of_seed(seed);
        let (first, second) = (run(seed, &plan), run(seed, &plan));
        let differ = first.trace.iter().zip(&second.trace).position(|(a, b)| a != b);
        if let Some(at) = differ {
            let from = at.saturating_sub(25);
            let to = |trace: &[String]| trace[from..(at + 4).min(trace.len())].join("\n");
            panic!("seed {seed} differs at line {at}:\n{}\n--- second\n{}", to(&first.trace), to(&second.trace));
        }
        assert_eq!(first.hash(), second.hash(), "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Crashes whoever comes first, second, third … to a probe, until a world has no such visit any more.
fn sweep(crashes: impl Fn(u64) -> Crashes) -> u64 {
    for visit in 1.. {
        let report = run(visit % 3, &Plan::sweep(crashes(visit)));
        must_hold(&report);
        if report.visits.values().sum::<u64>() < visit {
            return visit - 1;
        }
    }
    0
}

#[test]
fn an_actor_may_crash_at_any_visit_of_any_probe() {
    let visits = sweep(Crashes::ActorAt);
    assert!(visits > 60, "only {visits} visits");
}

#[test]
fn the_node_may_die_at_any_visit_of_any_probe() {
    let visits = sweep(Crashes::NodeAt);
    assert!(visits > 60, "only {visits} visits");
}
