//! Opening: the log first, then the index, then what the index has not seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::codec::fence::{Fence, fence_hash};
use retailflow_engine::codec::{CodecError, identity, record};
use retailflow_engine::ports::{DeadlineChange, LogIdentity};
use tokio::sync::watch;

use super::committer::Committer;
use super::controls;
use super::disk_log::{DiskLog, DiskLogOptions, folders};
use super::places::Places;
use super::read_permits::ReadPermits;
use super::scrub::Scrubber;
use super::state::{Head, Inner, Pending, decode_heads, encode_heads, order_key};
use super::tail::Tail;
use crate::log::check::{LostEnd, check};
use crate::log::frame::HEADER_BYTES;
use crate::log::group::{self, EntryKind};
use crate::log::open::{exists, list};
use crate::log::{
    Cursor, Frame, FrameKind, LogError, LogReader, NewLog, Opening, Position, Recovery, Writer,
};
use retailflow_index::{Cursor as IndexCursor, Index, IndexError, OrderPlace, OrderUpdate};
use retailflow_os::files::Files;

/// Orders changed by a replay before the index is told: it is told of many at once.
const REPLAY_ORDERS: usize = 8_192;

/// Frames that are replayed at most twice: a process that is killed soon after each start would else replay ever more of
/// them, until it does nothing but replay.
const REPLAY_AGAIN_MAX: u64 = 256;

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log itself: in use, damaged, of a newer version, or not readable.
    #[error(transparent)]
    Log(LogError),
    /// The index saw records that the log does not hold (any more).
    #[error(
        "{reason}. Something in {data} has seen more than the log holds: acknowledged records were lost, or an \
         older copy of the log was put in place. Put the newer log back. `retailflow repair --dry-run` tells what is lost, and \
         `--yes` goes on without it: a conscious decision, because outcomes that were given are then forgotten. When it finds nothing to \
         do, only the index knew of what is lost, and removing its folder is that decision"
    )]
    LogRegressed {
        /// What was seen and what is there.
        reason: String,
        /// The data directory.
        data: PathBuf,
    },
    /// There is no log, and what belongs to one is there.
    #[error(
        "there is no log in {data}, but {found} of an earlier one: no new log is made beside it, because all its orders \
         would be forgotten. Put the log back or restore a backup; to begin anew, take an empty folder"
    )]
    LogMissing {
        /// The data directory.
        data: PathBuf,
        /// What was found.
        found: String,
    },
    /// The index can't be used, and not because it is damaged.
    #[error("{0}")]
    Index(IndexError),
    /// The first record can't be read by this build.
    #[error("the log's first record: {0}")]
    Identity(CodecError),
    /// The system gave no random bytes for a new log's secret.
    #[error("cannot draw a secret for a new log: {0}")]
    Secret(String),
    /// The system gave no thread.
    #[error("cannot start the log's writer: {0}")]
    Thread(std::io::Error),
}

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// Of the log.
    pub recovery: Recovery,
    /// Why the index was thrown away and built again, if it was.
    pub index_rebuilt: Option<String>,
    /// Frames of the log that the index had not seen.
    pub replayed_frames: u64,
}

/// How far the index has got with the log while it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// Frames taken in.
    pub frames: u64,
    /// The segment of the last of them, from 1.
    pub segment: u32,
    /// Segments of the log.
    pub segments: u32,
}

enum Attempt {
    Opened(Box<(Arc<DiskLog>, OpenReport)>),
    /// The index is of no use.
    IndexDamaged(String),
}

