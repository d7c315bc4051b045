//! The suite of seeded [`Rng`]s.

use retailflow_engine::ports::Rng;

/// Runs every check on the generators that `seeded` makes.
pub fn suite(seeded: &dyn Fn(u64) -> Box<dyn Rng>) {
    the_seed_decides_everything(seeded);
    below_stays_below(seeded);
}

/// "MUST depend on nothing but the seed and the number of earlier calls when seeded".
pub fn the_seed_decides_everything(seeded: &dyn Fn(u64) -> Box<dyn Rng>) {
    let numbers = |seed: u64| -> Vec<u64> {
        let rng = seeded(seed);
        (0..100).map(|_| rng.next_u64()).collect()
    };
    for seed in [0, 1, u64::MAX] {
        assert_eq!(numbers(seed), numbers(seed), "seed {seed}");
    }
    assert_ne!(numbers(1), numbers(2), "the seed is used");
}

/// `below` gives "a number below `bound`; 0 for a bound of 0", and reaches all of a small range.
pub fn below_stays_below(seeded: &dyn Fn(u64) -> Box<dyn Rng>) {
    let rng = seeded(7);
    assert_eq!(rng.below(0), 0);
    assert_eq!(rng.below(1), 0);
    let mut met = [false; 10];
    for _ in 0..1000 {
        met[usize::try_from(rng.below(10)).unwrap()] = true;
    }
    assert_eq!(met, [true; 10]);
}
