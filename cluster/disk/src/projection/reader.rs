//! The [`EventRelay`] port: one reader's way, out of the log until it has caught up, then out of the ring.
//!
//! Invariant: a reader stands at the place of the last event that it gave, or behind a group of which it gave all that
//! concerns it. From there it reads on in the ring only if the ring begins no later: so no change between the two loses
//! an event or gives one twice.

use std::collections::VecDeque;
use std::sync::Arc;

use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{
    EventReader, EventRelay, LogPosition, PortFuture, ReadFrom, RelayError, RelayedEvent,
};
use tokio::sync::{AcquireError, watch};
use tokio::task::JoinHandle;

use super::Projection;
use super::entries::{Parsed, entries};
use super::placed::{At, BEHIND, PlacedEvent};
use super::publisher::Publisher;
use super::reader_permits::ReaderPermit;
use super::shared::{Progress, Shared};

/// Events given at once, at most.
const EVENTS_MAX: usize = 256;
/// Groups of the log that a reader of old events reads at once, in bytes. Their events are all that waits for it.
const CATCH_UP_BYTES: usize = 256 << 10;

/// Holds the ring in use.
struct Listening(Arc<Shared>);

impl Listening {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.ring.lock().join();
        Self(Arc::clone(shared))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.ring.lock().leave();
    }
}

/// What a reader of old events keeps between two steps, if there is room.
struct ReaderCache {
    publisher: Publisher,
    _room: ReaderPermit,
}

/// Events, and the place behind all that was read.
type Read = (VecDeque<PlacedEvent>, At);
type Stepped = (Publisher, Option<ReaderPermit>, Read);

struct Reader {
    shared: Arc<Shared>,
    tenant: TenantId,
    at: At,
    /// Read and not given yet; then the reader stands at the place beside it.
    waiting: VecDeque<PlacedEvent>,
    then: At,
    kept: Option<ReaderCache>,
    /// The wait for a permit. Kept when the wait for events is dropped: whoever begins anew each time stands at the end of the
    /// queue each time.
    awaited: Option<PortFuture<'static, Result<ReaderPermit, AcquireError>>>,
    /// A step under way. Kept when the wait for it is dropped: begun anew each time, they would use up the permits.
    stepping: Option<JoinHandle<Result<Stepped, RelayError>>>,
    progress: watch::Receiver<Progress>,
    _listening: Listening,
}

/// The next events after `at`, of groups that the projector has passed, and the place behind all that was read. Blocks.
fn step(
    publisher: &mut Publisher,
    shared: &Shared,
    tenant: &TenantId,
    at: At,
    passed: u64,
) -> Result<Read, RelayError> {
    let unavailable = |why: String| RelayError::Unavailable(why);
    let groups = match at {
        (position, BEHIND) => shared
            .log
            .scan_blocking(LogPosition(position), CATCH_UP_BYTES)
            .map_err(|error| unavailable(error.to_string()))?,
        (position, _) => {
            let group = shared.log.group_blocking(position);
            vec![group.map_err(|error| unavailable(error.to_string()))?.ok_or_else(|| gone(position))?]
        }
    };
    let groups = &groups[..groups.partition_point(|group| group.position.0 <= passed)];
    let Some(last) = groups.last() else { return Ok((VecDeque::new(), at)) };
    let events = publisher.publish(shared, &entries(groups), Some(tenant), at).map_err(unavailable)?;
    Ok((events.into(), (last.position.0, BEHIND)))
}

fn gone(position: u64) -> RelayError {
    RelayError::Gone(format!("no event stands at {position:#x} in this log: begin again without a token"))
}

/// Whether an event can stand there. Blocks.
fn check(shared: &Shared, (position, index): At) -> Result<(), RelayError> {
    let group = shared.log.group_blocking(position);
    let group = group.map_err(|error| RelayError::Unavailable(error.to_string()))?;
    let group = group.filter(|_| position <= shared.log.tail().last()).ok_or_else(|| gone(position))?;
    let counted = entries(std::slice::from_ref(&group)).iter().fold(0_u32, |sum, entry| {
        sum.saturating_add(match &entry.parsed {
            Parsed::Record(record) => record.stored_events(),
            Parsed::Control(_) => 1,
            Parsed::Unreadable => 0,
        })
    });
    if index < counted || index == BEHIND { Ok(()) } else { Err(gone(position)) }
}

impl Reader {
    /// Events that are read already.
    fn give(&mut self) -> Vec<RelayedEvent> {
        let given: Vec<PlacedEvent> = self.waiting.drain(..self.waiting.len().min(EVENTS_MAX)).collect();
        self.at = match (self.waiting.is_empty(), given.last()) {
            (false, Some(last)) => last.at,
            _ => self.then,
        };
        given.into_iter().map(|placed| placed.event).collect()
    }

