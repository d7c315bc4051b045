//! The composition root: which adapters the engine runs on.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use parking_lot::Mutex;
use retailflow_actors::{Node, NodeHandle, Ports, Settings};
use retailflow_cluster::disk::event_log::{CatchUp, DiskLog, DiskLogOptions, OpenError, OpenReport};
use retailflow_cluster::disk::files::{Files, RealFiles};
use retailflow_cluster::disk::index::IndexOptions;
use retailflow_cluster::disk::log::{LogError, LogOptions};
use retailflow_config::Config;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::{Clock, EventLog, LogIdentity, Participants, Rng};
use retailflow_engine::wire::Durability;

use crate::exit::{ExitStatus, Failure};

/// How often a start says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What an embedded log promises: one copy, synced.
pub(crate) const DURABILITY: Durability = Durability::FSYNC;

/// The machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Chance, seeded by the system.
pub(crate) struct SystemRng(Mutex<fastrand::Rng>);

impl SystemRng {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }
}

impl Rng for SystemRng {
    fn next_u64(&self) -> u64 {
        self.0.lock().u64(..)
    }
}

/// The machine's files.
pub(crate) fn files() -> Arc<dyn Files> {
    Arc::new(RealFiles::default())
}

/// An open data directory.
pub(crate) struct Store {
    /// The log and all that hangs on it.
    pub(crate) log: Arc<DiskLog>,
}

/// Whether a data directory may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// One that is not there is made.
    IfMissing,
    /// It has to be there.
    Never,
}

/// The sizes of the disk's log, from the configuration.
pub(crate) fn log_options(config: &Config) -> LogOptions {
    LogOptions {
        segment_bytes: u32::try_from(config.log.segment_bytes).unwrap_or(u32::MAX),
        ..LogOptions::default()
    }
}

/// All sizes of a data directory, from the configuration.
pub(crate) fn disk_options(config: &Config) -> DiskLogOptions {
    DiskLogOptions {
        log: log_options(config),
        index: IndexOptions {
            cache_bytes: config.index.cache_bytes,
            flush_entries: config.index.flush_entries,
            flush_interval_ms: config.index.flush_interval_ms,
            snapshot_queue: config.index.snapshot_queue_max,
            open_timeout_ms: config.index.open_timeout_ms,
            ..IndexOptions::default()
        },
        ..DiskLogOptions::default()
    }
}

/// Opens a data directory; blocks while the index catches up with the log.
///
/// # Errors
/// A [`Failure`] that says what to do: 3 when it cannot be read, 4 when it must not be opened.
pub(crate) fn open(data: &Path, config: &Config, make: Make) -> Result<Store, Failure> {
    if make == Make::Never && !data.join("log").is_dir() {
        let text = format!("there is no data directory in {}: `retailflow run` makes one", data.display());
        return Err(Failure::unreachable(text));
    }
    let rng = SystemRng::new();
    let mut log_id = [0; 16];
    log_id[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
    log_id[8..].copy_from_slice(&rng.next_u64().to_le_bytes());
    let new = LogIdentity {
        log_id,
        cluster: config.log.cluster.clone(),
        partitions: config.log.partitions,
        shards: 1,
        created: SystemClock.now(),
    };
    files()
        .create_dir_all(data)
        .with_context(|| format!("cannot make the data directory {}", data.display()))
        .map_err(|error| Failure::new(ExitStatus::Unreachable, error))?;
    let mut told = Instant::now();
    let mut progress = |at: CatchUp| {
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            let CatchUp { frames, segment, segments } = at;
            tracing::info!(
                event = "index_catches_up",
                frames,
                segment,
                segments,
                "the index catches up with the log"
            );
        }
    };
    let opened = DiskLog::open(data, &disk_options(config), &files(), &new, &mut progress);
    let (log, report) = opened.map_err(|error| open_failure(data, error))?;
    let found = log.identity().cluster;
    if found != config.log.cluster {
        let text = format!(
            "the log in {} belongs to {found:?}, and log.cluster is {:?}: name the right directory, or set log.cluster",
            data.display(),
            config.log.cluster
        );
        return Err(Failure::refused(text));
    }
    tell(&report);
    Ok(Store { log })
}

fn tell(report: &OpenReport) {
    if let Some(cut) = &report.recovery.cut {
        tracing::warn!(?cut, "an unfinished last write was cut; nothing in it had been answered");
    }
    if let Some(reason) = &report.index_rebuilt {
        tracing::warn!(reason, frames = report.replayed_frames, "the index was built again from the log");
    }
}

fn open_failure(data: &Path, error: OpenError) -> Failure {
    let code = match &error {
        OpenError::Log(LogError::Io { .. }) | OpenError::Thread(_) => ExitStatus::Unreachable,
        OpenError::Log(LogError::Damaged { .. }) => ExitStatus::Finding,
        _ => ExitStatus::Refused,
    };
    let error = anyhow::Error::new(error).context(format!("cannot open {}", data.display()));
    Failure::new(code, error)
}

impl Store {
    /// The ports of a node on this data directory.
    pub(crate) fn ports(&self, participants: Participants) -> Ports {
        Ports {
            log: self.log.clone(),
            deadlines: self.log.clone(),
            participants,
            snapshots: self.log.clone(),
            tenants: self.log.clone(),
            dead_letters: self.log.clone(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::new()),
            durability: DURABILITY.into(),
        }
    }

    /// Starts a node on this data directory.
    ///
    /// # Errors
    /// A [`Failure`] when the partitions cannot be taken over.
    pub(crate) async fn node(
        &self,
        settings: Settings,
        participants: Participants,
    ) -> Result<NodeHandle, Failure> {
        let started = Node::start(settings, self.ports(participants)).await;
        started.map_err(|error| Failure::new(ExitStatus::Unreachable, error))
    }

    /// Closes in good order; blocks.
    pub(crate) fn close(self) {
        self.log.close();
    }
}

/// The runtime that actors run on.
///
/// # Errors
/// When the system gives no threads.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::unreachable(format!("cannot start the runtime: {error}")))
}
