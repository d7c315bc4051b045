//! The projector: follows the log, keeps the lists, feeds the ring.
//!
//! Any failure ends the attempt and is told to the readers; a later attempt begins with what is on disk, or from the
//! log's beginning where that is in doubt.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use lru::LruCache;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::order::{Incoming, SummaryState};
use retailflow_engine::ports::{LogPosition, LoggedGroup, ReadError};

use super::entries::{Parsed, entries};
use super::lists::{Frozen, Lists};
use super::long::{self, NewBlock};
use super::publisher::Publisher;
use super::shared::{Cause, Progress, Shared, ViewsPhase};
use super::shelf::{self, Of, Shelf};
use super::tracked::Tracked;
use retailflow_index::IndexError;

/// Long orders of which it is known without the shelf how far their blocks go.
const LONG_ENDS_MAX: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Why an attempt ended.
struct Failure {
    why: String,
    cause: Cause,
    /// What is on disk is not to be believed.
    must_rebuild: bool,
}

impl Failure {
    fn passing(why: impl ToString) -> Self {
        Self { why: why.to_string(), cause: Cause::Other, must_rebuild: false }
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        Self {
            why: error.to_string(),
            cause: cause(&error),
            must_rebuild: matches!(error, IndexError::Damaged(_)),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::passing(error)
    }
}

fn cause(error: &IndexError) -> Cause {
    // The error's code is lost on its way through sled; what it says is not.
    match error {
        IndexError::Io(why) if NO_ROOM.iter().any(|text| why.contains(text)) => Cause::NoRoom,
        IndexError::Io(_) => Cause::DiskFails,
        _ => Cause::Other,
    }
}

/// As the standard library and sled say it: no space, or no more of the quota.
const NO_ROOM: [&str; 6] =
    ["os error 28", "code: 28,", "StorageFull", "os error 122", "code: 122,", "QuotaExceeded"];

/// Works until it is told to stop.
pub(super) fn run(shared: &Shared) {
    let retry = Duration::from_millis(shared.options.retry_ms);
    while !shared.stopped() {
        let ended = catch_unwind(AssertUnwindSafe(|| attempt(shared)));
        let failure = match ended {
            Ok(Ok(())) => break,
            Ok(Err(failure)) => failure,
            // What it was about to do with the lists is unknown.
            Err(_) => {
                Failure { why: "the projector panicked".into(), cause: Cause::Other, must_rebuild: true }
            }
        };
        tracing::warn!(
            event = "views_wait",
            why = failure.why,
            rebuild = failure.must_rebuild,
            "lists and events cannot be followed for now"
        );
        give_up(shared, &failure);
        let until = Instant::now() + retry;
        while !shared.stopped() && Instant::now() < until {
            shared.log.tail().wait(u64::MAX, until - Instant::now(), || !shared.stopped());
        }
    }
    shared.progress.send_modify(|progress| progress.phase = ViewsPhase::Closed);
}

fn give_up(shared: &Shared, failure: &Failure) {
    let why = ViewsPhase::Not(failure.why.as_str().into(), failure.cause);
    shared.progress.send_replace(Progress { position: 0, phase: why });
    drop(shared.shelf.write().take());
    *shared.lists.write() = Lists::default();
    if failure.must_rebuild
        && let Err(error) = shelf::destroy(&shared.dir)
    {
        tracing::warn!(%error, "the lists on disk cannot be thrown away");
    }
}

fn attempt(shared: &Shared) -> Result<(), Failure> {
    shared.disk()?;
    let (shelf, kept) = Shelf::open(&shared.dir, shared.options.cache_bytes, shared.log_id)?;
    let end = shared.log.tail().last();
    let is_there = kept.position == 0
        || (kept.position <= end && shared.log.group_hash_blocking(kept.position)? == Some(kept.group_hash));
    if !is_there {
        let why = "the lists on disk have seen what the log does not hold".into();
        return Err(Failure { why, cause: Cause::Other, must_rebuild: true });
    }
    let position = kept.position;
    *shared.lists.write() = Lists::load(position, kept.pinned, kept.counts);
    *shared.secret.lock() = kept.secret;
    *shared.shelf.write() = Some(shelf);
    shared.ring.lock().begin(position, end);
    let phase = if position < end { ViewsPhase::CatchingUp { until: end } } else { ViewsPhase::Following };
    if phase != ViewsPhase::Following {
        let (read_bytes, of_bytes) = (shared.log.bytes_before(position), shared.log.bytes_before(end));
        tracing::info!(event = "views_building", read_bytes, of_bytes, "the lists catch up with the log");
    }
    shared.progress.send_replace(Progress { position, phase });
    std::thread::scope(|scope| {
        let (sender, frozen) = sync_channel(1);
        let (done, answers) = sync_channel(1);
        let flusher = std::thread::Builder::new().name("views-flusher".into());
        flusher.spawn_scoped(scope, move || flush(shared, &frozen, &done)).map_err(Failure::passing)?;
        let publisher = Publisher::new(shared.options.ring_states_max);
        let mut projector = Projector {
            shared,
            position,
            written: position,
            publisher,
            sender,
            answers,
            in_flight: false,
            long: Vec::new(),
            long_ends: LruCache::new(LONG_ENDS_MAX),
        };
        projector.follow()?;
        projector.write_all()
    })?;
    // Nobody reads it any more after this.
    shared.progress.send_modify(|progress| progress.phase = ViewsPhase::Closed);
    let shelf = shared.shelf.write().take().filter(|_| !shared.killed());
    if let Some(Err(error)) = shelf.map(Shelf::close) {
        tracing::warn!(%error, "the lists were not closed; they are caught up or built again at the next start");
    }
    Ok(())
}

/// Writes what it is given, until there is no more.
fn flush(shared: &Shared, frozen: &Receiver<Frozen>, done: &SyncSender<Result<(), IndexError>>) {
    for frozen in frozen {
        let position = frozen.position;
        let group = shared.log.group_hash_blocking(position);
        let group_hash = group.map_err(|error| IndexError::Io(error.to_string()));
        let group_hash = group_hash
            .and_then(|hash| hash.ok_or_else(|| IndexError::Io(format!("no group stands at {position:#x}"))));
        let prepared = shared.disk().and(group_hash).and_then(|group_hash| {
            let secret = *shared.secret.lock();
            Shelf::prepare(frozen, &Of { log_id: shared.log_id, secret, group_hash })
        });
        let written = prepared.and_then(|prepared| {
            let mut shelf = shared.shelf.write();
            let shelf = shelf.as_mut().ok_or(IndexError::Closed)?;
            shared.lists.write().confirm_written(shelf.write(prepared)?);
            Ok(())
        });
        let flushed = || shared.shelf.read().as_ref().map_or(Err(IndexError::Closed), Shelf::flush);
        let written = written.and_then(|()| flushed());
        if done.send(written).is_err() {
            return;
        }
    }
}

struct Projector<'a> {
    shared: &'a Shared,
    position: u64,
    /// What the shelf goes up to, or will soon.
    written: u64,
    publisher: Publisher,
    sender: SyncSender<Frozen>,
    answers: Receiver<Result<(), IndexError>>,
    in_flight: bool,
    /// Blocks of long orders that are to be written.
    long: Vec<NewBlock>,
    /// Up to which decision these and those on the shelf go, of the long orders that changed lately.
    long_ends: LruCache<OrderRef, u64>,
}

