//! From a partition's log to the public: what is committed becomes events, once each, by the node that runs the partition.
//!
//! Invariants:
//! - Events are made of the log alone. A cursor says from where on; one that is too low costs time, and nothing is told twice: what
//!   stands in the stream of events is skipped.
//! - An order whose records cannot be read tells nothing more, and is said; the others go on.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use retailflow_engine::codec::control::Control;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::order::{Aggregate, Incoming, publish_parked, publish_unparked};
use retailflow_engine::ports::{EventLog, LogPosition, LoggedEntry, ReadError};
use retailflow_engine::wire::event::PublicEvent;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{EventPublisher, PublishError};
use crate::cursors::{CursorError, Cursors};
use crate::event_log::{LoggedAt, NatsLog};

/// The name of the cursors.
const CURSOR: &str = "events";
/// Read at once, in bytes.
const PIECE_BYTES: usize = 256 << 10;
/// Orders whose state is kept; a few KiB each.
const STATES_MAX: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
/// Time between two writes of the cursor.
const CURSOR_EVERY: Duration = Duration::from_secs(2);
/// It looks by itself so often: what another node wrote before it lost the partition wakes nobody here.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Between two attempts after trouble.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Publishes the events of one partition.
pub struct EventPump {
    log: Arc<NatsLog>,
    publisher: Arc<EventPublisher>,
    cursors: Arc<Cursors>,
    partition: PartitionId,
    states: LruCache<OrderRef, Known>,
    after: u64,
    saved: u64,
}

/// What is known of an order before the next entry.
struct Known {
    aggregate: Aggregate,
    /// How often it was parked, and whether it is; only where it was looked up.
    marks: Option<(u32, bool)>,
}

#[derive(Debug, thiserror::Error)]
enum PumpFailure {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

impl EventPump {
    /// One for a partition that this node runs.
    #[must_use]
    pub fn new(
        log: Arc<NatsLog>,
        publisher: Arc<EventPublisher>,
        cursors: Arc<Cursors>,
        partition: PartitionId,
    ) -> Self {
        Self { log, publisher, cursors, partition, states: LruCache::new(STATES_MAX), after: 0, saved: 0 }
    }

    /// Publishes until `end`. ApiFailure is said, and tried again.
    pub async fn run(mut self, end: CancellationToken) {
        let mut begun = false;
        loop {
            let failure = tokio::select! {
                () = end.cancelled() => break,
                failure = self.follow(&mut begun) => failure,
            };
            let Err(failure) = failure;
            if let Some(left_out) = self.publisher.said.due(&failure) {
                tracing::warn!(event = "events_wait", partition = %self.partition, trouble = %failure, left_out, "public events wait");
            }
            self.states.clear();
            tokio::select! {
                () = end.cancelled() => break,
                () = tokio::time::sleep(RETRY_INTERVAL) => {}
            }
        }
        // Whoever comes next begins where this one ended, if that can be said; else a little before.
        if begun && self.after > self.saved {
            let written = self.cursors.write(CURSOR, self.partition, self.after);
            drop(tokio::time::timeout(RETRY_INTERVAL, written).await);
        }
    }

    async fn follow(&mut self, begun: &mut bool) -> Result<std::convert::Infallible, PumpFailure> {
        if !*begun {
            self.after = self.cursors.read(CURSOR, self.partition).await?;
            (self.saved, *begun) = (self.after, true);
        }
        let mut stored = self.log.stored(self.partition);
        let mut saved_at = Instant::now();
        loop {
            stored.mark_unchanged();
            let (entries, reached, ended) =
                self.log.entries_after(self.partition, self.after, PIECE_BYTES).await?;
            let mut events = Vec::new();
            for entry in &entries {
                self.take(entry, &mut events).await?;
            }
            self.publisher.publish(events).await?;
            self.after = reached;
            if self.after > self.saved && saved_at.elapsed() >= CURSOR_EVERY {
                self.cursors.write(CURSOR, self.partition, self.after).await?;
                (self.saved, saved_at) = (self.after, Instant::now());
            }
            // What others wrote into the shard meanwhile is no reason to read on at once.
            if !ended {
                continue;
            }
            // The sender lives as long as the log.
            drop(tokio::time::timeout(POLL_INTERVAL, stored.changed()).await);
        }
    }

