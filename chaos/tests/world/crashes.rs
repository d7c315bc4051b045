//! Every visit of every probe, one world for each: nothing is left to chance.

use retailflow_chaos::{Crashes, Plan, run};

use crate::support::must_hold;

/// Crashes whoever comes first, second, third … to a probe, until the world has no such visit any more. Gives how many
/// there are.
fn sweep(seed: u64, plan: impl Fn(Crashes) -> Plan, crashes: impl Fn(u64) -> Crashes) -> u64 {
    for visit in 1.. {
        let report = run(seed, &plan(crashes(visit)));
        must_hold(&report);
        if report.visits.values().sum::<u64>() < visit {
            return visit - 1;
        }
    }
    0
}

#[test]
fn an_actor_may_crash_at_any_visit_of_any_probe() {
    for seed in 0..3 {
        let visits = sweep(seed, Plan::sweep, Crashes::ActorAt);
        assert!(visits > 40, "only {visits} visits");
    }
}

#[test]
fn the_node_may_die_at_any_visit_of_any_probe() {
    for seed in 0..3 {
        let visits = sweep(seed, Plan::sweep, Crashes::NodeAt);
        assert!(visits > 40, "only {visits} visits");
    }
}

#[test]
fn an_actor_may_crash_at_any_visit_while_the_log_loses_answers() {
    for seed in 0..2 {
        let visits = sweep(seed, |crashes| Plan { crashes, ..Plan::of_seed(seed) }, Crashes::ActorAt);
        assert!(visits > 40, "only {visits} visits");
    }
}
