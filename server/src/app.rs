//! The composition root: which adapters the engine runs on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use parking_lot::Mutex;
use retailflow_actors::{Node, NodeHandle, Ports, Settings};
use retailflow_config::{Config, Http};
use retailflow_disk::event_log::{CatchUp, DiskLog, DiskLogOptions, OpenError, OpenReport};
use retailflow_disk::links::{LinkError, refuse_links};
use retailflow_disk::log::check::check_read_only;
use retailflow_disk::log::{LogError, LogOptions};
use retailflow_disk::secret;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::ports::{Clock, EventLog, LogIdentity, Participants, Rng};
use retailflow_engine::wire::Durability;
use retailflow_gateway::TokenSecret;
use retailflow_index::IndexOptions;
use retailflow_invariants::CheckKey;
use retailflow_os::files::{DiskWatch, Files, RealFiles, WatchedFiles, raise_open_files};

use crate::backup_manifest;
use crate::exit::{ExitStatus, Failure, OrExit as _};
use crate::new_data_dir;
use crate::serving;

/// How often a start says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What an embedded log promises: one copy, synced.
pub const DURABILITY: Durability = Durability::FSYNC;

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        timestamp(SystemTime::now())
    }
}

/// A clock that stands before 1970 says 1970, one beyond what times can say says the greatest: nothing is refused for it.
fn timestamp(now: SystemTime) -> TimestampMs {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Chance, seeded by the system.
pub struct SystemRng(Mutex<fastrand::Rng>);

impl Default for SystemRng {
    fn default() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }
}

impl Rng for SystemRng {
    fn next_u64(&self) -> u64 {
        self.0.lock().u64(..)
    }
}

/// A secret to check a log with, drawn anew: callers choose the ids that checkers hash.
pub fn check_key() -> CheckKey {
    use std::hash::{BuildHasher as _, RandomState};
    // Seeded by the system; the standard library promises no more than that it is hard to foresee, which is enough here.
    let word = |number: u64| RandomState::new().hash_one(number).to_le_bytes();
    let mut secret = [0; 16];
    secret[..8].copy_from_slice(&word(1));
    secret[8..].copy_from_slice(&word(2));
    CheckKey::new(secret)
}

/// The machine's files.
pub fn files() -> Arc<dyn Files> {
    Arc::new(RealFiles::default())
}

/// An open data directory.
pub struct Store {
    /// The log and all that hangs on it.
    pub log: Arc<DiskLog>,
    /// Whether its disk answers.
    pub disk: Arc<DiskWatch>,
}

/// An id for a log that is made.
pub fn new_log_id() -> [u8; 16] {
    let rng = SystemRng::default();
    let mut log_id = [0; 16];
    log_id[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
    log_id[8..].copy_from_slice(&rng.next_u64().to_le_bytes());
    log_id
}

/// Whether a data directory may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// One that is not there is made, and that is said.
    IfMissing,
    /// It has to be there.
    Never,
}

impl Make {
    /// As the flag `--existing` says.
    pub fn unless(existing: bool) -> Self {
        if existing { Self::Never } else { Self::IfMissing }
    }
}

/// The sizes of the disk's log, from the configuration.
pub fn log_options(config: &Config) -> LogOptions {
    LogOptions {
        segment_bytes: u32::try_from(config.log.segment_bytes).unwrap_or(u32::MAX),
        ..LogOptions::default()
    }
}

/// All sizes of a data directory, from the configuration.
pub fn disk_options(config: &Config) -> DiskLogOptions {
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

/// Files that are kept from connections: the log's segments, the index's runs, books, and the servers of a cluster.
const FILES_RESERVED: u64 = 256;
/// A server does not start with fewer.
const FILES_MIN: u64 = 1024;
/// Connections that wait for room, or are told that there is none.
const FILES_OF_REFUSALS: u64 = 2 * (64 + 256);

/// Refuses to serve with fewer open files than the log, operators and those who are turned away need.
///
/// # Errors
/// Says what to raise.
pub fn enough_files() -> Result<(), Failure> {
    let open_files = raise_open_files();
    if open_files >= FILES_MIN {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "this process may have {open_files} open files, and a server needs {FILES_MIN} at least: raise the limit (`ulimit -n {OPEN_FILES_MIN}`, \
         or LimitNOFILE= of its service)"
    )))
}

/// Lets no more connections in than there are files for, so that the log always finds one for its next segment, and
/// operators one to come in by.
pub fn leave_files(http: &mut Http) {
    let open_files = raise_open_files();
    let most = connections_within(open_files, http.admin_connections_max);
    if http.connections_max <= most {
        return;
    }
    tracing::warn!(
        event = "connections_capped",
        open_files,
        connections_max = most,
        "this process may have fewer open files than http.connections_max asks for: raise the limit (`ulimit -n`)"
    );
    http.connections_max = most;
    http.streams_max = http.streams_max.min(most);
}

