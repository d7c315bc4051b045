//! Simulated participants with books in files, for `run`, the demo and the tests of whole processes.
//!
//! The books stand for those of other companies: the engine never reads them, and `verify` compares them with the log.
//! They are written and synced before an answer is given, as those companies' would be ([`BookSync`]).

mod book_file;
mod book_repair;
mod flaky;
mod journal;
mod synced;
#[cfg(test)]
mod tests;
mod world;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use retailflow_engine::ports::{Clock, Participant, Participants, Role, StoreError};
use retailflow_engine::wire::command::ReportOutcome;
use retailflow_testkit::simulated::{
    BookEntry, BookTotals, FaultRates, Journal, SimOptions, SimParticipants,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::book_file::{BookEnd, BookFileError};
pub use self::book_repair::{BookRepair, repair_book};
use self::flaky::Flaky;
pub use self::journal::BookSync;
use self::journal::FileJournal;
use self::synced::Synced;
pub use self::world::ReportSink;
use self::world::World;
use retailflow_os::files::{Files, RealFiles};

/// Reports of an earlier life that are sent once more at the start.
const REPORTS_AGAIN_MAX: usize = 10_000;

/// Participants that run until they are closed.
pub struct SimulatedParticipants {
    sim: Arc<SimParticipants>,
    world: Arc<World>,
    participants: Participants,
}

/// What participants with books are like.
#[derive(Debug, Clone)]
pub struct BookOptions {
    /// How they decide.
    pub sim: SimOptions,
    /// What goes wrong on the way to them.
    pub rates: FaultRates,
    /// What faults are drawn from.
    pub seed: u64,
    /// What their answers survive.
    pub sync: BookSync,
}

/// Opens the books in `folder` and goes on where they end. Must be called in a runtime. Blocks while it reads. Whose book cannot
/// be used (damaged, unreadable, no room for it) answers nobody, as a participant that is away: [`SimulatedParticipants::unusable`] says why.
///
/// # Errors
/// [`BookFileError::InUse`]; and when the system gives no thread.
pub fn open(
    folder: &Path,
    options: &BookOptions,
    clock: Arc<dyn Clock>,
    reports: ReportSink,
) -> Result<SimulatedParticipants, BookFileError> {
    open_on(&RealFiles::default(), folder, options, clock, reports)
}

/// Entries are restored before their journal is there: this one is told of it later.
#[derive(Default)]
struct Later(Mutex<Option<Arc<FileJournal>>>);

impl Journal for Later {
    fn append(&self, entries: &[BookEntry]) -> Result<(), StoreError> {
        let journal = self.0.lock().clone();
        journal.ok_or_else(|| StoreError::Unavailable("the book is not open".into()))?.append(entries)
    }
}

fn open_on(
    files: &dyn Files,
    folder: &Path,
    options: &BookOptions,
    clock: Arc<dyn Clock>,
    reports: ReportSink,
) -> Result<SimulatedParticipants, BookFileError> {
    let BookOptions { sim: sim_options, rates, seed, sync } = options;
    let (rates, seed) = (*rates, *seed);
    let later = Arc::new(Later::default());
    let sim = Arc::new(SimParticipants::new(sim_options, clock.clone(), later.clone()));
    let journal = Arc::new(FileJournal::open(files, folder, *sync, &mut |entry| sim.restore(&entry))?);
    *later.0.lock() = Some(journal.clone());
    for (role, error) in journal.unusable() {
        tracing::error!(
            event = "book_unusable", participant = role.as_str(), %error,
            "this participant answers nobody until its book is mended and it is started again; all else goes on"
        );
    }
    sim.restored(REPORTS_AGAIN_MAX);
    let world = Arc::new(World {
        rates,
        seed,
        clock,
        reports,
        journal: journal.clone(),
        tasks: TaskTracker::new(),
        closed: CancellationToken::new(),
    });
    let ports = sim.ports();
    let of = |role| -> Arc<dyn Participant> {
        let honest = ports.of(role).clone();
        let participant = match rates == FaultRates::NONE {
            true => honest,
            false => Arc::new(Flaky::new(role, honest, sim.clone(), world.clone())),
        };
        Arc::new(Synced { role, participant, journal: journal.clone() })
    };
    let participants = Participants {
        inventory: of(Role::Inventory),
        payments: of(Role::Payments),
        shipping: of(Role::Shipping),
        review: of(Role::Review),
    };
    let running = SimulatedParticipants { sim, world, participants };
    running.report_again();
    Ok(running)
}

/// What is wrong with each book in `folder`, in the order of [`Role::ALL`]: it is read to its end. Changes nothing.
#[must_use]
pub fn problems(folder: &Path) -> Vec<(Role, BookFileError)> {
    let read = |role| book_file::read(&RealFiles::default(), folder, role, &mut |_| {}).err();
    Role::ALL.into_iter().filter_map(|role| Some((role, read(role)?))).collect()
}

/// What the books in `folder` add up to, read line by line.
///
/// # Errors
/// [`BookFileError`].
pub fn audit(folder: &Path) -> Result<BookTotals, BookFileError> {
    let mut totals = BookTotals::default();
    read_books(folder, &mut |entry| totals.take(&entry))?;
    Ok(totals)
}

/// Reads the books in `folder` line by line, and says how each ends, in the order of [`Role::ALL`]. Changes nothing.
///
/// # Errors
/// [`BookFileError`].
pub fn read_books(
    folder: &Path,
    take: &mut dyn FnMut(BookEntry),
) -> Result<[BookEnd; Role::ALL.len()], BookFileError> {
    let mut ends = [BookEnd::default(); Role::ALL.len()];
    for role in Role::ALL {
        ends[role as usize] = book_file::read(&RealFiles::default(), folder, role, take)?;
    }
    Ok(ends)
}

impl SimulatedParticipants {
    /// As the engine sees them.
    #[must_use]
    pub fn participants(&self) -> Participants {
        self.participants.clone()
    }

    /// Whose book cannot be used, and why: they answer nobody.
    pub fn unusable(&self) -> impl Iterator<Item = (Role, &BookFileError)> {
        self.world.journal.unusable().map(|(role, error)| (role, &**error))
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
