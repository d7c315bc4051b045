//! The time of one stop, `node.stop_deadline_ms`. All its parts share it, whatever each of them could take by itself: their sum would
//! be more than whoever stops a process waits for, and it would be killed in the middle.

use std::time::Duration;

use tokio::time::Instant;

/// When a stop has to be over.
#[derive(Clone, Copy, Debug)]
pub struct StopTime {
    until: Instant,
}

impl StopTime {
    /// A stop that begins now.
    pub(super) fn begin(deadline_ms: u64) -> Self {
        Self { until: Instant::now() + Duration::from_millis(deadline_ms) }
    }

    /// What is left.
    pub(super) fn rest(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// For a part that could take `most`: at most half of what is left, so that those behind it have some, too.
    pub(super) fn part(self, most: Duration) -> Duration {
        most.min(self.rest() / 2)
    }

    /// IntakeConnections a part of which nobody needs the result, within its time. Whether it ended by itself.
    pub(super) async fn end(
        self,
        what: &'static str,
        most: Duration,
        part: impl Future<Output = ()>,
    ) -> bool {
        let in_time = tokio::time::timeout(self.part(most), part).await.is_ok();
        if !in_time {
            tracing::warn!(
                event = "stop_cut_off",
                what,
                "this does not end in its part of node.stop_deadline_ms; it is cut off"
            );
        }
        in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parts_that_never_end_leave_something_to_those_behind_them_and_end_in_time() {
        let begun = Instant::now();
        let time = StopTime::begin(20_000);
        assert_eq!(
            time.part(Duration::from_secs(3)),
            Duration::from_secs(3),
            "as it is, where there is time"
        );
        for part in 0..12 {
            assert!(!time.rest().is_zero(), "part {part}");
            assert!(!time.end("a part", Duration::from_secs(10), std::future::pending()).await);
        }
        assert!(time.end("a part that ends", Duration::from_secs(1), std::future::ready(())).await);
        assert!(begun.elapsed() <= Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