    async fn next_events(&mut self) -> Result<Vec<RelayedEvent>, RelayError> {
        loop {
            if !self.waiting.is_empty() {
                return Ok(self.give());
            }
            // Looked at before the ring: what changes from now on wakes the wait below.
            let now = self.progress.borrow_and_update().clone();
            if let Some(why) = now.trouble() {
                return Err(RelayError::Unavailable(why));
            }
            let latest = self.shared.ring.lock().read(self.at, &self.tenant, EVENTS_MAX);
            if let Some((events, at)) = latest {
                self.at = at;
                (self.kept, self.awaited, self.stepping) = (None, None, None);
                if !events.is_empty() {
                    return Ok(events);
                }
            } else if self.at < (now.position, BEHIND) {
                let before = self.at;
                self.catch_up(now.position).await?;
                if self.at != before || !self.waiting.is_empty() {
                    continue;
                }
            }
            if self.progress.changed().await.is_err() {
                return Err(RelayError::Unavailable("it is closed".into()));
            }
        }
    }

    /// Reads on in the log. Dropped meanwhile, the next call waits for the same step.
    async fn catch_up(&mut self, passed: u64) -> Result<(), RelayError> {
        let stepping = match &mut self.stepping {
            Some(stepping) => stepping,
            none => {
                // One permit after the other: a reader that takes nothing holds up nobody.
                let permits = &self.shared.catching_up;
                let awaited = self
                    .awaited
                    .get_or_insert_with(|| Box::pin(Arc::clone(permits).take(self.tenant.clone())));
                let permit = awaited.await;
                self.awaited = None;
                let permit = permit.map_err(|error| RelayError::Unavailable(error.to_string()))?;
                let (mut publisher, room) = match self.kept.take() {
                    Some(ReaderCache { publisher, _room }) => (publisher, Some(_room)),
                    None => (Publisher::new(self.shared.options.catching_up_states_max), None),
                };
                let (shared, tenant, at) = (Arc::clone(&self.shared), self.tenant.clone(), self.at);
                none.insert(tokio::task::spawn_blocking(move || {
                    let read = step(&mut publisher, &shared, &tenant, at, passed);
                    drop(permit);
                    Ok((publisher, room, read?))
                }))
            }
        };
        let done = stepping.await;
        self.stepping = None;
        let (publisher, room, (events, then)) =
            done.map_err(|error| RelayError::Unavailable(error.to_string()))??;
        let room = room.or_else(|| self.shared.keeping.try_take(&self.tenant));
        self.kept = room.map(|_room| ReaderCache { publisher, _room });
        if events.is_empty() {
            self.at = then;
        }
        (self.waiting, self.then) = (events, then);
        Ok(())
    }
}

impl EventReader for Reader {
    fn next(&mut self) -> PortFuture<'_, Result<Vec<RelayedEvent>, RelayError>> {
        Box::pin(self.next_events())
    }

    fn position(&self) -> String {
        let (position, index) = self.at;
        self.shared.token_at(position, index)
    }
}

impl EventRelay for Projection {
    fn open<'a>(
        &'a self,
        tenant: &'a TenantId,
        from: ReadFrom,
    ) -> PortFuture<'a, Result<Box<dyn EventReader>, RelayError>> {
        Box::pin(async move {
            let shared = &self.shared;
            let progress = shared.progress.subscribe();
            if let Some(why) = progress.borrow().trouble() {
                return Err(RelayError::Unavailable(why));
            }
            let at = match from {
                ReadFrom::Beginning => (0, BEHIND),
                ReadFrom::Now => (shared.log.tail().last(), BEHIND),
                ReadFrom::After(token) => {
                    let cursor = retailflow_engine::codec::cursor::Cursor::from_token(&token)
                        .map_err(|error| RelayError::BadToken(error.to_string()))?;
                    if cursor.log_id != shared.log_id {
                        return Err(RelayError::Gone("the token belongs to another log".into()));
                    }
                    let at = (cursor.position, cursor.index);
                    if at != (0, BEHIND) {
                        let checking = Arc::clone(shared);
                        let permit = Arc::clone(&shared.pages).acquire_owned().await;
                        let permit = permit.map_err(|error| RelayError::Unavailable(error.to_string()))?;
                        let check = move || {
                            let _permit = permit;
                            check(&checking, at)
                        };
                        let checked = tokio::task::spawn_blocking(check).await;
                        checked.map_err(|error| RelayError::Unavailable(error.to_string()))??;
                    }
                    at
                }
            };
            // From here on the ring is in use, and a reader of now is in it.
            let listening = Listening::new(shared);
            Ok(Box::new(Reader {
                shared: Arc::clone(shared),
                tenant: tenant.clone(),
                at,
                waiting: VecDeque::new(),
                then: at,
                kept: None,
                awaited: None,
                stepping: None,
                progress,
                _listening: listening,
            }) as Box<dyn EventReader>)
        })
    }
}