impl DiskLog {
    /// Opens the log in the folder `data`, with its index; makes them where there are none, as `new` says. Blocks;
    /// `progress` is called now and then while the index catches up.
    ///
    /// A log that exists says itself what it is: compare [`EventLog::identity`] with what was expected.
    ///
    /// [`EventLog::identity`]: retailflow_engine::ports::EventLog::identity
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        data: &Path,
        options: &DiskLogOptions,
        files: &Arc<dyn Files>,
        new: &LogIdentity,
        progress: &mut dyn FnMut(CatchUp),
    ) -> Result<(Arc<Self>, OpenReport), OpenError> {
        let (log_dir, index_dir) = folders(data);
        if !exists(files.as_ref(), &log_dir).map_err(OpenError::Log)?
            && let Some(found) = remains(data)
        {
            return Err(OpenError::LogMissing { data: data.to_owned(), found });
        }
        let mut rebuilt: Option<String> = None;
        loop {
            match attempt(data, options, files, new, progress)? {
                Attempt::Opened(opened) => {
                    let (log, mut report) = *opened;
                    report.index_rebuilt = rebuilt;
                    return Ok((log, report));
                }
                Attempt::IndexDamaged(reason) if rebuilt.is_none() => {
                    tracing::warn!(reason, "the index is thrown away and built again from the log");
                    Index::destroy(&index_dir).map_err(OpenError::Index)?;
                    rebuilt = Some(reason);
                }
                // Twice in a row is no accident.
                Attempt::IndexDamaged(reason) => return Err(OpenError::Index(IndexError::Damaged(reason))),
            }
        }
    }
}

/// What is left in a data directory whose log has gone.
fn remains(data: &Path) -> Option<String> {
    let has_entries =
        |name: &&str| std::fs::read_dir(data.join(name)).is_ok_and(|mut entries| entries.next().is_some());
    let mut found: Vec<&str> = ["index", "views", "participants"].into_iter().filter(has_entries).collect();
    let marks = ["durable", "log/durable", "snapshots/durable"];
    found.extend(marks.into_iter().filter(|name| data.join(name).exists()));
    (!found.is_empty()).then(|| found.join(", "))
}

/// The first damage in a log that is small enough to be read as a whole.
fn damage(files: &dyn Files, dir: &Path, options: &DiskLogOptions) -> Result<Option<LogError>, OpenError> {
    if !exists(files, dir).map_err(OpenError::Log)? {
        return Ok(None);
    }
    let segments = files.list(dir).map_err(LogError::io("list", dir)).map_err(OpenError::Log)?.len() as u64;
    if segments.saturating_mul(options.log.segment_bytes.into()) > options.check_max_bytes {
        return Ok(None);
    }
    let report = check(files, dir, options.log, &mut |_| Ok(())).map_err(OpenError::Log)?;
    if report.other_format.is_some() {
        // Opening says it best.
        return Ok(None);
    }
    let unreadable = report.unreadable_sectors;
    if unreadable > 0 {
        let place = report.good_until.unwrap_or(Position::new(1, 0));
        let what = format!("the disk cannot read {unreadable} sectors of the log");
        return Ok(Some(LogError::damaged(place, what)));
    }
    if let Some(LostEnd { source_name, seen, end }) = report.lost {
        // The last problem is the lost end itself, which is told anyway.
        let last = report.problems.len().saturating_sub(1);
        let reason = report.problems.into_iter().take(last).next().map(|problem| problem.what);
        return Ok(Some(LogError::Lost { source_name, seen, end, reason }));
    }
    let first = report.problems.into_iter().find(|problem| !problem.unfinished_write);
    Ok(first.map(|problem| LogError::damaged(problem.place.0, problem.what)))
}

