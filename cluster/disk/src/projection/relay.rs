//! From a log's groups to public events, for a reader in any process.
//!
//! Invariant: each event that the log holds is given at least once, in the log's order, with the same id each time; a
//! reader that keeps the token of the last one it took in gets exactly the rest.
//!
//! What an event says follows from all records of its order so far. So this relay always reads from the log's beginning,
//! and gives only what comes after its token; what the orders have become on the way it keeps in bounded memory and,
//! beyond that, in a file (`states`). Inside the process that runs the log nobody needs to (`reader`).

use std::collections::BTreeSet;
use std::path::PathBuf;

use retailflow_engine::codec::control::Control;
use retailflow_engine::codec::cursor::{BEHIND, Cursor};
use retailflow_engine::ids::{OrderRef, TenantId};
use retailflow_engine::order::{FoldError, Incoming, publish_parked, publish_unparked};
use retailflow_engine::ports::{LogPosition, LoggedEntry, LoggedGroup};
use retailflow_engine::wire::event::PublicEvent;

use super::states::{IN_MEMORY_MAX, States, StatesError};
use crate::follow::{FollowError, LogFollower};

/// Why a relay gives no more events.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The token is one of another log.
    #[error("the token belongs to another log: name its data directory, or {BEGIN_AGAIN}")]
    AnotherLog,
    /// The token's place is not in the log.
    #[error("what the token names is not in this log any more ({0}): {BEGIN_AGAIN}")]
    Gone(String),
    /// The log can't be followed.
    #[error(transparent)]
    Follow(FollowError),
    /// What stands in a group is not what was written.
    #[error("the group at {position:#x}")]
    Broken {
        /// The group's position.
        position: u64,
        /// What is wrong.
        source: FoldError,
    },
    /// The orders' states can't be kept.
    #[error(transparent)]
    States(#[from] StatesError),
}

impl From<FollowError> for EventsError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Gone { why, .. } => Self::Gone(why),
            error => Self::Follow(error),
        }
    }
}

/// Bytes of groups read at once.
const READ_BYTES: usize = 1 << 20;

/// An event, and where a reader stands that has taken it in.
pub struct PublishedEvent {
    /// Where.
    pub cursor: Cursor,
    /// The event.
    pub event: PublicEvent,
}

/// Reads a log from its beginning, and gives what the public hears of it after a token.
pub struct Relay {
    follower: LogFollower,
    states: States,
    /// The orders under a park mark: few, as each is one that broke.
    parked: BTreeSet<OrderRef>,
    /// Only this tenant's.
    tenant: Option<TenantId>,
    after: Option<Cursor>,
    /// The group of `after` was read.
    met: bool,
}

impl Relay {
    /// Gives the events after `after`, of one tenant or of all. States that have no room in memory go to `folder`.
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn new(
        mut follower: LogFollower,
        tenant: Option<TenantId>,
        after: Option<Cursor>,
        folder: PathBuf,
    ) -> Result<Self, EventsError> {
        let log_id = follower.identity().log_id;
        // Before the first group there is nothing to stand at.
        let beginning = Cursor { log_id, position: 0, index: BEHIND };
        let after = after.filter(|cursor| *cursor != beginning);
        if let Some(cursor) = &after {
            if cursor.log_id != log_id {
                return Err(EventsError::AnotherLog);
            }
            // It tells at once whether the place is there; what the events need begins at the beginning.
            follower.seek_to(LogPosition(cursor.position))?;
            follower.seek_to(LogPosition(0))?;
        }
        let states = States::new(log_id, IN_MEMORY_MAX, folder);
        Ok(Self { follower, states, parked: BTreeSet::new(), tenant, met: after.is_none(), after })
    }

    /// What the next groups tell, which may be nothing; `None` when there are no more groups for now. After an error
    /// the relay must not be used.
    ///
    /// # Errors
    /// [`EventsError`].
    #[expect(clippy::should_implement_trait, reason = "an end is only an end for now")]
    pub fn next(&mut self) -> Result<Option<Vec<PublishedEvent>>, EventsError> {
        let groups = self.follower.next(READ_BYTES)?;
        if groups.is_empty() {
            return Ok(None);
        }
        let mut events = Vec::new();
        for group in &groups {
            self.group(group, &mut events)?;
        }
        Ok(Some(events))
    }

    fn group(&mut self, group: &LoggedGroup, events: &mut Vec<PublishedEvent>) -> Result<(), EventsError> {
        let log_id = self.follower.identity().log_id;
        let first = events.len();
        // Counted over what is stored, not over what is told: the same for every filter, and for a later build that
        // tells more.
        let mut counted = 0_u32;
        for entry in &group.entries {
            let broken = |source: FoldError| EventsError::Broken { position: group.position.0, source };
            let mut tell = |index: u32, event: PublicEvent| {
                events.push(PublishedEvent {
                    cursor: Cursor { log_id, position: group.position.0, index },
                    event,
                });
            };
            match entry {
                LoggedEntry::Record(bytes) => {
                    let record = Incoming::read(bytes).map_err(|error| broken(error.into()))?;
                    if self.wants(&record.order().tenant) {
                        let mut state = self.states.take(record.order())?;
                        let published = record.publish(&mut state.aggregate);
                        for found in published.map_err(broken)? {
                            tell(counted.saturating_add(found.ordinal), found.event);
                        }
                        self.states.put(state)?;
                    }
                    counted = counted.saturating_add(record.stored_events());
                }
                LoggedEntry::Control(bytes) => {
                    let control = Control::decode(bytes).map_err(|error| broken(error.into()))?;
                    if let Control::Release { order, at, .. } = &control
                        && self.parked.remove(order)
                    {
                        let state = self.states.take(order)?;
                        let parking = state.parks.saturating_sub(1);
                        if let Some(event) = publish_unparked(&state.aggregate, *at, parking) {
                            tell(counted, event);
                        }
                        self.states.put(state)?;
                    }
                    // A mark that stands already may be set again, and tells nobody anything.
                    if let Control::Park { order, reason, at } = control
                        && self.wants(&order.tenant)
                        && self.parked.insert(order.clone())
                    {
                        let mut state = self.states.take(&order)?;
                        if let Some(event) = publish_parked(&state.aggregate, &reason, at, state.parks) {
                            tell(counted, event);
                        }
                        state.parks = state.parks.saturating_add(1);
                        self.states.put(state)?;
                    }
                    counted = counted.saturating_add(1);
                }
            }
        }
        self.leave_out(group.position, counted, first, events)
    }

    /// Takes out what the reader has already, and notices when its token's place has gone.
    fn leave_out(
        &mut self,
        position: LogPosition,
        counted: u32,
        first: usize,
        events: &mut Vec<PublishedEvent>,
    ) -> Result<(), EventsError> {
        let Some(after) = self.after.filter(|_| !self.met) else { return Ok(()) };
        if position.0 < after.position {
            events.truncate(first);
            return Ok(());
        }
        if position.0 > after.position || (after.index >= counted && after.index != BEHIND) {
            return Err(EventsError::Gone("no event stands there".into()));
        }
        self.met = true;
        let old = events[first..].iter().filter(|event| event.cursor <= after).count();
        events.drain(first..first + old);
        Ok(())
    }

    fn wants(&self, tenant: &TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|wanted| wanted == tenant)
    }
}

const BEGIN_AGAIN: &str = "begin again without a token: all events come again under the ids that they had";