/// Connections of tenants that so many open files leave room for.
fn connections_within(open_files: u64, admin_connections_max: usize) -> usize {
    let others = FILES_RESERVED + FILES_OF_REFUSALS + admin_connections_max as u64;
    let most = open_files.saturating_sub(others).max(open_files / 4).max(1);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Opens a data directory; blocks while the index catches up with the log.
///
/// # Errors
/// A [`Failure`] that says what to do: 3 when it cannot be read, 4 when it must not be opened.
pub fn open(data: &Path, config: &Config, make: Make) -> Result<Store, Failure> {
    if make == Make::Never && !data.join("log").is_dir() {
        let text = format!(
            "there is no data directory in {}: look at the path (`retailflow run` and `serve` make a new one, unless --existing \
             is given)",
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
    backup_manifest::refuse_backup(data)?;
    new_data_dir::refuse_unfinished(data)?;
    let new = LogIdentity {
        log_id: new_log_id(),
        cluster: config.log.cluster.clone(),
        partitions: config.log.partitions,
        shards: 1,
        created: SystemClock.now(),
    };
    let made = files()
        .create_dir_all(data)
        .with_context(|| format!("cannot make the data directory {}", data.display()));
    made.map_err(|error| explain(data, config, Failure::new(ExitStatus::Unreachable, error)))?;
    no_links(data)?;
    let watched = WatchedFiles::new(files());
    let disk = watched.watch();
    let watched: Arc<dyn Files> = Arc::new(watched);
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
    let opened = DiskLog::open(data, &disk_options(config), &watched, &new, &mut progress);
    let (log, report) = opened.map_err(|error| explain(data, config, open_failure(data, error)))?;
    let found = log.identity().cluster;
    if found != config.log.cluster {
        let text = format!(
            "the log in {} belongs to {found:?}, and log.cluster is {:?}: name the right directory, or set log.cluster",
            data.display(),
            config.log.cluster
        );
        return Err(Failure::refused(text));
    }
    let has = log.identity().partitions;
    // Of a value that was set. One that is the default's says nothing of what is wanted.
    if has != config.log.partitions && config.log.partitions != Config::default().log.partitions {
        tracing::warn!(
            event = "partitions_ignored",
            partitions = has,
            asked_for = config.log.partitions,
            "log.partitions is read only when a data directory is made: this one keeps its {has}. For another number make a new one \
             (`retailflow export`, then `restore`), or leave the setting out"
        );
    }
    tell(data, &report);
    Ok(Store { log, disk })
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
        tracing::warn!(
            event = "index_rebuilt",
            reason,
            frames = report.replayed_frames,
            "the index was built again from the log"
        );
    }
}

/// Refuses a data directory with symbolic links in it.
///
/// # Errors
/// A [`Failure`] that names the first.
pub fn no_links(data: &Path) -> Result<(), Failure> {
    refuse_links(data).map_err(|error| {
        let code = match &error {
            LinkError::Link(_) => ExitStatus::Refused,
            LinkError::Io { .. } => ExitStatus::Unreachable,
        };
        Failure::new(code, error)
    })
}

/// What tokens of the data directory's callers are made with. The one place that knows where it is kept.
///
/// # Errors
/// A [`Failure`] that says what to do.
pub fn token_secret(data: &Path, config: &Config) -> Result<TokenSecret, Failure> {
    let found = secret::load_or_create(files().as_ref(), data);
    let found = found.map_err(|error| {
        let code = match &error {
            secret::SecretError::Strange(_) => ExitStatus::Finding,
            secret::SecretError::Io { .. } => ExitStatus::Unreachable,
        };
        explain(data, config, Failure::new(code, error))
    })?;
    Ok(TokenSecret::derive(&found))
}

/// Says so, and what to do, where a start failed because the disk is full.
fn explain(data: &Path, config: &Config, failure: Failure) -> Failure {
    let Some(error) = failure.error else { return failure };
    let free_bytes = free_bytes(data);
    if !says_full(&error) && free_bytes.is_none_or(|free| free >= ROOM_LEAST_BYTES) {
        return Failure { error: Some(error), ..failure };
    }
    const MIB: u64 = 1 << 20;
    let needed = 2 * config.log.segment_bytes + ROOM_BESIDE_BYTES;
    let free = free_bytes.map_or_else(|| "unknown".into(), |free| format!("{} MiB", free / MIB));
    let text = format!(
        "the disk of {} is full (free for this user: {free}; a start wants {} MiB: two segments of the log, its index and the lists). Make room there, or raise the quota, then start again; delete nothing in the data directory but views/ or index/, which are made again from the log. What was answered is in the log",
        data.display(),
        needed.div_ceil(MIB),
    );
    Failure { error: Some(error.context(text)), ..failure }
}

/// Less than this is full for any start.
const ROOM_LEAST_BYTES: u64 = 1 << 20;
/// For the index and the lists of a small log.
const ROOM_BESIDE_BYTES: u64 = 16 << 20;

/// Bytes that this user may still write on a folder's disk, as far as the system tells.
fn free_bytes(data: &Path) -> Option<u64> {
    let there = data.ancestors().find(|folder| folder.is_dir()).unwrap_or_else(|| Path::new("."));
    let found = rustix::fs::statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes that this user may still write on a folder's disk, and its size, as far as the system tells.
pub fn room(data: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(data).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let used = found.f_blocks.saturating_sub(found.f_bfree).saturating_mul(found.f_frsize);
    Some((free, used.saturating_add(free)))
}

/// Reads a log on which nobody works, and changes nothing: what is wrong with it, if anything is.
pub fn looks_whole(data: &Path, config: &Config) -> Result<Option<String>, Failure> {
    let log = data.join("log");
    let checked = check_read_only(&*files(), &log, log_options(config), &mut |_| Ok(()));
    let report = checked.or_exit(ExitStatus::Unreachable, || format!("cannot read {}", log.display()))?;
    // What a start takes away by itself is none.
    let problem = report.problems.iter().find(|problem| !problem.unfinished_write);
    let lost = report.lost.map(|_| "it ends before what was durable".to_owned());
    Ok(problem.map(|problem| format!("{}: {}", problem.place, problem.what)).or(lost))
}

fn says_full(error: &anyhow::Error) -> bool {
    let full =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    // The index's driver hands errors on as text.
    let texts = [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT]
        .map(|errno| io::Error::from_raw_os_error(errno.raw_os_error()).to_string());
    let said = format!("{error:#}");
    error.chain().any(|cause| cause.downcast_ref().is_some_and(full))
        || texts.iter().any(|text| said.contains(text))
}

fn open_failure(data: &Path, error: OpenError) -> Failure {
    if let OpenError::Log(LogError::InUse { holder, .. }) = &error {
        return serving::in_use(data, holder);
    }
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
    pub fn ports(&self, participants: Participants) -> Ports {
        Ports {
            log: self.log.clone(),
            deadlines: self.log.clone(),
            participants,
            snapshots: self.log.clone(),
            tenants: self.log.clone(),
            dead_letters: self.log.clone(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::default()),
            durability: DURABILITY.into(),
        }
    }

    /// Starts a node on this data directory.
    ///
    /// # Errors
    /// A [`Failure`] when the partitions cannot be taken over.
    pub async fn node(&self, settings: Settings, participants: Participants) -> Result<NodeHandle, Failure> {
        let started = Node::start(settings, self.ports(participants)).await;
        started.map_err(|error| Failure::new(ExitStatus::Unreachable, error))
    }

    /// Closes in good order; blocks.
    pub fn close(self) {
        self.log.close();
    }
}

/// Threads for what may block. Each source of reads has turns of its own, some 50 in all, so none of them waits for a
/// thread; and a thread that was made once in a hurry keeps megabytes of the allocator's.
const BLOCKING_THREADS_MAX: usize = 64;

/// The runtime that actors run on.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build();
    built.map_err(|error| Failure::unreachable(format!("cannot start the runtime: {error}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn connections_leave_files_to_the_log_and_to_operators() {
        for (open_files, most) in [(1_024, 256), (4_096, 3_136), (256, 64), (65_536, 64_576), (8, 2), (0, 1)]
        {
            assert_eq!(connections_within(open_files, 64), most, "{open_files}");
        }
    }

    #[test]
    fn no_clock_is_too_wrong() {
        let at = |since: u64| timestamp(UNIX_EPOCH + Duration::from_secs(since)).0;
        assert_eq!(timestamp(UNIX_EPOCH - Duration::from_secs(1)).0, 0);
        assert_eq!(at(253_402_300_800), 253_402_300_800_000, "the year 10000");
        assert_eq!(at(i64::MAX as u64), i64::MAX);
    }

    #[test]
    fn a_full_disk_is_explained_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::default();
        let said = |error: anyhow::Error| {
            explain(folder.path(), &config, Failure::new(ExitStatus::Unreachable, error)).to_string()
        };
        let io = |kind: io::ErrorKind| anyhow::Error::new(io::Error::from(kind)).context("cannot create x");
        let index = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error()).to_string();
        for full in [
            io(io::ErrorKind::StorageFull),
            io(io::ErrorKind::QuotaExceeded),
            anyhow::anyhow!("sled: {index}"),
        ] {
            let said = said(full);
            for part in ["is full", "MiB", "Make room", "in the log"] {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
        assert_eq!(said(io(io::ErrorKind::PermissionDenied)), "cannot create x: permission denied");
    }
}