impl Projector<'_> {
    fn follow(&mut self) -> Result<(), Failure> {
        let options = &self.shared.options;
        let interval = Duration::from_millis(options.flush_interval_ms);
        let mut last_write = Instant::now();
        while !self.shared.stopped() {
            if self.in_flight
                && let Ok(answer) = self.answers.try_recv()
            {
                self.in_flight = false;
                answer?;
            }
            let dirty = self.shared.lists.read().dirty();
            let due = dirty >= options.flush_orders
                || (self.position != self.written && last_write.elapsed() >= interval);
            if due && !self.in_flight {
                self.write();
                last_write = Instant::now();
            } else if dirty >= 2 * options.flush_orders {
                self.confirm_written()?;
                continue;
            }
            let groups = self.shared.log.scan_blocking(LogPosition(self.position), options.read_bytes)?;
            if groups.is_empty() {
                self.shared.ring.lock().rest(Duration::from_millis(options.ring_linger_ms));
                let shared = self.shared;
                shared.log.tail().wait(self.position, interval, || !shared.stopped());
                continue;
            }
            self.take(&groups)?;
        }
        Ok(())
    }

    /// Takes groups in: lists first, then events, then those who wait are told.
    fn take(&mut self, groups: &[LoggedGroup]) -> Result<(), Failure> {
        let shared = self.shared;
        let Some(last) = groups.last().map(|group| group.position.0) else { return Ok(()) };
        let entries = entries(groups);
        let mut found: HashMap<OrderRef, Tracked> = HashMap::new();
        loop {
            let mut lists = shared.lists.write();
            let unknown = lists.unknown(&entries, &found);
            if unknown.is_empty() {
                lists.apply(&entries, found, last);
                break;
            }
            drop(lists);
            for (order, before) in unknown {
                found.insert(order.clone(), self.look_up(order, before)?);
            }
        }
        self.position = last;
        for entry in &entries {
            if let Parsed::Record(record) = &entry.parsed
                && long::is_due(record.expected_revision(), record.next_revision())
            {
                self.lengthen(record.order(), entry.position, record.next_revision())?;
            }
        }
        let wanted = shared.ring.lock().pass(last);
        match wanted {
            Some(after) => {
                let events =
                    self.publisher.publish(shared, &entries, None, after).map_err(Failure::passing)?;
                shared.ring.lock().push(events, last);
            }
            None => self.publisher.forget(),
        }
        shared.progress.send_modify(|progress| {
            progress.position = last;
            if matches!(progress.phase, ViewsPhase::CatchingUp { until } if until <= last) {
                progress.phase = ViewsPhase::Following;
            }
        });
        Ok(())
    }

    /// Makes the next block of a long order, up to its record at `position`.
    fn lengthen(&mut self, order: &OrderRef, position: u64, revision: u64) -> Result<(), Failure> {
        let shared = self.shared;
        let end = match self.long_ends.get(order) {
            Some(end) => *end,
            None => shared.shelf.read().as_ref().map_or(Ok(0), |shelf| long::end(shelf.store(), order))?,
        };
        let records = match shared.log.walk_blocking(order, position, revision, end) {
            // It is said when the order is read; here it stays without further blocks.
            Err(ReadError::Damaged(_)) => return Ok(()),
            records => records?,
        };
        let secret = *shared.secret.lock();
        if let Ok(Some((block, end))) = long::block(order, end, &records, &secret) {
            self.long.push(block);
            self.long_ends.put(order.clone(), end);
        }
        Ok(())
    }

    /// What the log has of an order before an entry.
    fn look_up(&self, order: &OrderRef, before: u64) -> Result<Tracked, Failure> {
        let records = match self.shared.log.read_order_blocking(order) {
            Err(error @ ReadError::Damaged(_)) => {
                tracing::error!(event = "order_not_listed", %order, %error, "the lists cannot show what becomes of an order");
                Vec::new()
            }
            records => records?,
        };
        let mut tracked = Tracked { summary: SummaryState::default(), ..Tracked::default() };
        for record in records.iter().take_while(|record| record.position.0 < before) {
            let folded = Incoming::read(&record.bytes)
                .map_err(Into::into)
                .and_then(|incoming| tracked.summary.fold(&incoming));
            if let Err(error) = folded {
                tracing::warn!(event = "order_not_listed", %order, %error, "the lists cannot show what becomes of an order");
                break;
            }
            if tracked.place == 0 && tracked.summary.total.is_some() {
                tracked.place = record.position.0;
            }
        }
        let shelf = self.shared.shelf.read();
        tracked.marks = shelf.as_ref().map_or(Ok(Vec::new()), |shelf| shelf.marks(order))?;
        Ok(tracked)
    }

    fn write(&mut self) {
        let mut frozen = self.shared.lists.write().freeze();
        frozen.long = std::mem::take(&mut self.long);
        self.written = frozen.position;
        // There is room for it: none is in flight. A flusher that has ended is noticed by its missing answer.
        self.in_flight = true;
        drop(self.sender.send(frozen));
    }

    /// Waits until nothing is in flight.
    fn confirm_written(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.in_flight) {
            let ended = || Failure::passing("the flusher ended");
            self.answers.recv().map_err(|_| ended())??;
        }
        Ok(())
    }

    fn write_all(&mut self) -> Result<(), Failure> {
        if self.shared.killed() {
            return Ok(());
        }
        self.confirm_written()?;
        if self.position != self.written {
            self.write();
            self.confirm_written()?;
        }
        Ok(())
    }
}
