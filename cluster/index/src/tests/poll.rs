//! Waiting for the background thread: on a condition, with a bound.

use std::time::{Duration, Instant};

/// Waits until `reached`, at most ten seconds; says whether it came.
pub(super) fn until(mut reached: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !reached() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