fn attempt(
    data: &Path,
    options: &DiskLogOptions,
    files: &Arc<dyn Files>,
    new: &LogIdentity,
    progress: &mut dyn FnMut(CatchUp),
) -> Result<Attempt, OpenError> {
    let (log_dir, index_dir) = folders(data);
    let encoded = identity::encode(new).map_err(OpenError::Identity)?;
    let mut secret = [0; 16];
    retailflow_os::random::fill(&mut secret).map_err(|error| OpenError::Secret(error.to_string()))?;
    let made = || NewLog { log_id: new.log_id, secret, identity: encoded };
    let damage = damage(files.as_ref(), &log_dir, options)?;
    let opening = Opening::begin(Arc::clone(files), &log_dir, options.log, made).map_err(OpenError::Log)?;
    if let Some(damage) = damage {
        return Err(OpenError::Log(damage));
    }
    let identity = identity::decode(opening.identity()).map_err(OpenError::Identity)?;
    if identity.log_id != opening.log_id() {
        let first = opening.beginning().position;
        return Err(OpenError::Log(LogError::damaged(first, "the first record names another log")));
    }
    let (index, cursor) = match Index::open(&index_dir, options.index.clone(), identity.log_id) {
        Ok(opened) => opened,
        Err(IndexError::Damaged(reason)) => return Ok(Attempt::IndexDamaged(reason)),
        Err(error) => return Err(OpenError::Index(error)),
    };
    let index = Arc::new(index);
    let seen = (cursor.position != 0)
        .then_some(Cursor { position: Position(cursor.position), hash: cursor.frame_hash });
    let (numbers, _) = list(files.as_ref(), &log_dir).map_err(OpenError::Log)?;
    let mut replay = Replay::new(&index, identity.partitions, progress);
    replay.segments = numbers.last().copied().unwrap_or_default();
    let finished = opening.finish(seen, &mut |frame| replay.frame(frame));
    let flushed = finished.is_ok().then(|| replay.flush());
    if let Some(error) = replay.index_error.take() {
        return index_failed(error);
    }
    let opened = match finished {
        Ok(opened) => opened,
        Err(error @ LogError::Regressed { .. }) => {
            return Err(OpenError::LogRegressed { reason: error.to_string(), data: data.to_owned() });
        }
        Err(error) => return Err(OpenError::Log(error)),
    };
    if let Some(Err(reason)) = flushed {
        return Ok(Attempt::IndexDamaged(reason));
    }
    let (frames, heads) = (replay.frames, replay.heads);
    if frames > REPLAY_AGAIN_MAX {
        match index.flush_blocking() {
            // It waits in memory, as it does while a server runs; only the next start has more to do.
            Err(IndexError::Io(reason)) => tracing::warn!(reason, "the index is not written yet"),
            Err(error) => return index_failed(error),
            Ok(()) => {}
        }
    }
    let heads = read_heads(&opened.reader, &heads).map_err(OpenError::Log)?;
    let tenants = match controls::tenants(&index) {
        Ok(tenants) => tenants.into_iter().map(|setting| (setting.tenant.clone(), setting)).collect(),
        Err(error) => return index_failed(error),
    };
    let last = heads.values().map(|head| head.position.0).max().unwrap_or(0);
    let scrubber = Scrubber::start(Arc::clone(files), log_dir, options.log, opened.reader.clone())
        .map_err(OpenError::Thread)?;
    let inner = Arc::new(Inner {
        identity,
        reader: opened.reader,
        places: Places::new(Arc::clone(&index), options.places_max),
        index,
        heads: RwLock::new(heads),
        tenants: RwLock::new(tenants),
        tail: Arc::new(Tail::new(last)),
        long: RwLock::new(None),
        permits: ReadPermits::default(),
        #[cfg(test)]
        records_read: Default::default(),
        failed: watch::Sender::new(None),
        damage: Mutex::default(),
    });
    let committer = Committer::new(Arc::clone(&inner));
    let writer = Writer::start(opened.appender, options.queue_max, committer).map_err(OpenError::Thread)?;
    let report = OpenReport { recovery: opened.recovery, index_rebuilt: None, replayed_frames: frames };
    let log = DiskLog {
        inner,
        writer: Arc::new(RwLock::new(writer)),
        scrubber: Mutex::new(Some(scrubber)),
        lock: Mutex::new(Some(opened.lock)),
    };
    Ok(Attempt::Opened(Box::new((Arc::new(log), report))))
}

fn index_failed(error: IndexError) -> Result<Attempt, OpenError> {
    match error {
        IndexError::Damaged(reason) => Ok(Attempt::IndexDamaged(reason)),
        error => Err(OpenError::Index(error)),
    }
}

fn read_heads(reader: &LogReader, heads: &BTreeMap<u16, Position>) -> Result<BTreeMap<u16, Head>, LogError> {
    let mut read = BTreeMap::new();
    for (partition, position) in heads {
        let frame = reader.frame(*position)?;
        let (fence, _) =
            group::decode_group(&frame.payload).map_err(|why| LogError::damaged(*position, why))?;
        let hash = fence_hash(fence);
        let fence = Fence::decode(fence).map_err(|error| LogError::damaged(*position, error.to_string()))?;
        if fence.partition.0 != *partition {
            return Err(LogError::damaged(
                *position,
                format!("no group of partition {partition} stands here"),
            ));
        }
        read.insert(*partition, Head { fence, hash, position: *position });
    }
    Ok(read)
}

