//! In paused time: nothing here waits.

use parking_lot::Mutex;
use retailflow_config::Config;
use tokio::time::advance;

use super::*;

/// A generator of its own (SplitMix64): the draws of one test move no other.
pub(crate) struct Seeded(Mutex<u64>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Rng for Seeded {
    fn next_u64(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

pub(crate) fn effects() -> Effects {
    Config::default().effects
}

const OPEN_MS: u64 = 500;

fn breaker(seed: u64) -> Breaker {
    let effects = Effects { breaker_failures: 3, breaker_open_ms: OPEN_MS, ..effects() };
    Breaker::new(&effects, Arc::new(Seeded::new(seed)))
}

fn fail(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        breaker.try_pass().ok().unwrap().failure();
    }
}

fn refusal(breaker: &Breaker) -> Duration {
    breaker.try_pass().err().unwrap().0
}

/// The refusal, after which the breaker has stayed open for as long as it said and not a millisecond less.
async fn wait_it_out(breaker: &Breaker) -> Duration {
    let left = refusal(breaker);
    advance(left - Duration::from_millis(1)).await;
    assert_eq!(refusal(breaker), Duration::from_millis(1));
    advance(Duration::from_millis(1)).await;
    left
}

/// Rounds of so many calls at once, of which each tenth fails, and does so before the others are back.
fn quick_failures(breaker: &Breaker, rounds: usize, calls: usize, slow: impl Fn(Pass)) {
    for _ in 0..rounds {
        let mut passes: Vec<Pass> = (0..calls).filter_map(|_| breaker.try_pass().ok()).collect();
        passes.drain(..calls / 10).for_each(Pass::failure);
        passes.into_iter().for_each(&slow);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_come_sooner_than_successes_are_no_failures_in_a_row() {
    let breaker = breaker(1);
    quick_failures(&breaker, 100, 1000, Pass::success);
    assert_eq!(breaker.counts(), BreakerCounts::default(), "nine of ten calls were well");
    // Calls that are given up say nothing, and are not waited for.
    quick_failures(&breaker, 1, 1000, drop);
    assert!(!breaker.is_open(), "nobody knows of the others");
    fail(&breaker, 1);
    assert!(breaker.is_open(), "a hundred failures in a row, and no call is out");
}

#[tokio::test(start_paused = true)]
async fn who_fails_every_call_is_left_alone_however_many_are_out() {
    let breaker = breaker(1);
    let passes: Vec<Pass> = (0..1000).map(|_| breaker.try_pass().ok().unwrap()).collect();
    let mut failed = 0;
    for pass in passes {
        pass.failure();
        failed += 1;
        if breaker.is_open() {
            break;
        }
    }
    assert_eq!(failed, 500, "as soon as as many have failed as are out");
}

#[tokio::test(start_paused = true)]
async fn it_opens_after_failures_in_a_row_and_a_probe_closes_it() {
    let breaker = breaker(1);
    fail(&breaker, 2);
    breaker.try_pass().ok().unwrap().success();
    fail(&breaker, 2);
    assert!(!breaker.is_open(), "a success between them begins the count again");
    fail(&breaker, 1);
    assert!(breaker.is_open());
    let open = wait_it_out(&breaker).await;
    assert!((OPEN_MS..=OPEN_MS * 3 / 2).contains(&(open.as_millis() as u64)), "{open:?}");
    let probe = breaker.try_pass().ok().unwrap();
    assert!(breaker.is_open(), "until the probe is back");
    assert_eq!(refusal(&breaker), Duration::from_millis(OPEN_MS));
    advance(Duration::from_secs(3600)).await;
    assert!(breaker.try_pass().is_err(), "one probe, however long it takes");
    probe.success();
    assert!(!breaker.is_open());
    let both = (breaker.try_pass().ok().unwrap(), breaker.try_pass().ok().unwrap());
    drop(both);
    fail(&breaker, 2);
    assert!(!breaker.is_open(), "the count began again");
    let counts = breaker.counts();
    assert_eq!(counts, BreakerCounts { opened: 1, closed: 1, probes: 1, refused: 4 });
}

#[tokio::test(start_paused = true)]
async fn each_failed_probe_keeps_it_open_for_longer_up_to_a_cap() {
    for seed in 0..50 {
        let breaker = breaker(seed);
        fail(&breaker, 3);
        let mut before = Duration::ZERO;
        for doublings in [0, 1, 2, 3, 4, 4, 4] {
            let open = wait_it_out(&breaker).await;
            let base_ms = OPEN_MS << doublings;
            assert!((base_ms..=base_ms * 3 / 2).contains(&(open.as_millis() as u64)), "{open:?}");
            assert!(open > before || doublings == 4, "{before:?}, then {open:?}");
            before = open;
            fail(&breaker, 1);
        }
        wait_it_out(&breaker).await;
        breaker.try_pass().ok().unwrap().success();
        // What was once closed begins with the shortest time.
        fail(&breaker, 3);
        assert!(refusal(&breaker) <= Duration::from_millis(OPEN_MS * 3 / 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_frees_the_gate_and_decides_nothing() {
    let breaker = breaker(2);
    fail(&breaker, 3);
    wait_it_out(&breaker).await;
    for _ in 0..5 {
        let probe = breaker.try_pass().ok().unwrap();
        assert!(breaker.try_pass().is_err());
        drop(probe);
        assert!(breaker.is_open());
    }
    breaker.try_pass().ok().unwrap().success();
    assert!(!breaker.is_open());
    drop(breaker.try_pass());
    fail(&breaker, 2);
    drop(breaker.try_pass());
    fail(&breaker, 1);
    assert!(breaker.is_open(), "a dropped call does not begin the count again either");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_comes_too_late_counts_for_nothing() {
    let breaker = breaker(3);
    let mut late: Vec<Pass> = (0..8).map(|_| breaker.try_pass().ok().unwrap()).collect();
    fail(&breaker, late.len());
    late.pop().unwrap().success();
    assert!(breaker.is_open());
    let left = wait_it_out(&breaker).await;
    late.pop().unwrap().failure();
    let probe = breaker.try_pass().ok().unwrap();
    late.pop().unwrap().success();
    late.pop().unwrap().failure();
    drop(late.pop());
    assert!(breaker.is_open() && breaker.try_pass().is_err(), "the probe alone decides");
    probe.success();
    while let Some(pass) = late.pop() {
        pass.failure();
    }
    fail(&breaker, 2);
    assert!(!breaker.is_open() && !left.is_zero());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_times() {
    let mut told = Vec::new();
    for seed in [1, 1, 2] {
        let breaker = breaker(seed);
        fail(&breaker, 3);
        told.push(refusal(&breaker));
    }
    assert!(told[0] == told[1] && told[0] != told[2], "{told:?}");
}
