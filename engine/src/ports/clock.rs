//! Time and chance.

use crate::ids::TimestampMs;

/// Wall-clock time. Only ever recorded and compared with recorded times; waiting is the runtime's business.
pub trait Clock: Send + Sync {
    /// The time now. MUST NOT be relied on to be monotonic.
    fn now(&self) -> TimestampMs;
}

/// Seeded randomness: jitter, ids of logs.
pub trait Rng: Send + Sync {
    /// The next number. MUST depend on nothing but the seed and the number of earlier calls when seeded.
    fn next_u64(&self) -> u64;

    /// A number below `bound`; 0 for a bound of 0. The bias of the remainder is below 2^-32 for the small bounds used.
    fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }
}
