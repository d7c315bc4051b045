//! Pseudo-random draws (SplitMix64, Steele, Lea and Flood 2014).
//!
//! Frozen: a figure or a failing seed that someone wrote down refers to these draws. That is why it is no dependency,
//! whose next version may draw otherwise.

/// What draws are for: each use has draws of its own, so that an option about cancels changes no order.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Stream {
    /// What an order says.
    Place = 1,
    /// What becomes of it.
    Fate = 2,
    /// What comes back of it.
    Return = 3,
    /// Which line is written next.
    Reorder = 4,
    /// Why it is canceled.
    Cancel = 5,
    /// What becomes of its payment.
    Payment = 6,
    /// What else becomes of it.
    Extra = 7,
    /// Whether it is paid in parts, and in which. From here on behind all orders: eight numbers an order are taken.
    Split = 1 << 60,
    /// What is said where something else becomes of it.
    Said = 2 << 60,
    /// Whether its goods go in parts, and in which.
    Parts = 3 << 60,
}

/// Draws of one order for one use.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

const fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    pub(super) const fn new(seed: u64, order: u64, stream: Stream) -> Self {
        let mut rng = Self(seed);
        rng.0 = rng.next() ^ mixed(order.wrapping_mul(8).wrapping_add(stream as u64));
        rng
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// From 0 to `end`, without `end`; 0 where that is 0.
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        ((self.next() as u128 * end as u128) >> 64) as u64
    }

    /// From `first` to `last`.
    pub(super) const fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// From 0 to `last`, small ones far more often: the smallest of three draws.
    pub(super) fn small(&mut self, last: u64) -> u64 {
        let draws = [self.between(0, last), self.between(0, last), self.between(0, last)];
        draws.into_iter().min().unwrap_or(0)
    }

    /// True in so many of a thousand cases.
    pub(super) const fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// One of these.
    pub(super) const fn one_of<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.below(N as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the reference implementation's test, for the seed 1234567.
    #[test]
    fn it_is_splitmix64() {
        let mut rng = Rng(1_234_567);
        let draws = [rng.next(), rng.next(), rng.next()];
        assert_eq!(draws, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn draws_stay_within_their_ends() {
        let mut rng = Rng::new(1, 2, Stream::Place);
        let mut near = 0;
        for _ in 0..10_000 {
            assert!(rng.below(3) < 3 && (5..=6).contains(&rng.between(5, 6)));
            near += u64::from(rng.small(1000) < 250);
        }
        assert!((5_000..6_500).contains(&near), "{near} of 10,000 in the first quarter");
        assert_eq!(rng.below(0), 0);
    }
}
