//! How long to wait before a step is tried again: exponential with full jitter, and an end.
//!
//! Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015): the wait is drawn evenly between nothing
//! and a ceiling that doubles. Callers that failed together then come back spread over the whole range, where
//! `backoff`'s own policy would keep them within half of it, on a clock that no seeded world controls.

use std::sync::Arc;
use std::time::Duration;

use backoff::backoff::Backoff;
use retailflow_config::Effects;
use retailflow_engine::ports::Rng;

/// The waits between the tries of one step.
pub(crate) struct FullJitter {
    rng: Arc<dyn Rng>,
    min_ms: u64,
    max_ms: u64,
    attempts_max: u32,
    /// Tries that have failed.
    failed: u32,
}

impl FullJitter {
    /// The waits of a step that has not been tried yet.
    pub(crate) fn new(effects: &Effects, rng: Arc<dyn Rng>) -> Self {
        Self {
            rng,
            min_ms: effects.retry_min_ms,
            max_ms: effects.retry_max_ms,
            attempts_max: effects.call_attempts_max,
            failed: 0,
        }
    }

    /// Goes on where another one, perhaps of an earlier process, was: `failed` tries have failed.
    #[cfg(test)]
    pub(crate) fn resumed(mut self, failed: u32) -> Self {
        self.failed = failed;
        self
    }

    /// One more try has failed: the wait before the next one, or `None` when that was the last of `effects.call_attempts_max`.
    pub(crate) fn delay(&mut self) -> Option<Duration> {
        self.next_backoff()
    }

    /// Tries that have failed.
    #[cfg(test)]
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    /// The greatest wait after the first failure, doubled for each one after it.
    fn ceiling_ms(&self) -> u64 {
        let factor = 1u64.checked_shl(self.failed).unwrap_or(u64::MAX);
        self.min_ms.saturating_mul(factor).min(self.max_ms)
    }
}

impl Backoff for FullJitter {
    fn reset(&mut self) {
        self.failed = 0;
    }

    fn next_backoff(&mut self) -> Option<Duration> {
        let ceiling_ms = self.ceiling_ms();
        self.failed = self.failed.saturating_add(1);
        if self.failed >= self.attempts_max {
            return None;
        }
        Some(Duration::from_millis(self.rng.below(ceiling_ms.saturating_add(1))))
    }
}

/// Waits that grow without an end: each is between half of a ceiling and the whole of it, and the ceiling doubles up to
/// the greatest.
pub(crate) struct GrowingBackoff {
    rng: Arc<dyn Rng>,
    ceiling_ms: u64,
    max_ms: u64,
}

impl GrowingBackoff {
    /// Waits from `min_ms` to `max_ms`.
    pub(crate) fn new(min_ms: u64, max_ms: u64, rng: Arc<dyn Rng>) -> Self {
        Self { rng, ceiling_ms: min_ms.max(1), max_ms: max_ms.max(1) }
    }

    /// The next wait.
    pub(crate) fn delay(&mut self) -> Duration {
        let ceiling_ms = self.ceiling_ms.min(self.max_ms);
        self.ceiling_ms = ceiling_ms.saturating_mul(2);
        Duration::from_millis(ceiling_ms - self.rng.below(ceiling_ms / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::breaker::tests::{Seeded, effects};
    use super::*;

    fn waits(seed: u64, effects: &Effects) -> Vec<u64> {
        let mut jitter = FullJitter::new(effects, Arc::new(Seeded::new(seed)));
        std::iter::from_fn(|| jitter.delay()).map(|wait| wait.as_millis() as u64).collect()
    }

    #[test]
    fn waits_stay_below_a_doubling_ceiling_and_end() {
        let effects = Effects { retry_min_ms: 20, retry_max_ms: 100, call_attempts_max: 8, ..effects() };
        let ceilings = [20, 40, 80, 100, 100, 100, 100];
        let mut greatest = [0; 7];
        let mut least = [u64::MAX; 7];
        for seed in 0..2000 {
            let waits = waits(seed, &effects);
            assert_eq!(waits.len(), 7, "eight tries have seven waits between them");
            for (at, wait) in waits.into_iter().enumerate() {
                assert!(wait <= ceilings[at], "{wait} ms as wait {at}");
                greatest[at] = greatest[at].max(wait);
                least[at] = least[at].min(wait);
            }
        }
        assert_eq!((greatest, least), (ceilings, [0; 7]), "all of the range is drawn");
        assert_eq!(waits(7, &effects), waits(7, &effects));
        assert_ne!(waits(7, &effects), waits(8, &effects));
    }

    #[test]
    fn it_goes_on_after_a_restart_and_begins_again_after_a_reset() {
        let effects = Effects { call_attempts_max: 6, ..effects() };
        let mut jitter = FullJitter::new(&effects, Arc::new(Seeded::new(1))).resumed(4);
        assert!(jitter.delay().is_some() && jitter.delay().is_none());
        assert!(jitter.delay().is_none(), "an end stays one");
        assert_eq!(jitter.failed(), 7);
        jitter.reset();
        assert!(jitter.delay().is_some());
        let huge = Effects {
            retry_min_ms: u64::MAX,
            retry_max_ms: u64::MAX,
            call_attempts_max: u32::MAX,
            ..effects
        };
        let mut jitter = FullJitter::new(&huge, Arc::new(Seeded::new(1))).resumed(u32::MAX - 2);
        assert!(jitter.delay().is_some() && jitter.delay().is_none());
    }

    #[test]
    fn growing_waits_double_up_to_the_greatest() {
        for seed in 0..200 {
            let mut growing = GrowingBackoff::new(20, 900, Arc::new(Seeded::new(seed)));
            for ceiling in [20, 40, 80, 160, 320, 640, 900, 900] {
                let wait = growing.delay().as_millis() as u64;
                assert!((ceiling / 2..=ceiling).contains(&wait), "{wait} of {ceiling}");
            }
        }
        let mut widest = GrowingBackoff::new(u64::MAX, u64::MAX, Arc::new(Seeded::new(1)));
        assert!(widest.delay() > Duration::from_secs(1) && widest.delay() > Duration::from_secs(1));
    }

    #[test]
    fn one_try_has_no_wait() {
        assert!(waits(1, &Effects { call_attempts_max: 1, ..effects() }).is_empty());
    }
}
