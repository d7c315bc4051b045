//! Our own supervision: restart with jittered delay, an intensity window, then quarantine.
//!
//! ractor restarts nothing by itself, and ready-made supervisors use global names (ADR 5). What to restart and
//! what quarantine means differs per parent; when, and how often, is the same and stands here.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use ractor::{ActorId, ActorProcessingErr, SupervisionEvent};
use retailflow_config::Supervision;
use retailflow_engine::ports::Rng;
use tokio::time::Instant;

/// Why a supervised actor ended.
pub(crate) enum EndReason {
    /// It failed, with this error.
    Failed(ActorProcessingErr),
    /// It was stopped, with a reason if there was one, or killed.
    Stopped(Option<String>),
}

impl EndReason {
    /// Its error, if it failed.
    pub(crate) fn error(&self) -> Option<&ActorProcessingErr> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Stopped(_) => None,
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Stopped(reason) => f.write_str(reason.as_deref().unwrap_or("killed")),
        }
    }
}

/// Which actor ended, and why. `None` for the other events: an actor that starts is no matter of its supervisor's.
pub(crate) fn ended(event: SupervisionEvent) -> Option<(ActorId, EndReason)> {
    match event {
        SupervisionEvent::ActorFailed(actor, error) => Some((actor.get_id(), EndReason::Failed(error))),
        SupervisionEvent::ActorTerminated(actor, _, reason) => {
            Some((actor.get_id(), EndReason::Stopped(reason)))
        }
        _ => None,
    }
}

/// What to do after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterCrash {
    /// Start it again after this delay.
    Restart(Duration),
    /// It crashed too often within the window: set it apart.
    Quarantine,
}

/// The crashes of one actor within the window.
#[derive(Debug, Default)]
pub(crate) struct CrashWindow {
    crashes: VecDeque<Instant>,
}

impl CrashWindow {
    /// Notes a crash. The delay doubles with each one in the window and is drawn between half of that and all of it, so
    /// that many that fell together do not rise together.
    pub(crate) fn record_crash(&mut self, now: Instant, limits: &Supervision, rng: &dyn Rng) -> AfterCrash {
        let window = Duration::from_millis(limits.window_ms);
        while self.crashes.front().is_some_and(|at| now.duration_since(*at) > window) {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now);
        let count = u32::try_from(self.crashes.len()).unwrap_or(u32::MAX);
        if count > limits.restarts_max {
            self.crashes.clear();
            return AfterCrash::Quarantine;
        }
        let doubled = limits.delay_min_ms.saturating_mul(1 << (count - 1).min(20));
        let ceiling = doubled.min(limits.delay_max_ms).max(1);
        let delay_ms = ceiling / 2 + rng.below(ceiling / 2 + 1);
        AfterCrash::Restart(Duration::from_millis(delay_ms))
    }

    /// Nothing happened within the window: the entry may be forgotten.
    pub(crate) fn is_stale(&self, now: Instant, limits: &Supervision) -> bool {
        let window = Duration::from_millis(limits.window_ms);
        self.crashes.back().is_none_or(|at| now.duration_since(*at) > window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Rng for Fixed {
        fn next_u64(&self) -> u64 {
            0
        }
    }

    #[test]
    fn delays_grow_and_the_window_ends_in_quarantine() {
        let limits = Supervision {
            restarts_max: 3,
            window_ms: 1000,
            delay_min_ms: 10,
            delay_max_ms: 30,
            parked_queue_max: 1,
        };
        let mut window = CrashWindow::default();
        let now = Instant::now();
        for expected_ms in [5, 10, 15] {
            let restart = AfterCrash::Restart(Duration::from_millis(expected_ms));
            assert_eq!(window.record_crash(now, &limits, &Fixed), restart);
        }
        assert_eq!(window.record_crash(now, &limits, &Fixed), AfterCrash::Quarantine);
        let later = now + Duration::from_secs(10);
        assert!(window.is_stale(later, &limits));
        assert_eq!(
            window.record_crash(later, &limits, &Fixed),
            AfterCrash::Restart(Duration::from_millis(5))
        );
    }
}
