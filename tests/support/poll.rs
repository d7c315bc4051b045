//! Waiting for a condition, with a bound: the one place where a test may sleep.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `condition` gives something; fails with `what` when that takes longer than `bound`.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, bound: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < bound, "not within {bound:?}: {what}");
        thread::sleep(PAUSE);
    }
}
