//! A million lives, on all cores: `cargo xtask test --long` asks for them, by `RETAILFLOW_LIVES`.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// Lives of the normal test run.
const LIVES: u64 = 500;
/// Lives from one seed.
const BATCH: u64 = 250;

/// The lives of one seed: any of them can be run again by it.
fn batch(seed: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let strategy = (moves(), prop::bool::weighted(0.15), ways());
    for number in 0..BATCH {
        let (moves, free, way) = strategy.new_tree(&mut runner).unwrap().current();
        let lived = std::panic::catch_unwind(|| lives(&moves, free, 1000, way));
        assert!(lived.is_ok(), "life {number} of seed {seed}: {way:?}, free {free}: {moves:#?}");
    }
}

#[test]
fn many_lives_keep_the_books() {
    let asked = std::env::var("RETAILFLOW_LIVES").ok().map(|text| text.parse().expect("a number"));
    let (lives, next) = (asked.unwrap_or(LIVES), AtomicU64::new(0));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed * BATCH >= lives {
                        return;
                    }
                    batch(seed);
                }
            });
        }
    });
}
