//! The composition root: which adapters the engine runs on.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use parking_lot::Mutex;
use retailflow_actors::{Node, NodeHandle, Ports, Settings};
use retailflow_cluster::disk::event_log::{CatchUp, DiskLog, DiskLogOptions, OpenError, OpenReport};
use retailflow_cluster::disk::files::{Files, RealFiles, raise_open_files};
use retailflow_cluster::disk::index::IndexOptions;
use retailflow_cluster::disk::log::{LogError, LogOptions};
use retailflow_config::Config;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::invariant::CheckKey;
use retailflow_engine::ports::{Clock, EventLog, LogIdentity, Participants, Rng};
use retailflow_engine::wire::Durability;

use crate::backup;
use crate::exit::{ExitStatus, Failure};
use crate::new_data_dir;

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

/// A secret to check a log with, drawn anew: callers choose the ids that checkers hash.
pub(crate) fn check_key() -> CheckKey {
    use std::hash::{BuildHasher as _, RandomState};
    // Seeded by the system; the standard library promises no more than that it is hard to foresee, which is enough here.
    let word = |number: u64| RandomState::new().hash_one(number).to_le_bytes();
    let mut secret = [0; 16];
    secret[..8].copy_from_slice(&word(1));
    secret[8..].copy_from_slice(&word(2));
    CheckKey::new(secret)
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

/// An id for a log that is made.
pub(crate) fn new_log_id() -> [u8; 16] {
    let rng = SystemRng::new();
    let mut log_id = [0; 16];
    log_id[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
    log_id[8..].copy_from_slice(&rng.next_u64().to_le_bytes());
    log_id
}

/// Whether a data directory may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// One that is not there is made, and that is said.
    IfMissing,
    /// It has to be there.
    Never,
}

impl Make {
    /// As the flag `--existing` says.
    pub(crate) fn unless(existing: bool) -> Self {
        if existing { Self::Never } else { Self::IfMissing }
    }
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

/// With fewer open files than this a server refuses connections long before its own limits.
const OPEN_FILES_MIN: u64 = 4096;

/// Opens a data directory; blocks while the index catches up with the log.
///
/// # Errors
/// A [`Failure`] that says what to do: 3 when it cannot be read, 4 when it must not be opened.
pub(crate) fn open(data: &Path, config: &Config, make: Make) -> Result<Store, Failure> {
    if make == Make::Never && !data.join("log").is_dir() {
        let text = format!(
            "there is no data directory in {}: `retailflow run` or `serve` makes one, without --existing",
            data.display()
        );
        return Err(Failure::unreachable(text));
    }
    let open_files = raise_open_files();
    if open_files < OPEN_FILES_MIN {
        tracing::warn!(
            event = "few_open_files",
            open_files,
            "this process may have few open files: connections will be refused at that limit; raise it (`ulimit -n`)"
        );
    }
    backup::refuse_backup(data)?;
    new_data_dir::refuse_unfinished(data)?;
    let new = LogIdentity {
        log_id: new_log_id(),
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
    tell(data, &report);
    Ok(Store { log })
}

fn tell(data: &Path, report: &OpenReport) {
    if report.recovery.created {
        tracing::warn!(
            event = "data_directory_made",
            data = %data.display(),
            "a NEW data directory was made: no earlier order is known in it; if one was expected here, stop, because the path \
             is wrong or a disk is not mounted (--existing refuses this)"
        );
    }
    if let Some(cut) = &report.recovery.cut {
        tracing::warn!(
            event = "torn_write_cut",
            ?cut,
            "an unfinished last write was cut; by all marks of this log, nothing in it had been answered"
        );
    }
    if let Some(reason) = &report.index_rebuilt {
        tracing::warn!(reason, frames = report.replayed_frames, "the index was built again from the log");
    }
}

fn open_failure(data: &Path, error: OpenError) -> Failure {
    let code = match &error {
        OpenError::Log(LogError::Io { .. }) | OpenError::Thread(_) => ExitStatus::Unreachable,
        OpenError::Log(LogError::Damaged { .. } | LogError::Lost { .. }) => ExitStatus::Finding,
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