/// Brings the index up to the log.
struct Replay<'a> {
    index: &'a Index,
    partitions: u16,
    progress: &'a mut dyn FnMut(CatchUp),
    frames: u64,
    segments: u32,
    places: Pending<OrderPlace>,
    heads: BTreeMap<u16, Position>,
    cursor: Option<IndexCursor>,
    index_error: Option<IndexError>,
}

impl<'a> Replay<'a> {
    fn new(index: &'a Index, partitions: u16, progress: &'a mut dyn FnMut(CatchUp)) -> Self {
        let heads = index.meta().map(|meta| decode_heads(&meta)).unwrap_or_default();
        Self {
            index,
            partitions,
            progress,
            frames: 0,
            segments: 0,
            places: Pending::new(),
            heads,
            cursor: None,
            index_error: None,
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), String> {
        self.frames += 1;
        match frame.kind {
            FrameKind::Group => self.group(frame)?,
            FrameKind::Note => {
                let note = Note::decode(&frame.payload).map_err(|error| error.to_string())?;
                let applied = controls::apply_note(self.index, frame.position, &note, &frame.payload);
                self.noted(applied)?;
            }
            FrameKind::Identity | FrameKind::CleanStop => {}
        }
        self.cursor = Some(IndexCursor { position: frame.position.0, frame_hash: frame.hash });
        if self.places.len() >= REPLAY_ORDERS {
            self.flush()?;
        }
        Ok(())
    }

    fn group(&mut self, frame: &Frame) -> Result<(), String> {
        let (fence, entries) = group::decode_group(&frame.payload)?;
        let fence = Fence::decode(fence).map_err(|error| error.to_string())?;
        for entry in entries {
            let position = frame.position.plus(HEADER_BYTES as u32 + entry.offset);
            match entry.kind {
                EntryKind::Record => {
                    let summary = record::summary(entry.bytes).map_err(|error| error.to_string())?;
                    let key = order_key(&summary.order, self.partitions);
                    let deadline_ms = match summary.deadline {
                        DeadlineChange::Set(at) => Some(at.0),
                        DeadlineChange::Clear => None,
                        DeadlineChange::Keep => self.place(&key)?.and_then(|place| place.deadline_ms),
                    };
                    let place =
                        OrderPlace { position: position.0, revision: summary.next_revision, deadline_ms };
                    self.places.insert(key, place);
                }
                EntryKind::Control => {
                    let control = Control::decode(entry.bytes).map_err(|error| error.to_string())?;
                    let applied = controls::apply_control(self.index, self.partitions, position, &control);
                    self.noted(applied)?;
                }
            }
        }
        self.heads.insert(fence.partition.0, frame.position);
        Ok(())
    }

    fn place(&mut self, key: &[u8; 16]) -> Result<Option<OrderPlace>, String> {
        match self.places.get(key) {
            Some(place) => Ok(Some(*place)),
            None => {
                let place = self.index.lookup_blocking(key);
                self.noted(place)
            }
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        let Some(cursor) = self.cursor.take() else { return Ok(()) };
        let updates: Vec<OrderUpdate> =
            self.places.drain().map(|(key, place)| OrderUpdate { key, place }).collect();
        let meta = encode_heads(self.heads.iter().map(|(partition, position)| (*partition, *position)));
        let applied =
            self.index.wait_for_room().and_then(|()| self.index.apply(&updates, cursor, Some(meta)));
        self.noted(applied)?;
        let segment = Position(cursor.position).segment();
        (self.progress)(CatchUp { frames: self.frames, segment, segments: self.segments.max(segment) });
        Ok(())
    }

    fn noted<T>(&mut self, result: Result<T, IndexError>) -> Result<T, String> {
        result.map_err(|error| {
            let reason = error.to_string();
            self.index_error.get_or_insert(error);
            reason
        })
    }
}
