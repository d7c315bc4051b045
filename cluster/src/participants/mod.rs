//! Simulated participants with books in files, for `run`, the demo and the tests of whole processes.
//!
//! The books stand for those of other companies: the engine never reads them, and `verify` compares them with the log.
//! They are written before an answer is given and never synced: SIGKILL does not lose what was written, and a power cut
//! of our machine would not reach theirs.

mod flaky;
mod journal;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use retailflow_engine::memory::participants::{BookTotals, FaultRates, SimOptions, SimParticipants};
use retailflow_engine::ports::{Clock, Participant, Participants, Role};
use retailflow_engine::wire::CommandEvent;
use retailflow_engine::wire::command::ReportOutcome;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::flaky::{Flaky, World};
pub use self::journal::BookFileError;
use self::journal::FileJournal;

/// Reports of an earlier life that are sent once more at the start.
const REPORTS_AGAIN_MAX: usize = 10_000;

/// Where participants send their reports. It must not block; what it drops shows when the step is looked at again.
pub type ReportSink = Arc<dyn Fn(CommandEvent) + Send + Sync>;

/// Participants that run until they are closed.
pub struct SimRunning {
    sim: Arc<SimParticipants>,
    world: Arc<World>,
    participants: Participants,
}

/// Opens the books in `folder` and goes on where they end. Must be called in a runtime. Blocks while it reads.
///
/// # Errors
/// [`BookFileError`] when a book cannot be read or is damaged before its end.
pub fn open(
    folder: &Path,
    options: &SimOptions,
    rates: FaultRates,
    seed: u64,
    clock: Arc<dyn Clock>,
    reports: ReportSink,
) -> Result<SimRunning, BookFileError> {
    let journal = Arc::new(FileJournal::open(folder)?);
    let sim = Arc::new(SimParticipants::new(options, clock.clone(), journal));
    // A capture pays for a parcel, which has to be there.
    for role in [Role::Inventory, Role::Shipping, Role::Payments] {
        journal::read(folder, role, &mut |entry| sim.restore(&entry))?;
    }
    sim.restored(REPORTS_AGAIN_MAX);
    let world = Arc::new(World {
        rates,
        seed,
        clock,
        reports,
        tasks: TaskTracker::new(),
        closed: CancellationToken::new(),
    });
    let ports = sim.ports();
    let of = |role| -> Arc<dyn Participant> {
        if rates == FaultRates::NONE {
            return ports.of(role).clone();
        }
        Arc::new(Flaky::new(role, ports.of(role).clone(), sim.clone(), world.clone()))
    };
    let participants = Participants {
        inventory: of(Role::Inventory),
        payments: of(Role::Payments),
        shipping: of(Role::Shipping),
    };
    let running = SimRunning { sim, world, participants };
    running.report_again();
    Ok(running)
}

/// What the books in `folder` add up to, read line by line.
///
/// # Errors
/// [`BookFileError`].
pub fn audit(folder: &Path) -> Result<BookTotals, BookFileError> {
    let mut totals = BookTotals::default();
    for role in Role::ALL {
        journal::read(folder, role, &mut |entry| totals.take(&entry))?;
    }
    Ok(totals)
}

impl SimRunning {
    /// As the engine sees them.
    #[must_use]
    pub fn participants(&self) -> Participants {
        self.participants.clone()
    }

    /// What was taken on in an earlier life is reported now.
    fn report_again(&self) {
        for event in self.sim.finished() {
            (self.world.reports)(event);
        }
        for (role, key) in self.sim.pending() {
            let sim = self.sim.clone();
            self.world.later(&key.clone(), move || sim.report(role, &key, ReportOutcome::Done));
        }
    }

    /// Ends what is under way: delayed requests never arrive, reports wait for the next life.
    pub async fn close(self) {
        self.world.closed.cancel();
        self.world.tasks.close();
        self.world.tasks.wait().await;
    }
}