    /// What an entry tells.
    async fn take(
        &mut self,
        at: &LoggedAt,
        events: &mut Vec<(OrderRef, PublicEvent)>,
    ) -> Result<(), ReadError> {
        let told = match &at.entry {
            LoggedEntry::Record(bytes) => self.record(at.sequence, bytes).await,
            LoggedEntry::Control(bytes) => self.control(at.sequence, bytes).await.map(Vec::from_iter),
        };
        match told {
            Ok(told) => events.extend(told.into_iter().map(|event| (event.order.clone(), event))),
            Err(Unpublished::Passing(error)) => return Err(error),
            Err(Unpublished::Broken(why)) => {
                let (partition, sequence) = (self.partition, at.sequence);
                tracing::error!(event = "order_events_broken", %partition, sequence, why, "an order's events cannot be told; the others' go on");
            }
        }
        Ok(())
    }

    async fn record(&mut self, sequence: u64, bytes: &[u8]) -> Result<Vec<PublicEvent>, Unpublished> {
        let record = Incoming::read(bytes).map_err(broken)?;
        let order = record.order().clone();
        let mut known = self.known(&order, Some(record.expected_revision()), sequence).await?;
        let published = record.publish(&mut known.aggregate).map_err(broken)?;
        self.states.put(order, known);
        Ok(published.into_iter().map(|published| published.event).collect())
    }

    async fn control(&mut self, sequence: u64, bytes: &[u8]) -> Result<Option<PublicEvent>, Unpublished> {
        let control = Control::decode(bytes).map_err(broken)?;
        let (order, parks) = match &control {
            Control::Park { order, .. } => (order.clone(), true),
            Control::Release { order, .. } => (order.clone(), false),
            Control::ParkedCommand { .. } => return Ok(None),
        };
        let mut known = self.known(&order, None, sequence).await?;
        let (count, parked) = match known.marks {
            Some(marks) => marks,
            None => marks(&self.log.controls_before(&order, sequence).await?),
        };
        let told = match &control {
            // A mark that stands already may be set again, and tells nothing.
            Control::Park { reason, at, .. } if !parked => {
                publish_parked(&known.aggregate, reason, *at, count)
            }
            Control::Release { at, .. } if parked => {
                publish_unparked(&known.aggregate, *at, count.saturating_sub(1))
            }
            _ => None,
        };
        known.marks = Some((count + u32::from(parks && !parked), parks));
        self.states.put(order, known);
        Ok(told)
    }

    /// What is known of an order before the entry at `sequence`, out of memory or made of its records.
    async fn known(
        &mut self,
        order: &OrderRef,
        expected_revision: Option<u64>,
        sequence: u64,
    ) -> Result<Known, Unpublished> {
        let known = self.states.pop(order);
        let fits =
            |known: &Known| expected_revision.is_none_or(|revision| revision == known.aggregate.revision);
        if let Some(known) = known.filter(fits) {
            return Ok(known);
        }
        let mut aggregate = Aggregate::new(order.clone());
        if expected_revision != Some(0) {
            for record in self.log.read_order(order, 0).await? {
                if sequence_of(record.position) >= sequence {
                    break;
                }
                aggregate.fold(&record.bytes, 1).map_err(broken)?;
            }
        }
        Ok(Known { aggregate, marks: None })
    }
}

/// How often an order was parked, and whether it is.
fn marks(controls: &[LoggedAt]) -> (u32, bool) {
    let (mut count, mut parked) = (0, false);
    for at in controls {
        let LoggedEntry::Control(bytes) = &at.entry else { continue };
        match Control::decode(bytes) {
            Ok(Control::Park { .. }) => {
                count += u32::from(!parked);
                parked = true;
            }
            Ok(Control::Release { .. }) => parked = false,
            Ok(Control::ParkedCommand { .. }) | Err(_) => {}
        }
    }
    (count, parked)
}

fn sequence_of(position: LogPosition) -> u64 {
    crate::event_log::parts(position).1
}

/// Why an entry tells nothing.
enum Unpublished {
    Passing(ReadError),
    Broken(String),
}

fn broken(error: impl ToString) -> Unpublished {
    Unpublished::Broken(error.to_string())
}

impl From<ReadError> for Unpublished {
    fn from(error: ReadError) -> Self {
        match error {
            error @ ReadError::Unavailable(_) => Self::Passing(error),
            ReadError::Damaged(why) => Self::Broken(why),
        }
    }
}
