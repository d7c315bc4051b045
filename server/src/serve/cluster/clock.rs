//! This machine's clock against the servers': looked at every minute, and said.
//!
//! Deadlines are kept by the clock of the node that runs an order: where nodes' clocks differ, a partition that moves has its
//! deadlines early or late.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use retailflow_engine::metric;
use retailflow_engine::ports::Clock as _;
use retailflow_nats::server_time;
use tokio_util::sync::CancellationToken;

use super::cluster_deps::ClusterDeps;
use crate::app::SystemClock;
use crate::metrics_exporter::set;
use crate::serve::readiness::{HealthIssue, Part, Watch};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);
/// Clocks that differ by more make deadlines early or late, and times in the log hard to read.
pub const DIFFERS_MAX_MS: i64 = 1_000;

/// By how much this machine's clock is before (or, below 0, behind) the servers', at least, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Differs(Arc<AtomicI64>);

/// The least by which a clock that said `before` and `after` differs from one that said `theirs` in between.
pub fn differs(before: i64, theirs: i64, after: i64) -> i64 {
    if theirs < before { before - theirs } else { (after - theirs).min(0) }
}

impl Differs {
    /// Says when it is too much.
    pub(super) fn watch(&self) -> Watch {
        let differs = self.clone();
        Box::new(move || differs.issue().into_iter().collect())
    }

    fn issue(&self) -> Option<HealthIssue> {
        let ms = self.0.load(Ordering::Acquire);
        let side = if ms > 0 { "before" } else { "behind" };
        let text = format!("this machine's clock is {} ms {side} the NATS servers', at least", ms.abs());
        (ms.abs() > DIFFERS_MAX_MS).then(|| HealthIssue::note(Part::Clock, text))
    }

    /// Looks until `end`.
    pub(super) async fn run(self, deps: Arc<ClusterDeps>, end: CancellationToken) {
        loop {
            let before = SystemClock.now().0;
            // A server that does not answer says nothing of clocks, and is told of elsewhere.
            if let Ok(Some(theirs)) = server_time(&deps.connections).await {
                let ms = differs(before, theirs.0, SystemClock.now().0);
                self.0.store(ms, Ordering::Release);
                set(&metric::CLOCK_DIFFERS, ms as f64 / 1_000.0);
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_the_way_of_the_question_is_no_difference() {
        assert_eq!(differs(1_000, 1_000, 1_010), 0);
        assert_eq!(differs(1_000, 1_010, 1_010), 0);
        assert_eq!(differs(5_000, 1_000, 5_020), 4_000, "ours is before theirs");
        assert_eq!(differs(1_000, 5_000, 1_020), -3_980, "ours is behind theirs");
    }

    #[test]
    fn a_clock_that_differs_is_a_note_with_its_side() {
        let clock = Differs::default();
        assert_eq!(clock.issue(), None);
        for (ms, side) in [(2_500, "before"), (-2_500, "behind")] {
            clock.0.store(ms, Ordering::Release);
            let issue = clock.issue().unwrap();
            assert!(!issue.bars && issue.text.contains(&format!("2500 ms {side}")), "{issue:?}");
        }
    }
}
