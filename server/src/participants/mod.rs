//! The participants of `run` and `serve`: simulated ones beside the data directory, and the way in for their reports.

pub mod instant;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use retailflow_actors::NodeHandle;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::Participants;
use retailflow_engine::wire::CommandEvent;
use retailflow_participants::{BookOptions, BookSync, SimulatedParticipants};
use retailflow_testkit::simulated::{FaultRates, SimOptions};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::app::SystemClock;
use crate::exit::{ExitStatus, Failure};

/// Reports that wait to be taken in; further ones are dropped, and show when their step is looked at again.
const REPORTS_MAX: usize = 10_000;
/// Reports asked for at the same time.
const ASKED_MAX: usize = 64;
/// How long a report is sent again. Long: a node at its limit refuses reports as it refuses all else, and one that is
/// given up leaves its order waiting for the next look.
const REPORT_FOR: Duration = Duration::from_secs(300);
/// Greatest wait between two tries.
const REPORT_WAIT_MAX_MS: u64 = 100;

/// What the participants are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They do everything at once, and have stock enough.
    Perfect,
    /// They fail, decline, lose answers, answer late, take their time.
    Flaky,
    /// Those that `retailflow participants` runs for all nodes of a cluster.
    Shared,
    /// They do everything at once and keep no books: for measurements.
    Instant,
}

/// Where the participants of a data directory keep their books. The engine never looks there.
pub fn folder(data: &Path) -> PathBuf {
    data.join("participants")
}

/// What `--participants-unsynced` means.
pub const fn sync_of(unsynced: bool) -> BookSync {
    if unsynced { BookSync::Never } else { BookSync::BeforeAnswer }
}

/// Opens the participants beside a data directory. Their reports come out of the receiver. One whose book cannot be used answers
/// nobody, and keeps the engine from nothing else ([`Running::all_usable`]).
///
/// # Errors
/// A [`Failure`] when another process uses the books.
pub fn open(
    data: &Path,
    kind: Kind,
    seed: u64,
    sync: BookSync,
) -> Result<(Running, mpsc::Receiver<CommandEvent>), Failure> {
    let (sender, reports) = mpsc::channel(REPORTS_MAX);
    if kind == Kind::Shared {
        return Err(Failure::usage("shared participants are those of a cluster: give --nats, too"));
    }
    if kind == Kind::Instant {
        let participants = Arc::new(instant::Instant::default()).participants();
        return Ok((Running { sim: None, participants, _reports: Some(sender) }, reports));
    }
    let sink = move |event| {
        if sender.try_send(event).is_err() {
            tracing::warn!(
                event = "report_dropped",
                "a participant's report was dropped; its step is looked at again when it is due"
            );
        }
    };
    let (rates, sim) = match kind {
        Kind::Perfect | Kind::Instant | Kind::Shared => (FaultRates::NONE, SimOptions::default()),
        Kind::Flaky => (FaultRates::FLAKY, SimOptions { hand_over_permille: 500, ..SimOptions::default() }),
    };
    if sync == BookSync::Never {
        tracing::warn!(
            event = "participants_unsynced",
            "participants answer before their books are on disk: after a power cut they may be behind the log"
        );
    }
    let options = BookOptions { sim, rates, seed, sync };
    let opened =
        retailflow_participants::open(&folder(data), &options, Arc::new(SystemClock), Arc::new(sink));
    let sim = opened.map_err(|error| Failure::new(ExitStatus::Unreachable, error))?;
    let participants = sim.participants();
    Ok((Running { sim: Some(sim), participants, _reports: None }, reports))
}

/// Participants at work.
pub struct Running {
    sim: Option<SimulatedParticipants>,
    participants: Participants,
    /// Those without books send no reports; whoever waits for one waits until they end.
    _reports: Option<mpsc::Sender<CommandEvent>>,
}

impl Running {
    /// As the engine sees them.
    pub fn participants(&self) -> Participants {
        self.participants.clone()
    }

    /// Refuses where a participant's book cannot be used: for what would wait for its answers without an end.
    ///
    /// # Errors
    /// A [`Failure`] that names each such book, and what to do.
    pub fn all_usable(&self) -> Result<(), Failure> {
        let unusable = self.sim.iter().flat_map(SimulatedParticipants::unusable);
        let told: Vec<String> = unusable.map(|(_, error)| error.to_string()).collect();
        match told.is_empty() {
            true => Ok(()),
            false => Err(Failure::finding(told.join("\n"))),
        }
    }

    /// Ends what is under way.
    pub async fn close(self) {
        if let Some(sim) = self.sim {
            sim.close().await;
        }
    }
}

/// Reports on their way in.
#[derive(Default)]
pub struct Reporting(AtomicUsize);

impl Reporting {
    /// Is any report on its way?
    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// Brings reports to their orders, as their senders would over the network, until there are no more senders.
    pub async fn run(&self, node: &NodeHandle, mut reports: mpsc::Receiver<CommandEvent>) {
        let mut asked = JoinSet::new();
        while let Some(event) = reports.recv().await {
            self.0.store(asked.len() + 1, Ordering::Release);
            while asked.len() >= ASKED_MAX {
                drop(asked.join_next().await);
            }
            asked.spawn(report(node.clone(), event));
            while reports.is_empty() && asked.join_next().await.is_some() {}
            self.0.store(asked.len(), Ordering::Release);
        }
    }
}

async fn report(node: NodeHandle, event: CommandEvent) {
    let command = Command::from_event(event, Actor::Tenant);
    let begun = Instant::now();
    let mut wait_ms = 2;
    while begun.elapsed() < REPORT_FOR {
        let outcome = node.ask(command.clone()).await;
        if !outcome.code.retry_helps() {
            tracing::debug!(order = %command.order, code = %outcome.code, "report taken in");
            return;
        }
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        wait_ms = (wait_ms * 2).min(REPORT_WAIT_MAX_MS);
    }
    tracing::warn!(event = "report_dropped", order = %command.order, "a report was given up; its step is looked at again when it is due");
}
