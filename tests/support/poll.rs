//! Waiting for a condition, with a bound: the one place where a test may sleep.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `condition` gives something; fails with `what` when that takes longer than `bound`.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, bound: Duration, condition: impl FnMut() -> Option<T>) -> T {
    match wait_up_to(bound, condition) {
        Some(found) => found,
        None => panic!("not within {bound:?}: {what}"),
    }
}

/// Waits until `condition` gives something, or `bound` is over.
pub(crate) fn wait_up_to<T>(bound: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if start.elapsed() >= bound {
            return None;
        }
        thread::sleep(PAUSE);
    }
}
