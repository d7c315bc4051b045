//! What all participants of one process share: their faults, their clock, and where reports go.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ports::Clock;
use retailflow_engine::wire::CommandEvent;
use retailflow_testkit::simulated::FaultRates;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::journal::FileJournal;

/// Where participants send their reports. It must not block; what it drops shows when the step is looked at again.
pub type ReportSink = Arc<dyn Fn(CommandEvent) + Send + Sync>;

/// What all participants of one world share.
pub(super) struct World {
    pub(super) rates: FaultRates,
    pub(super) seed: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reports: ReportSink,
    pub(super) journal: Arc<FileJournal>,
    pub(super) tasks: TaskTracker,
    pub(super) closed: CancellationToken,
}

impl World {
    /// Reports after a while, in a task of its own.
    pub(super) fn later(
        self: &Arc<Self>,
        key: &str,
        report: impl FnOnce() -> Option<CommandEvent> + Send + 'static,
    ) {
        let drawn =
            self.rates.draw(self.seed, key, u32::MAX, retailflow_engine::wire::command::Step::Reserve);
        self.after(drawn.delay_ms, move |world| async move {
            // As an answer, a report may not outlive what it reports.
            if let Some(event) = report()
                && world.journal.all_durable().await.is_ok()
            {
                (world.reports)(event);
            }
        });
    }

    pub(super) fn after<W: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        delay_ms: u64,
        work: impl FnOnce(Arc<Self>) -> W + Send + 'static,
    ) {
        let world = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = world.closed.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(delay_ms)) => {}
            }
            work(world).await;
        });
    }
}
