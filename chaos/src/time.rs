//! Time and chance of a world: tokio's paused clock and one seed.

use parking_lot::Mutex;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::{Clock, Rng};
use tokio::time::Instant;

/// When every world begins: 2025-01-01T00:00:00Z.
pub(crate) const EPOCH_MS: i64 = 1_735_689_600_000;

/// Wall-clock time that passes as the runtime's paused time does.
#[derive(Debug, Clone, Copy)]
pub struct WorldClock {
    start: Instant,
}

impl WorldClock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the world began.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Clock for WorldClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(EPOCH_MS).plus_ms(self.elapsed_ms())
    }
}

/// Randomness that depends on nothing but its seed and the number of earlier calls.
#[derive(Debug)]
pub struct Dice(Mutex<fastrand::Rng>);

impl Dice {
    /// Dice of `seed`; `purpose` keeps the users of one seed apart, so that one more draw by one moves no other.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)))
    }

    /// A number below `bound`; 0 for a bound of 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.lock().u64(..bound) }
    }

    /// True in `permille` of 1000 cases.
    #[must_use]
    pub fn chance(&self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }
}

impl Rng for Dice {
    fn next_u64(&self) -> u64 {
        self.0.lock().u64(..)
    }
}
