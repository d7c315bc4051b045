//! Crowds: one part is sick, and nobody else feels it; no order stands still.

use retailflow_chaos::{CrowdPlan, CrowdReport, Sickness, crowd, crowd_on_threads};

use crate::support::seeds;

fn must_hold(plan: &CrowdPlan, report: &CrowdReport) {
    assert!(report.findings.is_empty(), "{}", report.explain(plan));
}

/// The seed of `RETAILFLOW_SEED`; seed 0 when that is not set.
#[test]
fn one_crowd() {
    let seed = std::env::var("RETAILFLOW_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let plan = CrowdPlan::of_seed(seed);
    let report = crowd(seed, &plan, &|_| {});
    println!("{plan:?}\n{report:?}");
    must_hold(&plan, &report);
}

#[test]
fn in_every_crowd_all_come_to_their_end_and_no_sickness_is_felt_by_others() {
    for seed in seeds() {
        let plan = CrowdPlan::of_seed(seed);
        let report = crowd(seed, &plan, &|_| {});
        must_hold(&plan, &report);
        let held = if plan.sickness == Sickness::Contradicts { plan.orders.div_ceil(8) } else { 0 };
        assert!(report.ended + u64::from(held) >= u64::from(plan.orders), "seed {seed}: {report:?}");
    }
}

/// The same workloads on the real runtime: threads that really run at once, in real time, each kind of sickness beside the
/// others; judged by the same checkers.
#[test]
fn on_many_threads_no_sickness_is_felt_by_others_either() {
    let plans: Vec<_> =
        (0..Sickness::KINDS).map(|seed| (seed, CrowdPlan::of_seed(seed).on_threads())).collect();
    std::thread::scope(|scope| {
        let runs: Vec<_> = plans
            .iter()
            .map(|(seed, plan)| (plan, scope.spawn(move || crowd_on_threads(*seed, plan, 4))))
            .collect();
        for (plan, run) in runs {
            must_hold(plan, &run.join().unwrap());
        }
    });
}
